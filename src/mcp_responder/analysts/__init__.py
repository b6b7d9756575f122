"""THINK: who says why. Analysts never know each other."""
