"""Opens what survives a restart, and says what time it is: all that a command needs which only looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from spendwatch.settings import Settings
from spendwatch.store import alert_book, balance_book, health_book, ledger, outbox
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database


def system_clock() -> datetime:
    """Say what time it is."""
    return datetime.now(UTC)  # noqa: TID251 -- the one place that asks


@dataclass(frozen=True, slots=True)
class Store:
    """What survives a restart."""

    database: Database
    ledger: ledger.Ledger
    book: alert_book.AlertBook
    outbox: outbox.Outbox
    health: health_book.HealthBook
    balances: balance_book.BalanceBook

    @classmethod
    def of(cls, database: Database) -> Store:
        """Return the tables of one database."""
        return cls(
            database,
            ledger.Ledger(database),
            alert_book.AlertBook(database),
            outbox.Outbox(database),
            health_book.HealthBook(database),
            balance_book.BalanceBook(database),
        )


@contextmanager
def opened_store(settings: Settings, *, read_only: bool = False) -> Iterator[Store]:
    """Open the state named in the settings, and close it afterwards."""
    database = open_database(settings.state, read_only=read_only, password_file=settings.state_password_file)
    try:
        yield Store.of(database)
    finally:
        database.close()
