"""From a bill file of whatever form to plain text: archives, spreadsheets, encodings."""
