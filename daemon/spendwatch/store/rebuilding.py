"""Compares what the ledger says of days with a rebuild from archived files, or with what it would say after a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.money import exact_sums, plain
from spendwatch.domain.statement import DayKey, SeriesKey, SpendRow
from spendwatch.store.columns import columns_like
from spendwatch.store.database import Database
from spendwatch.store.day import day
from spendwatch.store.spend import rows_by_day


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
            found, told = rows_by_day(here, key), rows_by_day(there, key)
            for one_day in sorted(found.keys() | told.keys()):
                yield from _compared(one_day, found.get(one_day, ()), told.get(one_day, ()))


def changes_of(database: Database, days: Sequence[ResolvedDay]) -> Iterator[Mismatch]:
    """Yield which of these days differ from what is on record."""
    with database.reading() as connection:
        for month, of_month in groupby(sorted(days, key=lambda day: day.key), key=lambda day: day.key.month):
            found = rows_by_day(connection, month)
            for one in of_month:
                yield from _compared(one.key, found.get(one.key, ()), one.rows())


def series_on_record(database: Database) -> frozenset[SeriesKey]:
    """Return every series that has lines."""
    with database.reading() as connection:
        found = connection.execute(select(*columns_like(day, SeriesKey)).distinct())
        return frozenset(SeriesKey(*row) for row in found)


def _compared(day: DayKey, here: Iterable[SpendRow], there: Iterable[SpendRow]) -> Iterator[Mismatch]:
    found, told = sorted(here, key=repr), sorted(there, key=repr)
    if found != told:
        yield Mismatch(day, _sums(found), _sums(told))


def _sums(rows: Iterable[SpendRow]) -> str:
    """Return what the rows add up to, by currency."""
    totals = exact_sums((row.currency, row.billed_cost) for row in rows)
    return ", ".join(f"{currency} {plain(amount)}" for currency, amount in sorted(totals.items())) or "nothing"
