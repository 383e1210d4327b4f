"""The names of the bill layouts, for modules that cannot read bills."""

from __future__ import annotations

from datetime import timedelta

LAYOUTS: tuple[str, ...] = (
    "consumedetailbillv2",
    "consumedetailbillv2daysummary",
    "consumedetailbillv2-en",
    "billingitemdetail",
    "instancedetail",
    "instancedetail-en",
    "focus",
)
"""Every layout of tables that `bills` can read."""

API_LAYOUT = "describeinstancebill"
"""Answers of the billing API, whether a source fetched them or a person saved them."""
API_LAG = timedelta(hours=24)
"""So late is the API, and of the running month it leaves out what is used and not settled yet: so its documentation says."""


_DAY_SUMMARY = "consumedetailbillv2daysummary"
_WITHOUT_DAYS = "month"
_SUMMED_UP = frozenset({"aggregate", "instance", _WITHOUT_DAYS})
"""Parts of a series' name that say in what its lines are fewer than the charges: in all, by instance, by month."""


def coarseness(series: str) -> int:
    """Return how coarse the series is: in how many ways it sums up single charges; 0 for a series of single charges."""
    layout, *parts = series.split(".")
    return (layout in {_DAY_SUMMARY, API_LAYOUT}) + len(_SUMMED_UP.intersection(parts))


def has_days(series: str) -> bool:
    """Return whether the lines of the series have dates; those of others all stand on the first of their month."""
    return _WITHOUT_DAYS not in series.split(".")


def lags(series: str) -> bool:
    """Return whether the series is made of what the billing API gives."""
    return series.partition(".")[0] == API_LAYOUT
