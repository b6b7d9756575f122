"""Tools that know nothing of incidents: HTTP, signatures, secrets, text."""
