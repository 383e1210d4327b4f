"""Parses bills, wherever they come from. Polars is used only here, and only in the reading process."""
