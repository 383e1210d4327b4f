"""Every table of the ledger: what migrations must build."""

from spendwatch.store import (  # noqa: F401 -- each adds its tables to the metadata
    acknowledgement,
    alert,
    attempt,
    audit,
    balance_book,
    balance_memory,
    balance_reading,
    charged_value,
    content,
    cross_check,
    day,
    day_total,
    delivery,
    health_book,
    held,
    late_charges,
    notification,
    silence,
    source_memory,
    spend,
    statement,
    statement_day,
    watermark,
)
from spendwatch.store.columns import metadata

__all__ = ["metadata"]
