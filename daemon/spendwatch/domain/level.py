"""The spend of a usual day, tracked through odd days, rises, falls and pauses. Estimates only."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

LEVEL_DAYS = 14
"""Days in the mean."""

WARM_UP = 4
"""Days after which it can be told what is odd."""

PAUSE = 0.1
"""What is less than this part of the usual is next to nothing."""

# A rise is dangerous and believed soon, a fall is not.
_RISE_DAYS, _MOST_PATIENT, _FALL_DAYS = 2, 5, 3
_TRIAL_DAYS, _PAUSE_DAYS = 7, 14
_LEAST_SHARE = 0.5
# The band: three times the usual deviation (1.25 mean absolute ones), and a tenth of the level, as a steady spend has none.
_BAND, _LEAST_WIDTH, _DEVIATION, _GAIN = 3.0, 0.1, 1.25, 0.1
# Of four days only: by a third more, and never less than a tenth.
_FIRST_DEVIATION, _LEAST_FIRST_DEVIATION = 1.6, 0.1


class Level:
    """The spend of a usual day: a mean of the last two weeks, in which an odd day counts no more than the band allows.

    Two days above the band are a rise, three below it a fall: the mean starts anew with them. Such a step is on trial for a
    week. The first day that fits the former level takes a step back; after a rise taken back the next one waits a day longer.
    A fall is believed by and by, as a mean of seven days would; a pause, in which next to nothing is spent, within two weeks.
    """

    __slots__ = (
        "age",
        "amounts",
        "beyond",
        "former",
        "is_rising",
        "is_settled",
        "patience",
        "shares",
        "spread",
        "value",
    )

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.value = 0.0
        self.amounts: deque[float] = deque(maxlen=LEVEL_DAYS)
        self.shares: deque[float] = deque(maxlen=LEVEL_DAYS)
        self.is_settled = False
        self.spread = 0.0
        """By what part of the level a day is usually off."""
        self.beyond: list[tuple[float, float]] = []
        """The last days in a row beyond one side of the band, not yet counted."""
        self.is_rising = False
        self.patience = _RISE_DAYS
        self.former: Level | None = None
        """The level before a step on trial; `age` is the step's, in known days."""
        self.age = 0

    def after(self, amount: float, share: float) -> Level:
        """Return the level after one more day, given what was spent and the weekday's share of a usual day."""
        if self.former is not None and self._is_taken_back(self.former, amount, share):
            return self.former
        if not self.is_settled:
            self._take(amount, share)
            self._settle()
            return self
        low, high, scale = self._bounds(share)
        if low <= amount <= high:
            if self.beyond:
                self._excuse()
            self._count(amount, share, scale)
            return self
        if self.is_rising is not (amount > high):
            self._excuse()
            self.is_rising = amount > high
        self.beyond.append((amount, share))
        return self._step() if self._has_stepped() else self

    def believed(self) -> float:
        """Return the level, and above it what a young fall leaves standing of the former one."""
        if self.former is None or self.former.value <= self.value:
            return self.value
        return self.value + (self.former.value - self.value) * max(0.0, 1 - self.age / self._trial(self.former))

    def rival(self) -> float | None:
        """Return the other level that may prove right: that before a young step, or that of the last days beyond the band."""
        if self.former is not None:
            return self.former.value
        whole = sum(share for _, share in self.beyond)
        return sum(amount for amount, _ in self.beyond) / whole if whole >= _LEAST_SHARE else None

    def _bounds(self, share: float) -> tuple[float, float, float]:
        """Return the band around a day, low and high, and its measure: a quiet weekday's own spend would be too small a one."""
        usual, scale, width = share * self.value, max(share, _LEAST_SHARE) * self.value, _BAND * self.spread + _LEAST_WIDTH
        return usual / (1 + width), usual + width * scale, scale

    def _take(self, amount: float, share: float) -> None:
        self.amounts.append(amount)
        self.shares.append(share)
        if (whole := sum(self.shares)) > 0:
            self.value = sum(self.amounts) / whole

    def _settle(self) -> None:
        self.is_settled = len(self.amounts) == WARM_UP
        if self.is_settled and self.value > 0:
            off = sum(abs(amount - share * self.value) for amount, share in zip(self.amounts, self.shares, strict=True))
            self.spread = max(_FIRST_DEVIATION * off / WARM_UP / self.value, _LEAST_FIRST_DEVIATION)

    def _count(self, amount: float, share: float, scale: float) -> None:
        if scale > 0:
            self.spread += _GAIN * (_DEVIATION * abs(amount - share * self.value) / scale - self.spread)
        self._take(amount, share)

    def _excuse(self) -> None:
        """Count the days beyond the band for no more than it allows: they were odd and no step."""
        for amount, share in self.beyond:
            low, high, scale = self._bounds(share)
            self._count(min(max(amount, low), high), share, scale)
        self.beyond = []

    def _has_stepped(self) -> bool:
        """Tell whether enough days in a row lie beyond one side of the band; quiet weekdays alone are not enough."""
        enough = self.patience if self.is_rising else _FALL_DAYS
        return len(self.beyond) >= enough and sum(share for _, share in self.beyond) >= _LEAST_SHARE

    def _step(self) -> Level:
        new = Level()
        for amount, share in self.beyond:
            new._take(amount, share)
        new.is_settled = True
        new.spread = self.spread
        new.patience = self.patience
        new.former = self.former or self
        new.age = len(self.beyond)
        return new

    def _trial(self, former: Level) -> int:
        return _PAUSE_DAYS if self.value < PAUSE * former.value else _TRIAL_DAYS

    def _is_taken_back(self, former: Level, amount: float, share: float) -> bool:
        self.age += 1
        low, high, _ = former._bounds(share)
        if not low <= amount <= high:
            if self.age > self._trial(former):
                self.former = None
            return False
        if self.value > former.value:
            former.patience = min(former.patience + 1, _MOST_PATIENT)
        former.beyond = []
        former._take(amount, share)
        return True


def follow(amounts: Sequence[float | None], shares: Sequence[float]) -> tuple[Level, list[float]]:
    """Return the level after the last day, and the one before each day. A day that is None is unknown and changes nothing."""
    level = Level()
    before = []
    for amount, share in zip(amounts, shares, strict=True):
        before.append(level.value)
        if amount is not None:
            level = level.after(amount, share)
    return level, before
