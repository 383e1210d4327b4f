"""A bucket of bills."""
