"""A month on sample bills: real files, the real reader, ledger, judgement and channels; only the bills are invented."""
