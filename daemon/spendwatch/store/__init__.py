"""What survives a restart: all SQL, one file a table. Knows no bill layout and no channel."""
