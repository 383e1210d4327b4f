"""Rate limits and back-off for calls to an endpoint."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECOND = 1.0
_MINUTE = 60.0
_SHORTEST_PAUSE = 30.0
_LONGEST_PAUSE = 900.0
_LONGEST_WISH = 3600.0
_MOST_DIGITS = 9
"""Beyond these a pause overflows; all of it is longer than anybody waits."""


class RateLimiter:
    """Lets calls through at the pace that one account is allowed; everybody who calls in its name shares it."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        *,
        per_second: int = 10,
        per_minute: int = 600,
    ) -> None:
        """Count by a clock that never goes back."""
        self._monotonic = monotonic
        self._sleep = sleep
        self._last_second: deque[float] = deque(maxlen=per_second)
        self._last_minute: deque[float] = deque(maxlen=per_minute)
        self._not_before = -math.inf

    async def turn(self) -> None:
        """Wait until the next call may go out. Turns are given in the order in which they are asked for."""
        now = self._monotonic()
        at = self._next(now)
        # Reserved before the wait: later callers queue up behind.
        self._last_second.append(at)
        self._last_minute.append(at)
        if at > now:
            await self._sleep(at - now)

    @property
    def is_long(self) -> bool:
        """Whether the next call would wait for longer than a second."""
        now = self._monotonic()
        return self._next(now) > now + _SECOND

    def _next(self, now: float) -> float:
        return max(now, self._not_before, _freed(self._last_second, _SECOND), _freed(self._last_minute, _MINUTE))

    def hold(self, pause: timedelta) -> None:
        """Block all callers until the pause is over: the endpoint has asked one of them to slow down."""
        self._not_before = max(self._not_before, self._monotonic() + pause.total_seconds())

    async def wait(self, pause: timedelta) -> None:
        """Wait alone, while others may call."""
        await self._sleep(pause.total_seconds())


class BackOff:
    """After a failure, retries wait for a pause that doubles each time, up to a quarter of an hour."""

    def __init__(
        self, monotonic: Callable[[], float], *, shortest: float = _SHORTEST_PAUSE, longest: float = _LONGEST_PAUSE
    ) -> None:
        """Count by a clock that never goes back; `shortest` and `longest`: the pauses, in seconds."""
        self._monotonic = monotonic
        self._shortest = shortest
        self._longest = min(longest, _LONGEST_PAUSE)
        self._failures = 0
        self._not_before = self._wished = -math.inf

    @property
    def is_on(self) -> bool:
        """Whether it is too early to ask again."""
        return self._monotonic() < self._not_before

    @property
    def has_failed(self) -> bool:
        """Whether the last call failed."""
        return self._failures > 0

    def worked(self, pause: timedelta = timedelta(0)) -> None:
        """Go on at full speed; the next call is due after the pause."""
        self._failures = 0
        self._not_before, self._wished = self._monotonic() + pause.total_seconds(), -math.inf

    def trigger_now(self) -> None:
        """Allow a retry at once, because a person wants it; a pause that the endpoint asked for remains."""
        self._not_before = min(self._not_before, self._wished)

    def failed(self, wish: timedelta | None = None) -> None:
        """Wait longer than last time, and at least as long as the endpoint wishes, as far as that is sensible."""
        pause = min(self._longest, self._shortest * 2.0 ** min(self._failures, 10))
        wished = min(_LONGEST_WISH, wish.total_seconds()) if wish else 0.0
        self._failures += 1
        self._wished = self._monotonic() + wished
        self._not_before = max(self._monotonic() + pause, self._wished)


def _freed(calls: deque[float], window: float) -> float:
    """Return when the oldest of a full window's calls leaves it."""
    return calls[0] + window if len(calls) == calls.maxlen else -math.inf


def asked_pause(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return the pause that an answer asks for, in the provider's own header or the standard one; None if it asks for none."""
    own = headers.get("x-acs-retry-after", "").strip()
    if own.isascii() and own.isdigit():
        return _sensible(timedelta(milliseconds=int(own[:_MOST_DIGITS])))
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return _sensible(timedelta(seconds=int(text[:_MOST_DIGITS])))
    moment = moment_of(text)
    return None if moment is None else _sensible(moment - now)


def moment_of(text: str) -> datetime | None:
    """Return the moment that a header such as `Date` names; None where it names none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sensible(pause: timedelta) -> timedelta | None:
    return min(pause, timedelta(seconds=_LONGEST_WISH)) if pause > timedelta(0) else None
