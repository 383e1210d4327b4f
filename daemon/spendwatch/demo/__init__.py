"""A month on sample bills: the real reader, ledger, judgement and channels; only the bills, and who is asked, are invented."""
