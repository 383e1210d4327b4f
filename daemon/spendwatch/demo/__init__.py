"""A month on sample bills: the real reader, ledger, evaluation and channels; only bills and receivers are simulated."""
