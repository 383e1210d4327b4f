"""Every table of the ledger, gathered: what migrations must build."""

from spendwatch.store import alert, chunk, delivery, health_book, notification, reach, spend, statement
from spendwatch.store.columns import metadata

__all__ = ["alert", "chunk", "delivery", "health_book", "metadata", "notification", "reach", "spend", "statement"]
