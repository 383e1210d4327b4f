"""Compares what the ledger says of days with a rebuild from archived files, or with what it would say after a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, select

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.money import exact_sums, plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, ChargeKind, DayKey, SeriesKey
from spendwatch.store.database import Database
from spendwatch.store.day import day, day_row, is_month
from spendwatch.store.spend import spend

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
            for one_day in sorted(found.keys() | told.keys()):
                if found.get(one_day) != told.get(one_day):
                    yield Mismatch(one_day, _sums(found.get(one_day, ())), _sums(told.get(one_day, ())))


def changes_of(database: Database, days: Iterable[ResolvedDay]) -> Iterator[Mismatch]:
    """Yield which of these days differ from what is on record."""
    with database.reading() as connection:
        for resolved in days:
            found = _roll_up(connection, resolved.key.month).get(resolved.key, ())
            place = day_row(resolved.key).values()
            rows = ((*place, *(one.value if isinstance(one, ChargeKind) else one for one in row)) for row in resolved.rows())
            if found != (told := tuple(sorted(rows, key=repr))):
                yield Mismatch(resolved.key, _sums(found), _sums(told))


def series_on_record(database: Database) -> frozenset[SeriesKey]:
    """Return every series that has lines."""
    with database.reading() as connection:
        query = select(day.c.account, day.c.period, day.c.series).distinct()
        found = connection.execute(query)
        return frozenset(SeriesKey(AccountId(row.account), BillingPeriod.parse(row.period), row.series) for row in found)


def _roll_up(connection: Connection, key: SeriesKey) -> dict[DayKey, tuple[tuple[object, ...], ...]]:
    """Return the rows of each day, without their place in it, in a fixed order."""
    days: dict[DayKey, list[tuple[object, ...]]] = {}
    for row in connection.execute(select(*_TOLD).where(is_month(spend, key))):
        days.setdefault(DayKey(key.account, key.period, key.series, row.day), []).append(tuple(row))
    return {one_day: tuple(sorted(rows, key=repr)) for one_day, rows in days.items()}


def _sums(rows: Iterable[tuple[object, ...]]) -> str:
    """Return what the rows add up to, by currency."""
    totals = exact_sums((str(row[_CURRENCY]), Decimal(str(row[_COST]))) for row in rows)
    return ", ".join(f"{currency} {plain(amount)}" for currency, amount in sorted(totals.items())) or "nothing"
