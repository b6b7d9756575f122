"""LOOK: one file a provider of evidence. Providers never know each other."""
