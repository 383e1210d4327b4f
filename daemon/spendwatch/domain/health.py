"""Whether bills arrive and notifications leave: the daemon's own standing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, Digest, SourceName
from spendwatch.domain.trouble import Trouble


@dataclass(frozen=True, slots=True)
class SourceHealth:
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
    cause: Trouble | None = None
    """What kind of trouble it is, where the source can tell."""

    def is_stale(self, now: datetime, after: timedelta) -> bool:
        """Tell whether no new bill came for that long."""
        return now - (self.last_bill_at or self.first_seen_at) >= after

    def silence(self, now: datetime) -> str:
        """Return for how long no new bill came, in words."""
        return duration_text(now - (self.last_bill_at or self.first_seen_at))


@dataclass(frozen=True, slots=True)
class Rejection:
    """A bill file that could not be understood."""

    digest: Digest
    name: str
    source: SourceName
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ReadingProgress:
    """How much of a long bill file is read."""

    source: SourceName
    file: str
    size: int
    """In bytes."""
    phase: str
    share: float
    """Of the phase, from 0 to 1."""
    began_at: datetime
    at: datetime
    """When this was noted."""


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """What we know about one way to reach people."""

    name: ChannelName
    failing_since: datetime | None = None
    failures: int = 0
    """Attempts in a row that failed."""
    trouble: str = ""
    disabled: bool = False
    """The receiver asked never to be called again."""


@dataclass(frozen=True, slots=True)
class DaemonHealth:
    """What the daemon last said of itself."""

    beat_at: datetime
    """When it last evaluated everything."""
    is_daemon: bool
    """Whether that was a daemon, and not one round by hand or by cron."""
    trouble: str = ""
    """What is wrong with the ledger."""


@dataclass(frozen=True, slots=True)
class BalanceHealth:
    """What we know about the place where an account's balance is read."""

    account: AccountId
    first_tried_at: datetime
    last_read_at: datetime | None = None
    """When it last gave a reading."""
    failing_since: datetime | None = None
    failures: int = 0
    """Attempts in a row that failed."""
    trouble: str = ""
    is_lasting: bool = False
    """The last trouble will not pass by itself."""
    cause: Trouble | None = None
    """What kind of trouble it is, where its place can tell."""
