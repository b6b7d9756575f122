"""One suite for every store: what the ports' docstrings promise, each sentence a test."""
