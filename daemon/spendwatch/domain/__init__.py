"""The types and decisions: money, periods, spend, policies, alerts. Uses no clock, disk, network or library."""
