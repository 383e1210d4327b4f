"""What the words mean: money, periods, spend, policies, alerts. Knows no clock, no disk, no network, no library."""
