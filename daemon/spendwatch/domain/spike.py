"""The usual spend of a weekday, and days that cost far more. Estimates; only what a day cost is exact.

A history has a float for each day before a day, the oldest first; NaN is a day of which nothing is known. No float becomes
money but the ends of a band, rounded to cents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import exp, isnan

from spendwatch.domain.baseline import band_after
from spendwatch.domain.money import Money, in_cents
from spendwatch.domain.policy import Watch
from spendwatch.domain.run_rate import TooEarly, growth_of, shares_of_week

_NOTHING = Decimal(0)

FEWEST_DAYS = 14
"""Known days, from the first spend on, below which nothing is called usual."""

_WEEK = 7
# The weekday of a day that nobody looks at twice costs less than a third more than it does in half of all weeks.
_WORTH_A_LOOK = 1.3
# A quiet weekday's own spend would be too small a measure, and says nothing of whether something goes on.
_LEAST_SHARE, _QUIET = 0.25, 0.5
# What happened four times in six weeks is usual.
_NOT_RARE = 4
# A level that was reported is reported again where it grows by half once more.
_CLEARLY_MORE = 1.5


@dataclass(frozen=True, slots=True)
class UsualSpend:
    """Between which amounts the spend of a day usually lies."""

    low: float
    high: float
    reported: float = 0.0
    """A day that goes on with what was above the band before has to be above this, too."""


@dataclass(frozen=True, slots=True)
class SpendOn:
    """What a scope spent on a day, beside what it usually spends on such a day."""

    name: str
    """Of the scope, as people call it."""
    scope: str
    """The scope itself, as JSON shows it."""
    spend: Money
    low: Money
    high: Money
    least: Money | None = None
    """By how much a day of a wider scope has to be above the band."""


@dataclass(frozen=True, slots=True)
class Spike:
    """A day that cost far more than usual."""

    day: date
    found: SpendOn
    least: Money
    """By how much a day has to be above the band."""
    is_complete: bool
    """Whether everything of that day should be on record."""
    also: tuple[SpendOn, ...] = ()
    """The wider scopes that it makes unusual, too."""


def usual_spend(history: Sequence[float], day: date) -> UsualSpend | TooEarly:
    """Return what `day` usually costs, by the days before it: the band of its weekday around the baseline of a forecast.

    It reaches to what happened three times before, so that a monthly job is none; after a step it reaches to the level before.
    A new level is the usual one from its third day on; until then, as long as it lasts, only what is clearly more counts.
    """
    start = next((place for place, amount in enumerate(history) if amount > 0), len(history))
    amounts = [None if isnan(amount) else max(amount, 0.0) for amount in history[start:]]
    count, known = len(amounts), len(amounts) - amounts.count(None)
    if known < FEWEST_DAYS:
        return TooEarly(known, FEWEST_DAYS)
    if growth := growth_of(amounts):
        amounts = [None if one is None else one * exp(growth * (count - place)) for place, one in enumerate(amounts)]
    first = (day.weekday() - count) % _WEEK
    week = shares_of_week(amounts, first)
    *shares, share = (week * (count // _WEEK + 2))[first : first + count + 1]
    days = [(amount, one) for amount, one in zip(amounts, shares, strict=True) if amount is not None]
    levels = sorted(amount / one for amount, one in days if one >= _LEAST_SHARE)
    rare = levels[-_NOT_RARE] if len(levels) >= _NOT_RARE else 0.0
    band = band_after(amounts, shares)
    reported = 0.0
    for amount, one in reversed(days):
        if amount > max(band(one)[1], rare * one):
            reported = max(reported, amount / max(one, _LEAST_SHARE))
        elif one >= _QUIET:
            break
    low, high = band(share)
    # A weekend may be worked like any weekday, in place of a holiday.
    working_day = levels[len(levels) // 2] * max(week) if share < _QUIET else 0.0
    return UsualSpend(low, max(high, rare * share, working_day), _CLEARLY_MORE * reported * max(share, _LEAST_SHARE))


def is_worth_a_look(history: Sequence[float], spent: Decimal) -> bool:
    """Return whether the day after these may be one at all: few are, and to know what is usual takes long."""
    same = sorted(amount for amount in history[-_WEEK::-_WEEK] if not isnan(amount))
    return not same or float(spent) > _WORTH_A_LOOK * same[len(same) // 2]


def spike_on(day: date, spend: Money, history: Sequence[float], watch: Watch, *, is_complete: bool) -> Spike | TooEarly | None:
    """Return whether that day costs at least as much more than the upper end of its band as its watch wants."""
    least = watch.spike or _NOTHING
    if spend.amount < least or not is_worth_a_look(history, spend.amount):
        return None
    usual = usual_spend(history, day)
    if isinstance(usual, TooEarly):
        return usual
    low, high, reported = (in_cents(Decimal(amount)) for amount in (usual.low, usual.high, usual.reported))
    excess = Money(least, spend.currency)
    if spend - excess < Money(high, spend.currency) or spend.amount <= reported:
        return None
    found = SpendOn(watch.name, watch.scope.label, spend, Money(low, spend.currency), Money(high, spend.currency))
    return Spike(day, found, excess, is_complete)
