"""A scheduled report: when it is due, and the figures that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spendwatch.domain.causes import NO_CAUSES, Causes
from spendwatch.domain.delivery import Cadence
from spendwatch.domain.money import Money
from spendwatch.domain.statement import AccountId

LATE = timedelta(days=1)
"""A report that is late by more than that is not sent any more."""


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
