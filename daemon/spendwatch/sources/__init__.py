"""Where bills come from. Never looks inside a file; never asks what is in it."""
