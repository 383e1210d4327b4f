"""Where bills and balances come from. Sources only check that a bill is complete; they do not parse it."""
