"""A job as it is asked for: read from words and flags, checked where it is typed, and passed on as words."""
