"""The names of the bill layouts, for those who must know them without being able to read one."""

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


def lags(series: str) -> bool:
    """Tell whether the series is made of what the billing API gives."""
    return series.partition(".")[0] == API_LAYOUT
