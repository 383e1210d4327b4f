"""Where bills and balances come from. Looks into a file no further than to know that it came whole; what it says is for others."""
