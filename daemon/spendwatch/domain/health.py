"""Whether bills arrive and notifications are delivered: the health of the daemon itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from spendwatch.domain.failure import Failure
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, Digest, SourceName


class SourceHealth(NamedTuple):
    """What we know about one place where bills come from."""

    name: SourceName
    first_seen_at: datetime
    """When we began to look there."""
    last_looked_at: datetime | None = None
    """When it could last be reached."""
    last_bill_at: datetime | None = None
    """When a bill last showed that bills still come: one with news about a month that is still open."""
    failing_since: datetime | None = None
    failures: int = 0
    """Looks in a row that failed."""
    trouble: str = ""
    cause: Failure | None = None
    """The kind of failure, where the source knows it."""

    def is_stale(self, now: datetime, after: timedelta) -> bool:
        """Return whether no new bill came for that long."""
        return now - (self.last_bill_at or self.first_seen_at) >= after

    def silence(self, now: datetime) -> str:
        """Return for how long no new bill came, in words."""
        return duration_text(now - (self.last_bill_at or self.first_seen_at))


class AccountBills(NamedTuple):
    """When a source last gave a bill with news about a month of an account that is still open."""

    account: AccountId
    source: SourceName
    last_bill_at: datetime


LONGEST_PAUSE = timedelta(minutes=66)
"""No channel is left alone for longer: an hour at a receiver's wish, and some spread."""

_USUAL_SILENCE = timedelta(hours=26)
"""Where no source is configured: bills are brought by hand."""

_FORETOLD_FOR = timedelta(days=2)
"""For so long behind the usual silence data may be a ground for what is to come."""


class Freshness(NamedTuple):
    """The accounts whose bills have stopped, and those whose data are too old for a forecast."""

    now: datetime
    stale_after: Mapping[SourceName, timedelta]
    bills: Sequence[AccountBills] = ()

    def silence(self, account: AccountId) -> timedelta | None:
        """Return for how long no new bill of the account came; None while that is no longer than its sources may be silent."""
        mine = self._of(account)
        silent = self.now - max(one.last_bill_at for one in mine) if mine else timedelta()
        return silent if mine and silent >= self._patience(account) else None

    def is_too_old(self, account: AccountId, until: datetime | None) -> bool:
        """Return whether data up to then are too old for a forecast or a runway of the account."""
        return until is not None and self.now - until > self._patience(account) + _FORETOLD_FOR

    def sources_of(self, account: AccountId) -> frozenset[SourceName]:
        """Return the sources that gave bills of the account."""
        return frozenset(one.source for one in self._of(account))

    def _of(self, account: AccountId) -> Sequence[AccountBills]:
        return [one for one in self.bills if one.account == account and one.source in self.stale_after]

    def _patience(self, account: AccountId) -> timedelta:
        names = self.sources_of(account) or self.stale_after
        return max((self.stale_after[name] for name in names), default=_USUAL_SILENCE)


class Rejection(NamedTuple):
    """A bill file that could not be understood."""

    digest: Digest
    name: str
    source: SourceName
    at: datetime
    reason: str


class ReadingProgress(NamedTuple):
    """How much of a long bill file is read."""

    source: SourceName
    file: str
    size: int
    """In bytes."""
    phase: str
    share: float
    """Of the phase, from 0 to 1."""
    began_at: datetime


class ChannelHealth(NamedTuple):
    """What we know about one way to reach people."""

    name: ChannelName
    failing_since: datetime | None = None
    failures: int = 0
    """Attempts in a row that failed."""
    trouble: str = ""
    disabled: bool = False
    """The receiver asked never to be called again."""
    not_before: datetime | None = None
    """It is left alone until then."""
    asked_until: datetime | None = None
    """The receiver itself asked for that: no person's wish ends such a pause."""
    pauses: int = 0
    """Failures in a row of the channel as a whole. After one, a single message tries whether it works again."""

    def is_paused(self, now: datetime) -> bool:
        """Return whether it is to be left alone. What seems longer than any pause was noted by a clock that was ahead."""
        return self.not_before is not None and now < self.not_before <= now + LONGEST_PAUSE

    def wants_silence(self, now: datetime) -> bool:
        """Return whether the receiver itself asked for a pause that lasts, or for no call at all."""
        return self.disabled or self._replace(not_before=self.asked_until).is_paused(now)


class ChannelPause(NamedTuple):
    """How long a channel is left alone, as `ChannelHealth` has it."""

    not_before: datetime
    asked_until: datetime | None
    pauses: int


class DaemonHealth(NamedTuple):
    """The daemon's last report about itself."""

    beat_at: datetime
    """When it last evaluated everything."""
    is_daemon: bool
    """Whether that was a daemon, and not one round by hand or by cron."""
    trouble: str = ""
    """What is wrong with the ledger."""
    ping: str = ""
    """Why the last ping of the monitoring service failed."""


class BalanceHealth(NamedTuple):
    """What we know about the place where an account's balance is read."""

    account: AccountId
    first_tried_at: datetime
    failing_since: datetime | None = None
    failures: int = 0
    """Attempts in a row that failed."""
    trouble: str = ""
    is_lasting: bool = False
    """The last trouble will not pass by itself."""
    cause: Failure | None = None
    """The kind of failure, where it is known."""
