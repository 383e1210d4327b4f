"""The names of the bill layouts, for those who must know them without being able to read one."""

from __future__ import annotations

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
