"""The three things the daemon does: collect, assess, deliver. Knows no file format, no SQL, no wire; only the ports."""
