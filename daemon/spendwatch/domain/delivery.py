"""How messages go out: what quiet hours and silences hold, the state of each delivery, and the pauses between attempts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import IntEnum, StrEnum
from typing import NamedTuple, NewType

from spendwatch.domain.alert import AlertId
from spendwatch.domain.digest import text_digest
from spendwatch.domain.health import ChannelHealth
from spendwatch.domain.policy import ChannelName, Severity

NotificationId = NewType("NotificationId", str)
DeliveryId = NewType("DeliveryId", str)

LONGEST_QUIET = timedelta(days=7)
"""Quiet hours hold nothing for longer: where the program runs in them alone, messages go out after all."""
_A_DAY = timedelta(days=1)
_WEEK = 7
_LONGEST = 31


class Reason(StrEnum):
    """Why we speak."""

    FIRED = "fired"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ACTION = "action"
    """A program is asked to act on what an alert is about."""
    DIGEST = "digest"
    """Several messages in one."""
    TEST = "test"


class Loudness(IntEnum):
    """What quiet hours go by, the quietest first."""

    OVER = 0
    NOTICE = 1
    WARNING = 2
    CRITICAL = 3
    OVERDUE = 4
    UNHELD = 5
    """Reports, tests and requests to programs: nothing holds them."""


class HoldReason(StrEnum):
    """Why a message waits."""

    QUIET_HOURS = "quiet_hours"
    SILENCE = "silence"
    STORM = "storm"
    """Too many at once: they come together."""
    WITHHELD = "withheld"
    """An action that is not requested, and never will be."""


class Held(NamedTuple):
    """One message that waits, or waited, for its channel."""

    notification: NotificationId
    channel: ChannelName
    held_at: datetime
    until: datetime
    why: HoldReason
    silence: str = ""
    """The silence's id."""
    digest: NotificationId = NotificationId("")
    """What told of it in the end: a digest, the message itself, or the same marked as late; empty until then."""
    ended_at: datetime | None = None
    dropped: str = ""
    """Why nothing was sent after all."""


class DeliveryState(StrEnum):
    """How far one copy has come."""

    PENDING = "pending"
    """Not attempted yet, or due once more."""
    ATTEMPTING = "attempting"
    """An attempt has begun and its outcome is not on record: after a crash, the receiver may have it already."""
    DEFERRED = "deferred"
    """An attempt failed; there will be another."""
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    """By an operator, or because a later message speaks for it."""


WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)
"""In these states an attempt is to come."""


