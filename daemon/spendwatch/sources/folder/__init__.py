"""A folder into which bill files are dropped."""
