"""An https endpoint that returns a bill file."""
