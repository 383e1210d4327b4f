"""Daily usage, and the days for which it is known: the basis of every run rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.money import Currency
from spendwatch.domain.period import PROVIDER_ZONE, ShortPeriod
from spendwatch.domain.run_rate import REMEMBERED, days_up_to
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import ChargeKind, DayKey, SeriesKey

PACED = (ChargeKind.USAGE, ChargeKind.OTHER)
"""Charges that make a pace: subscriptions, refunds, adjustments and rounding come once and say nothing of tomorrow."""

_PACED = frozenset(kind.value for kind in PACED)
_LATE = timedelta(days=2)
"""Bills may be late by a day or two: the day in which the data end is incomplete, and so may be the one before."""
_DAY = timedelta(days=1)


class Usage(NamedTuple):
    """What was used on each day by whatever has these values; a day that is not named used nothing."""

    values: Mapping[Dimension, str]
    currency: Currency
    daily: Mapping[date, Decimal]


def is_paced(spent: SpendSum) -> bool:
    """Return whether it makes a pace. The sums must be grouped by charge."""
    return spent.values[Dimension.CHARGE] in _PACED


def last_complete_day(data_until: datetime, zone: tzinfo) -> date:
    """Return the last day of which everything should be on record."""
    return data_until.astimezone(zone).date() - _LATE


def is_complete(period: ShortPeriod, data_until: datetime | None) -> bool:
    """Return whether everything of a day or a week should be on record."""
    return data_until is not None and last_complete_day(data_until, PROVIDER_ZONE) >= period.span.last


def days_that_count(through: date) -> tuple[date, date]:
    """Return the first day that a pace looks at, and the first that it does not."""
    return through - timedelta(days=REMEMBERED - 1), through + _DAY


class TellingDays(NamedTuple):
    """Of which days statements have lines, and what complete ones speak of."""

    lines: Mapping[DayKey, tuple[datetime, int]]
    """How new the newest statement is that has lines of a day, and how many statements have."""
    complete: tuple[tuple[SeriesKey, date, date, datetime], ...] = ()
    """Series, first and last day, and up to when the statement reaches."""


def unknown_days(series: Iterable[SeriesKey], told: TellingDays, through: date) -> frozenset[date]:
    """Return the days, of those that count for a pace, of which nobody knows whether anything was used.

    A day without lines used nothing if a bill tells of it all the same: one that is complete, or one that was written after
    it and tells of days before it. Else its bill may just be missing, as where each day comes in a file of its own.
    """
    return unknown_among(days_up_to(through), series, told)


def unknown_among(days: Iterable[date], series: Iterable[SeriesKey], told: TellingDays) -> frozenset[date]:
    """Return those of these days of which no bill of the series tells."""
    with_lines, wanted = {key.day for key in told.lines}, tuple(series)
    return frozenset(day for day in days if day not in with_lines and not _is_told(day, wanted, told))


def _is_told(day: date, series: Iterable[SeriesKey], told: TellingDays) -> bool:
    over = datetime.combine(day + _DAY, time(), PROVIDER_ZONE)
    for one in series:
        if day not in one.period:
            continue
        spoken_of = (span for span in told.complete if span[0] == one)
        if any(first <= day <= last or reach >= over for _, first, last, reach in spoken_of):
            return True
        return any(newest >= over for key, (newest, _) in told.lines.items() if key.month == one and key.day < day)
    return False
