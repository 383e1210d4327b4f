"""A scheduled report: when it is due, and the figures that it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from spendwatch.domain.causes import NO_CAUSES, Causes
from spendwatch.domain.money import Money
from spendwatch.domain.statement import AccountId

LATE = timedelta(days=1)
"""A report that is late by more than that is not sent any more."""
_LONGEST = 31


class Cadence(StrEnum):
    """How often a report comes."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Schedule:
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


@dataclass(frozen=True, slots=True)
class ReportLine:
    """An account or a workspace in a month, beside the month before."""

    name: str
    spend: Money
    before: Money | None = None
    """All that was spent in the month before."""
    budget: Money | None = None
    used: Decimal | None = None
    expected: Money | None = None


@dataclass(frozen=True, slots=True)
class ReportAccount:
    """One account."""

    account: AccountId
    whole: ReportLine
    workspaces: tuple[ReportLine, ...] = ()
    """The largest first."""
    more: int = 0
    """How many further workspaces there are."""
    available: Money | None = None
    data_until: datetime | None = None
    is_stale: bool = False
    """Whether its bills have stopped, or there are none."""
    causes: Causes = NO_CAUSES


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a report. What fires are the members of its message."""

    cadence: Cadence
    due: datetime
    before: str
    """The month before that of the figures."""
    is_final: bool
    accounts: tuple[ReportAccount, ...]
    csv: str = ""
    """The month by workspace and model, for spreadsheets; empty where it is not attached."""
    html: str = ""
    """The month with its charts, as a page that shows on its own; empty where it is not attached."""
