"""The run rate of one scope, computed from its complete days: the basis of forecasts. Estimates only.

The statistics use floats, but no float becomes money: each amount is first divided, as a decimal, by the largest one, so that
the same spend in another unit gives exactly the same run rate. Conversion to money rounds to cents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate
from math import ceil, exp, log, sqrt
from typing import NamedTuple

from spendwatch.domain.baseline import LEVEL_DAYS, WARM_UP, follow

FEWEST_DAYS = 5
"""Complete days below which there is no pace."""

REMEMBERED = 42
"""Complete days that count. What is older than six weeks says little about the next ones."""

HORIZON = 400
"""Days beyond which nothing is foretold."""

_ROUGH = Context(prec=12)
_NOTHING, _ONE = Decimal(0), Decimal(1)

_WEEK = 7
_EVEN_WEEK = (1.0,) * _WEEK
_FEWEST_OF_A_WEEKDAY = 2
# A median's standard error is 1.25 that of a mean, a standard deviation 1.25 mean absolute ones.
_MEDIAN_ERROR = 1.57

_WEEKS_OF_GROWTH, _CLEAR_GROWTH, _MOST_GROWTH = 4, 1.05, 0.05
# Growth wears off, or every forecast of it ends beyond all measure; the band's upper end lets it go on for a month.
_DAMPING, _GROWS_FOR = 0.97, 30

_SOON, _LATER = 2, 14
_TRIED_FROM = 5
_LEAST_USUAL = 0.1
_BAND_END = 0.9
# Halved to doubled: what an account with few days of data may do next.
_DOUBTS = (0.5, 0.75, 1.0, 4 / 3, 2.0)
_WORST = 10.0


class TooEarly(NamedTuple):
    """There are too few complete days for a forecast."""

    days: int
    """Complete days that are known, from the first spend on."""
    needed: int = FEWEST_DAYS


@dataclass(frozen=True, slots=True)
class TooOld:
    """The data are too old for a forecast."""

    until: datetime
    """Up to when there are bills."""


class RunRate(NamedTuple):
    """How the spend goes from day to day."""

    through: date
    """The last complete day."""
    days: int
    """Complete days it rests on."""
    unit: Decimal
    """The money that 1.0 stands for."""
    level: float
    """The likely spend of a usual day."""
    week: tuple[float, ...]
    """Each weekday's share of a usual day, Monday first."""
    growth: float
    """The logarithm by which the level grows a day; 0 unless growth is clearly there."""
    soon: tuple[float, float]
    """Between which factors of what is estimated the spend of two days lies, 8 times in 10."""
    later: tuple[float, float]
    """The same of two weeks."""
    rival: float | None = None
    """Another level that may prove right, before or after a step that may be one: the band reaches to it."""

    def ahead(self, start: date, elapsed: float) -> Iterator[tuple[int, float, float, float]]:
        """Yield each day's ordinal and the low, likely and high spend from the moment in `start` to the end of that day.

        `elapsed` is the share of `start` that has passed.
        """
        first, known = start.toordinal(), self.through.toordinal()
        level, rival, week, growth = self.level, self.rival, self.week, self.growth
        (low_soon, high_soon), (low_later, high_later) = self.soon, self.later
        flat = grown = most = low = high = 0.0
        for day in range(first, min(first + HORIZON, date.max.toordinal())):
            share = week[(day - 1) % _WEEK] * (1 if day > first else 1 - elapsed)
            flat += share
            if growth:
                grown += share * exp(growth * _DAMPING * (1 - _DAMPING ** (day - known)) / (1 - _DAMPING))
                most += share * exp(growth * min(day - known, _GROWS_FOR))
            else:
                grown = most = flat
            part = min(max(day - first + 1 - _SOON, 0) / (_LATER - _SOON), 1)
            likely = level * grown
            least = level * flat * (low_soon + (low_later - low_soon) * part)
            utmost = level * most * (high_soon + (high_later - high_soon) * part)
            if rival is not None:
                least, utmost = min(least, rival * flat), max(utmost, rival * flat)
            low, high = max(low, least), max(high, utmost)
            yield day, min(low, likely), likely, max(high, likely)