class Cadence(StrEnum):
    """How often a report comes."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Schedule(NamedTuple):
    """When a report comes."""

    cadence: Cadence
    at: time
    day: int = 0
    """Of the week, from 0 for Monday, or of the month."""
    days: Callable[[date], bool] | None = None
    """Tells the days where no such day does, the first of which in a month is `day`."""

    def latest(self, now: datetime, zone: tzinfo) -> datetime | None:
        """Return when it was due last, if that is not more than a month ago."""
        today = now.astimezone(zone).date()
        days = (today - timedelta(days=back) for back in range(_LONGEST + 1))
        moments = (datetime.combine(day, self.at, zone).astimezone(UTC) for day in days if self._falls_on(day))
        return next((moment for moment in moments if moment <= now), None)

    def _falls_on(self, day: date) -> bool:
        if self.days:
            return self.days(day)
        match self.cadence:
            case Cadence.DAILY:
                return True
            case Cadence.WEEKLY:
                return day.weekday() == self.day
            case Cadence.MONTHLY:
                return day.day == self.day


class QuietHours(NamedTuple):
    """A time of day in which a channel keeps quiet; it may begin on some weekdays only (0: Monday)."""

    start: time
    end: time | None
    """None: midnight, at the end of the day."""
    zone: tzinfo
    weekdays: frozenset[int] = frozenset(range(_WEEK))
    passing: frozenset[Severity] = frozenset()
    """What is told all the same while it fires."""
    hold_overdue: bool = False

    def until(self, now: datetime) -> datetime | None:
        """Return when the hours end that go on now."""
        today = now.astimezone(self.zone).date()
        for day in (today - _A_DAY, today):
            last = day + _A_DAY if self.end is None or self.end <= self.start else day
            # Each wall time is turned into a moment by itself: on two days of the year they are an hour more or less apart.
            places = ((day, self.start), (last, self.end or time()))
            begin, end = (datetime.combine(on, at, self.zone).astimezone(UTC) for on, at in places)
            if day.weekday() in self.weekdays and begin <= now < end:
                return end
        return None

    def holds(self, loudness: Loudness) -> bool:
        """Return whether such a message waits."""
        passing = {Loudness.UNHELD, *(Loudness[severity.name] for severity in self.passing)}
        if Severity.CRITICAL in self.passing or not self.hold_overdue:
            passing.add(Loudness.OVERDUE)
        return loudness not in passing


class Route(NamedTuple):
    """What a channel is spared, and which reports it gets."""

    max_messages: int | None = None
    """More of them in one round become one digest; None: every message comes by itself."""
    quiet: tuple[QuietHours, ...] = ()
    reports: tuple[Schedule, ...] = ()
    """When it gets reports. Nothing holds them."""

    def held(self, now: datetime) -> frozenset[Loudness]:
        """Return which messages quiet hours hold now."""
        return frozenset(one for one in Loudness if self.quiet_until(one, now))

    def quiet_until(self, loudness: Loudness, now: datetime) -> datetime | None:
        """Return when the quiet hours end that hold such a message; those that follow on each other are one."""
        found, moment = None, now
        for _ in range(_WEEK + 1):
            ends = (hours.until(moment) for hours in self.quiet if hours.holds(loudness))
            if (end := max(filter(None, ends), default=None)) is None:
                break
            found = moment = end
        return found

    def next_attempt(self, due: datetime, loudness: Loudness, channel: ChannelHealth | None, now: datetime) -> datetime:
        """Return when a message that is due then is really tried: after a pause of its channel, and after quiet hours."""
        at = max(due, channel.not_before) if channel and channel.not_before and channel.is_paused(now) else due
        return self.quiet_until(loudness, max(at, now)) or at


OPEN = Route()
"""Of a channel that is spared nothing."""


class Silence(NamedTuple):
    """A person wants to hear nothing of some alerts for a while. What is left empty fits everything."""

    id: str
    created_at: datetime
    ends_at: datetime
    author: str
    comment: str = ""
    rule: str = ""
    account: str = ""
    workspace: str = ""
    tags: tuple[str, ...] = ()
    """Each written as `key=value`."""
    severity: str = ""
    scope: str = ""
    """What an alert is about, as JSON shows it."""

    @property
    def matchers(self) -> str:
        """What it is about, as it was asked for."""
        names = ("rule", "account", "scope", "workspace", "severity")
        said = (f"{name}={value}" for name in names if (value := getattr(self, name)))
        return " ".join((*said, *(f"tag:{tag}" for tag in self.tags)))


def delivery_id(notification: NotificationId, channel: ChannelName, target: str) -> DeliveryId:
    """Return the delivery's identity, which is its content."""
    return DeliveryId(text_digest(f"{notification}\x1f{channel}\x1f{target}")[:24])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """What is on record of one copy of a notification: over one channel to one target (empty where there is but one)."""

    id: DeliveryId
    channel: ChannelName
    target: str
    state: DeliveryState
    attempts: int
    """Attempts begun so far, the present one included."""
    due_at: datetime
    maybe_repeated: bool
    """An earlier attempt ended without an answer on record."""
    rendered: bytes | None
    """The bytes that every attempt sends; None before the first."""
    last_error: str = ""
    settled_at: datetime | None = None
    refusals: int = 0
    """Answers in a row that refused it and may pass."""
    is_held: bool = False
    """It may have arrived, and a person decides whether it is sent again."""


class Superseded(NamedTuple):
    """A delivery that is not attempted any more, as a later message speaks for it."""

    delivery: DeliveryId
    alert: AlertId
    attempts: int
    why: str


PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""Pauses between the ten attempts of a delivery: 75 h 35 min in all, the schedule of Standard Webhooks."""


REFUSED_PAUSES = (timedelta(minutes=1), timedelta(minutes=9))
"""Pauses after a refusal that may pass, as while a receiver is redeployed: three attempts in ten minutes."""


def pause_after(attempts: int, refusals: int = 0) -> timedelta | None:
    """Return how long to wait after that many attempts or refusals in a row, or None when there will be no further one."""
    pauses, number = (REFUSED_PAUSES, refusals) if refusals else (PAUSES, attempts)
    return pauses[number - 1] if number <= len(pauses) else None


DELIVERED_WITHIN = sum(PAUSES, timedelta())
"""What could not be delivered for so long, for trouble of its channel as a whole, is given up."""


_PROBED_EVERY = timedelta(minutes=30)
_LOCKS = 2


def channel_pause(pauses: int, *, is_login: bool = False) -> tuple[timedelta, int]:
    """Return how long to leave a channel alone after so many pauses in a row, and how many pauses these are then.

    Half an hour at most, so that what waits goes out soon after the receiver is back. A refused password is not tried again
    earlier than that: services lock an account after a few attempts.
    """
    step = max(pauses, _LOCKS) if is_login else pauses
    return min(PAUSES[min(step, len(PAUSES) - 1)], _PROBED_EVERY), step + 1
