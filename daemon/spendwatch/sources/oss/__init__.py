"""A bucket to which bills are pushed."""
