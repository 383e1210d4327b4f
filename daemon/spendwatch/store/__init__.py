"""The stored state: all SQL, one file per table. Knows no bill layout and no channel."""