def run_rate_of(
    daily: Mapping[date, Decimal], *, through: date, unknown: AbstractSet[date] = frozenset()
) -> RunRate | TooEarly:
    """Return the pace of the spend up to `through`, the last complete day.

    `daily` is usage alone: subscriptions and other upfront purchases, refunds and adjustments are no pace, and the caller
    leaves them out. A day that it does not name spent nothing; a day of `unknown` (incomplete, or never delivered) is left
    out. Days before the first spend say nothing, nor do those after `through`; a negative day counts as nothing spent.
    """
    amounts, unit = _series(daily, through, unknown)
    days = len(amounts) - (amounts.count(None) if unknown else 0)
    if days < FEWEST_DAYS:
        return TooEarly(days)
    growth = growth_of(amounts)
    if growth:
        amounts = [
            None if amount is None else amount * exp(growth * back)
            for amount, back in zip(amounts, range(len(amounts) - 1, -1, -1), strict=True)
        ]
    first = (through.toordinal() - len(amounts)) % _WEEK
    week = shares_of_week(amounts, first)
    shares = (week * (len(amounts) // _WEEK + 2))[first : first + len(amounts)]
    baseline, before = follow(amounts, shares)
    soon, later = _misses(amounts, shares, before, days, baseline.days)
    return RunRate(through, days, unit, baseline.value, week, growth, soon, later, baseline.rival)


def _series(daily: Mapping[date, Decimal], through: date, unknown: AbstractSet[date]) -> tuple[list[float | None], Decimal]:
    """Return the amounts of the days that count as parts of the largest one, and that; an unknown day is None."""
    days = days_up_to(through)
    spent = [None if day in unknown else daily.get(day, _NOTHING) for day in days]
    unit = max((amount for amount in spent if amount is not None), default=_NOTHING)
    if unit <= 0:
        since = min((day for day in daily if day not in unknown), default=date.max)
        return [None if amount is None else 0.0 for day, amount in zip(days, spent, strict=True) if day >= since], _ONE
    first = next(place for place, amount in enumerate(spent) if amount is not None and amount > 0)
    return [
        None if amount is None else float(_ROUGH.divide(amount, unit)) if amount > 0 else 0.0 for amount in spent[first:]
    ], unit


@lru_cache(maxsize=8)
def days_up_to(through: date) -> tuple[date, ...]:
    """Return the days that count for a run rate up to this one, the oldest first."""
    last = through.toordinal()
    return tuple(date.fromordinal(day) for day in range(max(last - REMEMBERED, 0) + 1, last + 1))


def growth_of(amounts: Sequence[float | None]) -> float:
    """Return the daily growth where each of the last four weeks, less its best and its worst day, is above the one before."""
    weeks: list[float] = []
    for end in range(len(amounts), len(amounts) - _WEEKS_OF_GROWTH * _WEEK, -_WEEK):
        known = sorted(amount for amount in amounts[max(end - _WEEK, 0) : end] if amount is not None)
        early = sum(known[1:-1])
        if len(known) < _WEEK or early <= 0 or (weeks and weeks[-1] < early * _CLEAR_GROWTH):
            return 0.0
        weeks.append(early)
    return min(log(weeks[0] / weeks[-1]) / ((_WEEKS_OF_GROWTH - 1) * _WEEK), _MOST_GROWTH)


def shares_of_week(amounts: Sequence[float | None], first: int) -> tuple[float, ...]:
    """Return each weekday's share of a usual day: the median of its ratios to the week around it, less what may be noise."""
    if len(amounts) < _FEWEST_OF_A_WEEKDAY * _WEEK:
        return _EVEN_WEEK
    around = _weeks_around(amounts)
    places = [(day - first) % _WEEK for day in range(_WEEK)]
    ratios = [
        sorted(
            amount / mean
            for amount, mean in zip(amounts[place::_WEEK], around[place::_WEEK], strict=True)
            if mean > 0 and amount is not None
        )
        for place in places
    ]
    if min(map(len, ratios)) < _FEWEST_OF_A_WEEKDAY:
        return _EVEN_WEEK
    middles = [(found[len(found) // 2] + found[(len(found) - 1) // 2]) / 2 for found in ratios]
    mean = sum(middles) / _WEEK
    apart = sum((middle - mean) ** 2 for middle in middles) / (_WEEK - 1)
    if mean <= 0 or apart <= 0:
        return _EVEN_WEEK
    count = sum(map(len, ratios))
    deviation = sum(abs(ratio - middle) for found, middle in zip(ratios, middles, strict=True) for ratio in found) / count
    noise = (_MEDIAN_ERROR * deviation) ** 2 / (count / _WEEK - 1)
    trust = max(0.0, 1 - noise / apart)
    return tuple(1 + trust * (middle / mean - 1) for middle in middles)


def _weeks_around(amounts: Sequence[float | None]) -> list[float]:
    """Return for each day the spend of the seven days around it, or the first or last seven; 0 where one of them is unknown."""
    sums = list(accumulate((amount or 0.0 for amount in amounts), initial=0.0))
    weeks = [end - start for start, end in zip(sums, sums[_WEEK:], strict=False)]
    if None in amounts:
        weeks = [0.0 if None in amounts[start : start + _WEEK] else week for start, week in enumerate(weeks)]
    return [weeks[0]] * (_WEEK // 2) + weeks + [weeks[-1]] * (_WEEK // 2)


def _misses(
    amounts: Sequence[float | None], shares: Sequence[float], levels: Sequence[float], known_days: int, rests_on: int
) -> Iterator[tuple[float, float]]:
    """Yield between which factors of the estimate the spend of the next days lies, by how the same estimate fared so far.

    A few made-up misses stand for what a short history has not met; they weigh less with every day. A level that rests on
    few days misses by more.
    """
    spent = list(accumulate((amount or 0.0 for amount in amounts), initial=0.0))
    known = (0.0 if amount is None else share for amount, share in zip(amounts, shares, strict=True))
    usual = list(accumulate(known, initial=0.0))
    tried = list(zip(levels, spent, usual, strict=False))[_TRIED_FROM:]
    typical = min(LEVEL_DAYS, max(known_days / 2, WARM_UP))
    for days in (_SOON, _LATER):
        later = zip(tried, spent[_TRIED_FROM + days :], usual[_TRIED_FROM + days :], strict=False)
        factors = [
            (then - now) / (level * (due - done))
            for (level, now, done), then, due in later
            if level > 0 and due - done > _LEAST_USUAL
        ]
        factors.extend(_DOUBTS)
        factors.sort()
        beyond = len(factors) - min(len(factors), ceil((len(factors) + 1) * _BAND_END))
        wider = max(1.0, sqrt((1 / rests_on + 1 / days) / (1 / typical + 1 / days)))
        low = max(0.0, min(1.0, 1 - (1 - factors[beyond]) * wider))
        yield low, max(1.0, 1 + (min(factors[-1 - beyond], _WORST) - 1) * wider)
