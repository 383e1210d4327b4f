"""What a bill says. Never asks where it came from. Polars lives here and nowhere else, and only in the reading process."""
