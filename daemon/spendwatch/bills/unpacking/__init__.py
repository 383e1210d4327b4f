"""Converts a bill file of any format to plain text: archives, spreadsheets, encodings."""
