"""Every table of the ledger: what migrations must build."""

from spendwatch.store import (
    alert,
    attempt,
    audit,
    balance_book,
    balance_memory,
    balance_reading,
    chunk,
    coverage,
    cross_check,
    day_total,
    delivery,
    health_book,
    late,
    notification,
    reach,
    spend,
    statement,
)
from spendwatch.store.columns import metadata

__all__ = [
    "alert",
    "attempt",
    "audit",
    "balance_book",
    "balance_memory",
    "balance_reading",
    "chunk",
    "coverage",
    "cross_check",
    "day_total",
    "delivery",
    "health_book",
    "late",
    "metadata",
    "notification",
    "reach",
    "spend",
    "statement",
]
