"""What each generated page is made of: one file a kind of page, one function that gives its text."""
