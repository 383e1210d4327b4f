"""A condition that holds now, and its alert: firing, then resolved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from spendwatch.domain.policy import Severity

AlertId = NewType("AlertId", str)


class Rule(StrEnum):
    """What an alert is about. The values are the `type` of a webhook's body."""

    THRESHOLD_REACHED = "spend.threshold_reached"
    FORECAST = "spend.forecast"
    FOREIGN_CURRENCY = "spend.foreign_currency"
    CORRECTED = "spend.corrected"
    LATE = "spend.late"
    BALANCE_LOW = "balance.low"
    OVERDUE = "balance.overdue"
    RUNWAY = "balance.runway"
    BALANCE_FAILING = "balance_source.failing"
    BALANCE_DIFFERING = "balance_source.differing"
    STALE = "bills.stale"
    REJECTED = "bills.rejected"
    DIFFERING = "bills.differing"
    UNASSIGNED = "bills.unassigned"
    SOURCE_FAILING = "source.failing"
    CHANNEL_FAILING = "channel.failing"
    CONFIG_REJECTED = "config.rejected"
    CLOCK_WRONG = "clock.wrong"
    LEDGER_FAILING = "ledger.failing"

    # Enum hashes its name in Python, at every look-up; every known alert is looked up in every round.
    __hash__ = str.__hash__

    @property
    def is_episodic(self) -> bool:
        """Whether the alert ends and may begin again, counted by episodes; the others belong to a period or happen once."""
        return self in _EPISODIC


_EPISODIC = frozenset(
    {
        Rule.BALANCE_LOW,
        Rule.OVERDUE,
        Rule.RUNWAY,
        Rule.BALANCE_FAILING,
        Rule.BALANCE_DIFFERING,
        Rule.STALE,
        Rule.SOURCE_FAILING,
        Rule.CHANNEL_FAILING,
        Rule.CONFIG_REJECTED,
        Rule.CLOCK_WRONG,
        Rule.LEDGER_FAILING,
    }
)


class AlertState(StrEnum):
    """How far an alert has come."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, order=True)
class Matter:
    """What a condition is about, apart from when: the same matter may make several episodes."""

    rule: Rule
    account: str
    """An account id; empty for matters of the whole daemon."""
    scope: str
    """`Scope.key`, or `source:inbox`, `channel:finance`, `file:<digest>`, `month:2026-09`, `series:focus`."""
    threshold: str
    """The threshold's, floor's, runway's or escalation's label; empty where there is none."""
    period: str
    """The billing period's label; empty for episodic matters."""
    height: str = ""
    """The amount at which a threshold is reached, as plain decimal text: 80% of a raised budget is another matter."""


def alert_id(matter: Matter, episode: int) -> AlertId:
    """Return the alert's identity, which is its content: the same matter in the same episode is the same alert for ever."""
    parts = (matter.rule.value, matter.account, matter.scope, matter.threshold, matter.period, str(episode))
    content = "\x1f".join((*parts, matter.height) if matter.height else parts)
    return AlertId(hashlib.sha256(content.encode()).hexdigest()[:20])


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition with a history."""

    id: AlertId
    matter: Matter
    episode: int
    severity: Severity
    state: AlertState
    since: datetime
    resolved_at: datetime | None
    told_at: datetime | None
    """When it was last put into words; None when a graver alert spoke for it."""
    times_told: int
    amount: str
    """Spend or available balance when it fired, as plain decimal text; empty where there is none."""
    summary: str
    """One line for lists."""
    budget: str = ""
    """The budget that it was judged by when it fired, as plain decimal text; empty where there was none."""
    told_amount: str = ""
    """Spend or available balance when it was last put into words; empty where there is none."""

    @classmethod
    def begun(
        cls,
        matter: Matter,
        severity: Severity,
        *,
        tells: bool,
        amount: str,
        summary: str,
        now: datetime,
        episode: int = 1,
        budget: str = "",
    ) -> Alert:
        """Return an alert that begins now; unless it tells, a graver one speaks for it."""
        return cls(
            id=alert_id(matter, episode),
            matter=matter,
            episode=episode,
            severity=severity,
            state=AlertState.FIRING,
            since=now,
            resolved_at=None,
            told_at=now if tells else None,
            times_told=1 if tells else 0,
            amount=amount,
            summary=summary,
            budget=budget,
            told_amount=amount if tells else "",
        )

    def told_again(self, amount: str, now: datetime) -> Alert:
        """Return the alert as it is once it has been put into words again, at that spend or available balance."""
        return replace(self, told_at=now, times_told=self.times_told + 1, told_amount=amount)

    @property
    def is_firing(self) -> bool:
        """Whether it has not ended."""
        return self.state is AlertState.FIRING


def next_episode(matter: Matter, known: Iterable[Alert]) -> int:
    """Return the number of the episode that begins now: one more than any known of that matter."""
    return max((alert.episode for alert in known if alert.matter == matter), default=0) + 1
