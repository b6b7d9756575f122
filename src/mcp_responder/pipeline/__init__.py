"""The story of an alert, one verb a file: receive, correlate, investigate (and prove), route, notify, retry."""
