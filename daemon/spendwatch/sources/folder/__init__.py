"""A folder for bill files."""
