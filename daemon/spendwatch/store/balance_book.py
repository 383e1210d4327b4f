"""The balance book: readings on record, the health of their sources, and the memory between rounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Table

from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.failure import Failure
from spendwatch.domain.health import BalanceHealth
from spendwatch.domain.statement import AccountId
from spendwatch.store.balance_memory import (
    foretold_on_record,
    put_foretold,
    put_since,
    put_watches,
    since_on_record,
    watches_on_record,
)
from spendwatch.store.balance_reading import latest_readings, put_reading, readings_of
from spendwatch.store.columns import WELL, Row, all_of, columns_of, metadata, note_failure, upsert
from spendwatch.store.database import Book, reads, writes

balance_health = Table("balance_health", metadata, *columns_of(BalanceHealth, key="account"))

_WELL: Row = {**WELL, "is_lasting": False, "cause": None}


class BalanceBook(Book):
    """Balances in a database."""

    latest = reads(latest_readings)
    history = reads(readings_of)
    watches = reads(watches_on_record)
    remember = writes(put_watches)
    foretold = reads(foretold_on_record)
    foretell = writes(put_foretold)
    watched_since = reads(since_on_record)
    watch_since = writes(put_since)

    def record(self, reading: BalanceReading) -> None:
        """Record a reading, in whichever order readings come; its source works."""
        first: Row = {"account": reading.account, "first_tried_at": reading.read_at}
        with self._database.writing() as connection:
            put_reading(connection, reading)
            upsert(connection, balance_health, {**first, **_WELL}, _WELL)

    def failed(self, account: AccountId, why: str, *, at: datetime, is_lasting: bool, cause: Failure | None = None) -> None:
        """Record that the balance could not be read; `cause`: the kind of failure, where known."""
        kind: Row = {"is_lasting": is_lasting, "cause": cause}
        with self._database.writing() as connection:
            note_failure(connection, balance_health, {"account": account, "first_tried_at": at}, why, at=at, always=kind)

    def health(self) -> Mapping[AccountId, BalanceHealth]:
        """Return how it went with each balance that was ever to be read."""
        with self._database.reading() as connection:
            return {one.account: one for one in all_of(balance_health, BalanceHealth)(connection)}
