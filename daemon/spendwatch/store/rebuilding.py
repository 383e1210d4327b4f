"""Compares or replaces the ledger with a rebuild from archived files: to verify it, or to remove a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, delete, insert, literal, select, update

from spendwatch.domain.errors import LedgerChangedError
from spendwatch.domain.money import EXACT, plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, DayKey, Digest, SeriesKey
from spendwatch.store.audit import Deed, note_deed
from spendwatch.store.chunk import chunk, is_month
from spendwatch.store.columns import BATCH, batches
from spendwatch.store.coverage import coverage
from spendwatch.store.database import Database
from spendwatch.store.day_total import day_total
from spendwatch.store.reach import current_revision, hold_revision, next_revision, reach
from spendwatch.store.spend import spend
from spendwatch.store.statement import statement

_TABLES = (chunk, spend, day_total, coverage)
"""What is rebuilt of a series, in the order in which it can be put."""

_TOLD = tuple(column for column in spend.c if column.name != "position")
_CURRENCY, _COST = ([column.name for column in _TOLD].index(name) for name in ("currency", "billed_cost"))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A day on which two ledgers do not say the same."""

    day: DayKey
    here: str
    """What the first says: sums by currency, as text."""
    there: str


def mismatches(one: Database, other: Database, series: Iterable[SeriesKey]) -> Iterator[Mismatch]:
    """Yield the days of these series on which the roll-ups differ in anything but their order."""
    with one.reading() as here, other.reading() as there:
        for key in sorted(set(series)):
            found, told = _roll_up(here, key), _roll_up(there, key)
            for day in sorted(found.keys() | told.keys()):
                if found.get(day) != told.get(day):
                    yield Mismatch(day, _sums(found.get(day, ())), _sums(told.get(day, ())))


def copy_sums(original: Database, copy: Database, month: BillingPeriod | None) -> None:
    """Give an empty copy what the original says at this moment, of that month or of all, its lines left aside."""
    with original.reading() as source, copy.writing() as target:
        for table in (chunk, spend):
            columns = [literal(b"").label(column.name) if column is chunk.c.content else column for column in table.c]
            query = select(*columns) if month is None else select(*columns).where(table.c.period == month.label)
            found = source.execution_options(yield_per=BATCH).execute(query).mappings()
            for batch in batches(dict(row) for row in found):
                target.execute(insert(table), batch)


def series_on_record(database: Database) -> frozenset[SeriesKey]:
    """Return every series that has lines."""
    with database.reading() as connection:
        query = select(chunk.c.account, chunk.c.period, chunk.c.series).distinct()
        found = connection.execute(query)
        return frozenset(SeriesKey(AccountId(row.account), BillingPeriod.parse(row.period), row.series) for row in found)


def replace_series(
    database: Database, rebuilt: Database, series: Iterable[SeriesKey], removed: Digest, deed: Deed, *, revision: int
) -> None:
    """Put what was rebuilt in the place of these series, forget the removed statement, and note who did it: all or nothing.

    `LedgerChangedError` when something was entered since that revision.
    """
    keys = sorted(set(series))
    with rebuilt.reading() as source, database.writing() as target:
        hold_revision(target)
        if current_revision(target) != revision:
            msg = "a bill was recorded meanwhile: try again"
            raise LedgerChangedError(msg)
        for key in keys:
            _replace(source, target, key)
        target.execute(delete(statement).where(statement.c.identity == removed))
        note_deed(target, deed)
        next_revision(target)


def _replace(source: Connection, target: Connection, key: SeriesKey) -> None:
    for table in reversed(_TABLES):
        target.execute(delete(table).where(is_month(table, key)))
    for table in _TABLES:
        rows = (dict(row) for row in source.execute(select(table).where(is_month(table, key))).mappings())
        for batch in batches(rows):
            target.execute(insert(table), batch)
    # Since when the month is known stays as it was: only up to when it reaches is rebuilt.
    until = source.scalar(select(reach.c.data_until).where(is_month(reach, key)))
    if until is None:
        target.execute(delete(reach).where(is_month(reach, key)))
    else:
        target.execute(update(reach).where(is_month(reach, key)).values(data_until=until))


def _roll_up(connection: Connection, key: SeriesKey) -> dict[DayKey, tuple[tuple[object, ...], ...]]:
    """Return the rows of each day, without their place in it, in a fixed order."""
    days: dict[DayKey, list[tuple[object, ...]]] = {}
    for row in connection.execute(select(*_TOLD).where(is_month(spend, key))):
        days.setdefault(DayKey(key.account, key.period, key.series, row.day), []).append(tuple(row))
    return {day: tuple(sorted(rows, key=repr)) for day, rows in days.items()}


def _sums(rows: Iterable[tuple[object, ...]]) -> str:
    """Return what the rows add up to, by currency."""
    totals: dict[str, Decimal] = {}
    for row in rows:
        currency, cost = str(row[_CURRENCY]), row[_COST]
        totals[currency] = EXACT.add(totals.get(currency, Decimal(0)), Decimal(str(cost)))
    return ", ".join(f"{currency} {plain(amount)}" for currency, amount in sorted(totals.items())) or "nothing"
