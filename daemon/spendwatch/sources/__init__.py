"""Where bills and balances come from. Looks into a bill no further than to know that it came whole; the rest is for others."""
