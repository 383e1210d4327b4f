"""Files in folders: opened safely, archived without overwriting, copied before they are read."""
