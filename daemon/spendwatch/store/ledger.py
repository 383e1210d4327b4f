"""The ledger: statements on record, their lines, and the roll-up. Recording a file is one transaction over all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Connection

from spendwatch.domain.errors import LedgerChangedError
from spendwatch.domain.health import Rejection
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId, DayKey, Digest, MergedDay, SourceName, Statement
from spendwatch.store.chunk import confirm, confirmations, content_of, held_digests, put_chunk
from spendwatch.store.database import Database
from spendwatch.store.reach import current_revision, extend_reach, hold_revision, next_revision, reach_by_account
from spendwatch.store.spend import commodities_since, periods_by_account, put_rows, sums
from spendwatch.store.statement import EnteredStatement, enter, is_entered, latest_statements, put_rejection, rejections_since

_CHANGED = "the days of this bill were changed by somebody else since they were read"


class Ledger:
    """The ledger in a database."""

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        self._database = database

    def has(self, digest: Digest, exported_at: datetime | None = None) -> bool:
        """Tell whether the same bytes were entered before; if `exported_at` is given, from an export of then or later."""
        with self._database.reading() as connection:
            return is_entered(connection, digest, exported_at)

    def held(self, days: Iterable[DayKey]) -> Mapping[DayKey, Digest]:
        """Return the content digests of those days that are on record."""
        with self._database.reading() as connection:
            return held_digests(connection, days)

    def chunk(self, day: DayKey) -> bytes | None:
        """Return the lines of a day as they were recorded."""
        with self._database.reading() as connection:
            return content_of(connection, day)

    def confirmed(self, days: Iterable[DayKey]) -> Mapping[DayKey, datetime]:
        """Return of those days that were confirmed as a whole by later statements up to which stamp."""
        with self._database.reading() as connection:
            return confirmations(connection, days)

    def record(
        self,
        statement: Statement,
        days: Sequence[MergedDay],
        *,
        name: str,
        source: SourceName,
        held: Mapping[DayKey, Digest],
        now: datetime,
    ) -> None:
        """Record a statement and the merged days in one transaction. A file that is on record already changes nothing.

        `held` are the digests the merge was based on; if one of them has changed meanwhile: `LedgerChangedError`.
        """
        with self._database.writing() as connection:
            hold_revision(connection)
            if is_entered(connection, statement.digest, statement.exported_at):
                return
            _require_unchanged(connection, days, held)
            _confirm_the_same(connection, statement, days)
            enter(connection, statement, days, name=name, source=source, now=now)
            for day in days:
                put_chunk(connection, day)
                put_rows(connection, day)
            extend_reach(connection, statement)
            next_revision(connection)

    def refuse(self, rejection: Rejection) -> None:
        """Record that a file was refused. The same digest twice is recorded once."""
        with self._database.writing() as connection:
            put_rejection(connection, rejection)

    def revision(self) -> int:
        """Return a number that grows with every change of the recorded spend."""
        with self._database.reading() as connection:
            return current_revision(connection)

    def spend(
        self,
        period: BillingPeriod,
        by: Sequence[Dimension],
        *,
        products: Sequence[str] | None = None,
        days: tuple[date, date] | None = None,
    ) -> Sequence[SpendSum]:
        """Return exact sums by these dimensions and the currency, in their order.

        `products` None means all of them; `days` are the first day, and the first that no longer belongs.
        """
        with self._database.reading() as connection:
            return sums(connection, period, by, products=products, days=days)

    def data_until(self) -> Mapping[AccountId, datetime]:
        """Return for each account the latest moment that any of its lines charges for."""
        with self._database.reading() as connection:
            return reach_by_account(connection)

    def rejections(self, since: datetime) -> Sequence[Rejection]:
        """Return the files refused since then, the oldest first."""
        with self._database.reading() as connection:
            return rejections_since(connection, since)

    def statements(self, limit: int) -> Sequence[EnteredStatement]:
        """Return the statements entered last, the latest first."""
        with self._database.reading() as connection:
            return latest_statements(connection, limit)

    def periods(self) -> Mapping[AccountId, tuple[BillingPeriod, ...]]:
        """Return the periods on record of each account, the oldest first."""
        with self._database.reading() as connection:
            return periods_by_account(connection)

    def recent_commodities(self, since: date) -> Mapping[AccountId, tuple[frozenset[str], bool]]:
        """Return each account's commodity codes since that day, and whether free lines were among its charges."""
        with self._database.reading() as connection:
            return commodities_since(connection, since)


def _confirm_the_same(connection: Connection, statement: Statement, days: Sequence[MergedDay]) -> None:
    """Note of the days that the statement only repeats how new they are now."""
    written, stamp = {day.key for day in days}, statement.stamp
    for day in statement.days:
        if stamp and day.key not in written and not confirm(connection, day.key, day.digest, stamp):
            raise LedgerChangedError(_CHANGED)


def _require_unchanged(connection: Connection, days: Sequence[MergedDay], held: Mapping[DayKey, Digest]) -> None:
    concerned = {day.key for day in days} | set(held)
    if held_digests(connection, concerned) != dict(held):
        raise LedgerChangedError(_CHANGED)
