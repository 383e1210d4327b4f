"""The balance book: readings on record, the health of their sources, and the memory between rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Boolean, Column, Integer, Table, select

from spendwatch.domain.balance_reading import BalanceReading, RecordedReading
from spendwatch.domain.balance_watch import BalanceWatch
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast_alerts import Foretold
from spendwatch.domain.health import BalanceHealth
from spendwatch.domain.statement import AccountId
from spendwatch.store.balance_memory import foretold_on_record, put_foretold, put_watch, watches_on_record
from spendwatch.store.balance_reading import latest_readings, put_reading, readings_of
from spendwatch.store.columns import WELL, Choice, Moment, Row, StoredText, insert_into, metadata, note_failure
from spendwatch.store.database import Database

balance_health = Table(
    "balance_health",
    metadata,
    Column("account", StoredText, primary_key=True),
    Column("first_tried_at", Moment, nullable=False),
    Column("last_read_at", Moment),
    Column("failing_since", Moment),
    Column("failures", Integer, nullable=False),
    Column("trouble", StoredText, nullable=False),
    Column("is_lasting", Boolean, nullable=False),
    Column("cause", Choice(Failure)),
)

_WELL: Row = {**WELL, "is_lasting": False, "cause": None}


class BalanceBook:
    """Balances in a database."""

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        self._database = database

    def record(self, reading: BalanceReading) -> None:
        """Record a reading, in whichever order readings come; its source works."""
        well: Row = {"last_read_at": reading.read_at, **_WELL}
        first: Row = {"account": reading.account, "first_tried_at": reading.read_at}
        with self._database.writing() as connection:
            put_reading(connection, reading)
            insertion = insert_into(connection, balance_health).values({**first, **well})
            connection.execute(insertion.on_conflict_do_update(index_elements=[balance_health.c.account], set_=dict(well)))

    def failed(self, account: AccountId, why: str, *, at: datetime, is_lasting: bool, cause: Failure | None = None) -> None:
        """Record that the balance could not be read; `cause`: the kind of failure, where known."""
        kind: Row = {"is_lasting": is_lasting, "cause": cause}
        with self._database.writing() as connection:
            note_failure(connection, balance_health, {"account": account, "first_tried_at": at}, why, at=at, always=kind)

    def latest(self) -> Mapping[AccountId, RecordedReading]:
        """Return of each account the reading that holds for the latest moment."""
        with self._database.reading() as connection:
            return latest_readings(connection)

    def history(self, account: AccountId, limit: int = 1000) -> Sequence[RecordedReading]:
        """Return the readings of an account's balance, the latest first."""
        with self._database.reading() as connection:
            return readings_of(connection, account, limit)

    def health(self) -> Mapping[AccountId, BalanceHealth]:
        """Return how it went with each balance that was ever to be read."""
        with self._database.reading() as connection:
            return {row["account"]: BalanceHealth(**row) for row in connection.execute(select(balance_health)).mappings()}

    def watches(self) -> Mapping[AccountId, BalanceWatch]:
        """Return the last look at each balance."""
        with self._database.reading() as connection:
            return watches_on_record(connection)

    def remember(self, watches: Collection[BalanceWatch]) -> None:
        """Remember these looks in place of the ones before."""
        with self._database.writing() as connection:
            for watch in watches:
                put_watch(connection, watch)

    def foretold(self) -> Foretold:
        """Return what forecasts reached when they were judged last."""
        with self._database.reading() as connection:
            return foretold_on_record(connection)

    def foretell(self, foretold: Foretold) -> None:
        """Remember what forecasts reach in place of what they reached before."""
        with self._database.writing() as connection:
            put_foretold(connection, foretold)
