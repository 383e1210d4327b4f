"""An https endpoint that gives a bill file."""
