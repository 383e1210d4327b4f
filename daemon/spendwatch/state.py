"""Opens the stored state and provides the system clock: everything that read-only commands need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from spendwatch.lean import on_demand

# SQLAlchemy imports them for what we do not do with it: 30 ms of each command.
with (
    on_demand("asyncio", "iscoroutine"),
    on_demand("importlib.metadata"),
    on_demand("hashlib"),
    on_demand("sqlalchemy.dialects.sqlite.aiosqlite"),
):
    from spendwatch.store import alert_book, balance_book, health_book, ledger, outbox, source_memory

# isort: split
from spendwatch.domain.period import FIRST_RELEASE, Clock
from spendwatch.settings import Settings
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database


def system_clock() -> datetime:
    """Say what time it is."""
    return datetime.now(UTC)  # noqa: TID251 -- the one place that asks


def clock_offset() -> float:
    """Return the difference to a steady clock, in seconds: it changes when the wall clock is set.

    Where there is one, that clock goes on while the machine sleeps: to wake up later is no step.
    """
    return system_clock().timestamp() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def not_before(clock: Clock, newest: Callable[[], datetime | None]) -> Clock:
    """Return the clock; while it was never set since the machine started, it shows the newest moment on record instead."""

    def now() -> datetime:
        moment = clock()
        return moment if moment >= FIRST_RELEASE else max(moment, newest() or moment)

    return now


class Store(NamedTuple):
    """What survives a restart."""

    database: Database
    ledger: ledger.Ledger
    book: alert_book.AlertBook
    outbox: outbox.Outbox
    health: health_book.HealthBook
    balances: balance_book.BalanceBook
    memory: source_memory.SourceMemory
    """What the sources remember."""

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
            source_memory.SourceMemory(database),
        )


@contextmanager
def opened_store(settings: Settings, *, read_only: bool = False) -> Iterator[Store]:
    """Open the state named in the settings, and close it afterwards."""
    database = open_database(settings.state, read_only=read_only, password_file=settings.state_password_file)
    try:
        yield Store.of(database)
    finally:
        database.close()


@contextmanager
def scratch_database() -> Iterator[Database]:
    """Give an empty ledger in a scratch place."""
    import tempfile  # noqa: PLC0415 -- only needed here: it loads three ways to compress

    with tempfile.TemporaryDirectory(prefix="spendwatch-") as folder:
        database = open_database(str(Path(folder) / "scratch.db"))
        try:
            yield database
        finally:
            database.close()
