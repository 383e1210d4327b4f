"""Daily usage, and the days for which it is known: the basis of every run rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.merging import Held, HeldDay
from spendwatch.domain.money import Currency
from spendwatch.domain.pace import REMEMBERED
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import ChargeKind, DayKey, SeriesKey

PACED = (ChargeKind.USAGE, ChargeKind.OTHER)
"""Charges that make a pace: subscriptions, refunds, adjustments and rounding come once and say nothing of tomorrow."""

_LATE = timedelta(days=2)
"""Bills may be late by a day or two: the day in which the data end is incomplete, and so may be the one before."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used on each day by whatever has these values; a day that is not named used nothing."""

    values: Mapping[Dimension, str]
    currency: Currency
    daily: Mapping[date, Decimal]


def last_complete_day(data_until: datetime, zone: tzinfo) -> date:
    """Return the last day of which everything should be on record."""
    return data_until.astimezone(zone).date() - _LATE


def days_that_count(through: date) -> tuple[date, date]:
    """Return the first day that a pace looks at, and the first that it does not."""
    return through - timedelta(days=REMEMBERED - 1), through + _DAY


def unknown_days(series: Iterable[SeriesKey], held: Held, through: date) -> frozenset[date]:
    """Return the days, of those that count for a pace, of which nobody knows whether anything was used.

    A day without lines used nothing if a bill tells of it all the same: one that is complete, or one that was written after
    it and tells of days before it. Else its bill may just be missing, as where each day comes in a file of its own.
    """
    first, end = days_that_count(through)
    with_lines = {key.day for key in held.days}
    wanted = tuple(series)
    days = (first + timedelta(days=count) for count in range((end - first).days))
    return frozenset(day for day in days if day not in with_lines and not _is_told(day, wanted, held))


def _is_told(day: date, series: Iterable[SeriesKey], held: Held) -> bool:
    over = (day + _DAY).strftime("%Y%m%d000000")
    for one in series:
        if day not in one.period:
            continue
        key = DayKey(one.account, one.period, one.series, day)
        if any(told.covers(key) or (told.series == one and told.reach >= over) for told in held.coverage):
            return True
        return any(_is_newer(earlier, over) for earlier in _before(day, one, held))
    return False


def _before(day: date, series: SeriesKey, held: Held) -> Iterator[HeldDay]:
    return (known for key, known in held.days.items() if key.month == series and key.day < day)


def _is_newer(day: HeldDay, stamp: str) -> bool:
    return not day.stamps or max(day.confirmed, *day.stamps) >= stamp
