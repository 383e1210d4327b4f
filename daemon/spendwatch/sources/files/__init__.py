"""Files in folders: entered without falling into a trap, put away without overwriting, copied before they are read."""
