"""The expected spend of a month, and the expected end of a balance. Estimates, rounded to cents, with a range.

While the spend continues as before, the true value is inside the range about 8 times in 10. A future step cannot be predicted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal

from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.run_rate import RunRate, TooEarly, TooOld

_ROUGH = Context(prec=60)
_CENT = Decimal("0.01")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The probable cost of one period. Estimates; only `spent` is exact."""

    period: BillingPeriod
    spent: Money
    """What is on record so far."""
    low: Money
    likely: Money
    high: Money
    through: date
    """The last complete day it rests on."""
    days: int
    """How many complete days it rests on."""


def forecast_period(pace: RunRate, spent: Money, period: BillingPeriod, *, data_until: datetime, zone: tzinfo) -> Forecast:
    """Return what the period will probably cost: what is spent on record, and the spend to be expected since the data end.

    `spent` is everything on record, what the pace leaves out included.
    """
    day, elapsed = _reach(pace, data_until, zone)
    if day < period.first_day:
        day, elapsed = period.first_day, 0.0
    low = likely = high = 0.0
    last = period.after_last_day.toordinal() - 1
    for ahead, *sums in pace.ahead(day, elapsed):
        if ahead > last:
            break
        low, likely, high = sums
    low_sum, likely_sum, high_sum = (_estimate(spent, pace, spend) for spend in (low, likely, high))
    return Forecast(period, spent, low_sum, likely_sum, high_sum, pace.through, pace.days)


def _reach(pace: RunRate, data_until: datetime, zone: tzinfo) -> tuple[date, float]:
    """Return the day in which the data end, and its share that has passed by then; never before the last complete day's end."""
    local = data_until.astimezone(zone)
    if local.date() <= pace.through:
        return pace.through + _DAY, 0.0
    return local.date(), timedelta(hours=local.hour, minutes=local.minute, seconds=local.second) / _DAY


def _estimate(spent: Money, pace: RunRate, spend: float) -> Money:
    expected = _ROUGH.multiply(_ROUGH.create_decimal_from_float(spend), pace.unit)
    total = _ROUGH.add(spent.amount, expected)
    return Money(total.quantize(_CENT, rounding=ROUND_HALF_UP, context=_ROUGH), spent.currency)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The day on which the available balance will probably be down to a level; None where that is not in sight."""

    level: Money
    """A floor, or zero."""
    today: date
    soonest: date | None
    likely: date | None
    latest: date | None

    @property
    def days(self) -> int | None:
        """Whole days from today to the likely day; 0 when the level is reached."""
        return None if self.likely is None else (self.likely - self.today).days


@dataclass(frozen=True, slots=True)
class Runway:
    """How long the available balance will probably last."""

    zero: Crossing
    """When it is used up."""
    floors: tuple[Crossing, ...]
    through: date
    """The last complete day it rests on."""
    days: int
    """How many complete days it rests on."""


def runway_of(
    pace: RunRate, available: Money, floors: Iterable[Money], *, data_until: datetime, zone: tzinfo, today: date
) -> Runway:
    """Return when the available balance will probably be down to zero and to each floor.

    `available` is net of everything unsettled up to `data_until`; from there on the pace uses it up. `today` is the day in
    the billing zone. A level that the estimate puts before today counts as reached today.
    """
    levels = (Money.zero(available.currency), *floors)
    parts = [float(_ROUGH.divide((available - level).amount, pace.unit)) for level in levels]
    start, elapsed = _reach(pace, data_until, zone)
    paths = _paths(pace, start, elapsed, up_to=max(parts))
    zero, *others = (
        Crossing(level, today, *(_reached(path, part, start, today) for path in paths))
        for level, part in zip(levels, parts, strict=True)
    )
    return Runway(zero, tuple(others), pace.through, pace.days)


def _paths(pace: RunRate, start: date, elapsed: float, *, up_to: float) -> Sequence[Sequence[float]]:
    """Return the high, likely and low spend up to the end of each day from `start` on, as far as it matters."""
    found: list[tuple[float, float, float]] = []
    for _, low, likely, high in pace.ahead(start, elapsed):
        found.append((high, likely, low))
        if low >= up_to:
            break
    return list(zip(*found, strict=True)) or [(), (), ()]


def _reached(path: Sequence[float], part: float, start: date, today: date) -> date | None:
    if part <= 0:
        return today
    place = bisect_left(path, part)
    return None if place == len(path) else max(today, start + timedelta(days=place))


@dataclass(frozen=True, slots=True)
class RunwayReached:
    """A runway threshold that is reached and not yet let go."""

    threshold: timedelta
    clear_on: date | None = None
    """The last complete day of the estimate that first was clearly longer again; one of another day lets go."""
    reached_on: date | None = None
    """That of the last estimate that was not clearly longer: what else is said of the same day lets nothing go."""


def runway_reached(
    runway: Runway | TooEarly | TooOld, thresholds: Iterable[timedelta], was: Iterable[RunwayReached] = ()
) -> tuple[RunwayReached, ...]:
    """Return the thresholds that are reached, given those that were: a runway that wavers about one does not flap.

    A threshold is reached when the likely runway is no longer than it. It is let go when the runway is clearly longer (by a
    fifth, at least by a day) by the data of two different days that never said otherwise. Where it is too early to tell, or
    the data are too old, all stays as it was.
    """
    before = {reached.threshold: reached for reached in was}
    if not isinstance(runway, Runway):
        return tuple(before[threshold] for threshold in thresholds if threshold in before)
    found = (_still_reached(runway, threshold, before.get(threshold)) for threshold in thresholds)
    return tuple(reached for reached in found if reached)


def _still_reached(runway: Runway, threshold: timedelta, before: RunwayReached | None) -> RunwayReached | None:
    lasts = None if runway.zero.days is None else timedelta(days=runway.zero.days)
    if lasts is not None and lasts <= threshold:
        return RunwayReached(threshold, reached_on=runway.through)
    if before is None:
        return None
    if lasts is not None and lasts <= threshold + max(_DAY, threshold / 5):
        return RunwayReached(threshold, reached_on=runway.through)
    if before.reached_on == runway.through:
        return before
    if before.clear_on in {None, runway.through}:
        return replace(before, clear_on=runway.through)
    return None
