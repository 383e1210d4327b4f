"""The baseline of a daily spend: a mean of two weeks that clips odd days and jumps at a step. Estimates only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

LEVEL_DAYS = 14
"""Days in the mean."""

WARM_UP = 4
"""Days after which outliers are recognized."""

# A rise is dangerous and believed soon, a fall is not.
_RISE_DAYS, _MOST_RISE_DAYS, _FALL_DAYS = 2, 5, 3
# What is less than a tenth of the usual spend is a pause, and believed later.
_TRIAL_DAYS, _PAUSE_DAYS, _PAUSE = 7, 14, 0.1
_LEAST_SHARE = 0.5
# The band: three times the usual deviation (1.25 mean absolute ones), and a tenth of the mean, as a steady spend has none.
_BAND, _LEAST_WIDTH, _GAIN = 3.75, 0.1, 0.1
# Of four days only: by a third more, and never next to nothing.
_FIRST_SPREAD, _LEAST_FIRST_SPREAD = 1.28, 0.08

_Days = list[tuple[float, float]]
"""What was spent on some days, each with the weekday's share of a usual day."""


class Baseline(NamedTuple):
    """The spend of a usual day."""

    value: float
    days: int
    """Days it rests on."""
    rival: float | None
    """The other mean that may prove right: that before a young step, or that of the last days beyond the band."""


class _Mean:
    """The mean of the last two weeks, and by what part of it a day is usually off."""

    def __init__(self, days: _Days, spread: float) -> None:
        self.value, self.spread = 0.0, spread
        self.amounts: deque[float] = deque(maxlen=LEVEL_DAYS)
        self.shares: deque[float] = deque(maxlen=LEVEL_DAYS)
        for amount, share in days:
            self._put(amount, share)

    def _put(self, amount: float, share: float) -> None:
        self.amounts.append(amount)
        self.shares.append(share)
        if (whole := sum(self.shares)) > 0:
            self.value = sum(self.amounts) / whole

    def warm_up(self, amount: float, share: float) -> None:
        """Count one of the first days."""
        self._put(amount, share)
        if len(self.amounts) == WARM_UP and self.value > 0:
            off = sum(abs(amount - share * self.value) for amount, share in zip(self.amounts, self.shares, strict=True))
            self.spread = max(_FIRST_SPREAD * off / WARM_UP / self.value, _LEAST_FIRST_SPREAD)

    def band(self, share: float) -> tuple[float, float]:
        """Return between what a day lies that is not odd; a quiet weekday's own spend would be too small a measure."""
        usual, width = share * self.value, _BAND * self.spread + _LEAST_WIDTH
        return usual / (1 + width), usual + width * max(share, _LEAST_SHARE) * self.value

    def count(self, amount: float, share: float) -> None:
        """Count a day."""
        if (scale := max(share, _LEAST_SHARE) * self.value) > 0:
            self.spread += _GAIN * (abs(amount - share * self.value) / scale - self.spread)
        self._put(amount, share)

    def clip(self, days: _Days) -> None:
        """Count days beyond the band for no more than it allows."""
        for amount, share in days:
            low, high = self.band(share)
            self.count(min(max(amount, low), high), share)


def follow(amounts: Sequence[float | None], shares: Sequence[float]) -> tuple[Baseline, list[float]]:
    """Return the baseline after the last day, and the mean before each day. A day that is None is unknown and changes nothing.

    Two days above the band are a rise, three below it a fall: the mean starts anew with them. For a week, or two where next to
    nothing is spent, the first day that fits the former mean takes the step back, and after a rise the next one waits a day
    longer. Until then a fall is believed by and by.
    """
    means: list[float] = []
    return _believed(*_walk(amounts, shares, means)), means


def band_after(amounts: Sequence[float | None], shares: Sequence[float]) -> Callable[[float], tuple[float, float]]:
    """Return what gives the band of a day after these, by its weekday's share; it reaches to the mean before a young step."""
    mean, former, *_ = _walk(amounts, shares, [])

    def band(share: float) -> tuple[float, float]:
        lows, highs = zip(*(one.band(share) for one in (mean, former) if one), strict=True)
        return min(lows), max(highs)

    return band


def _walk(
    amounts: Sequence[float | None], shares: Sequence[float], means: list[float]
) -> tuple[_Mean, _Mean | None, int, _Days]:
    """Return the mean after the last day, that before a young step and the step's age, and the last days beyond the band."""
    mean, former, age, patience, known = _Mean([], 0.0), None, 0, _RISE_DAYS, 0
    odd: _Days = []
    for amount, share in zip(amounts, shares, strict=True):
        means.append(mean.value)
        if amount is None:
            continue
        known += 1
        if known <= WARM_UP:
            mean.warm_up(amount, share)
            continue
        if former is not None:
            age += 1
            low, high = former.band(share)
            if low <= amount <= high:
                patience = min(patience + (mean.value > former.value), _MOST_RISE_DAYS)
                mean, former, odd = former, None, []
            elif age > _trial(mean, former):
                former = None
        low, high = mean.band(share)
        is_rise, fits = amount > high, low <= amount <= high
        if odd and (fits or is_rise is not (odd[0][0] > odd[0][1] * mean.value)):
            mean.clip(odd)
            odd = []
        if fits:
            mean.count(amount, share)
            continue
        odd.append((amount, share))
        if len(odd) >= (patience if is_rise else _FALL_DAYS) and _is_enough(odd):
            former, mean, age, odd = former or mean, _Mean(odd, mean.spread), len(odd), []
    return mean, former, age, odd


def _is_enough(days: _Days) -> bool:
    """Return whether these days make a mean: quiet weekdays alone do not."""
    return sum(share for _, share in days) >= _LEAST_SHARE


def _trial(mean: _Mean, former: _Mean) -> int:
    return _PAUSE_DAYS if mean.value < _PAUSE * former.value else _TRIAL_DAYS


def _believed(mean: _Mean, former: _Mean | None, age: int, odd: _Days) -> Baseline:
    """Return the mean, and above it what a young fall leaves standing of the former one."""
    if former is None:
        return Baseline(mean.value, len(mean.amounts), _Mean(odd, 0.0).value if odd and _is_enough(odd) else None)
    left = max(0.0, former.value - mean.value) * max(0.0, 1 - age / _trial(mean, former))
    return Baseline(mean.value + left, len(mean.amounts), former.value)
