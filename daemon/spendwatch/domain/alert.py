"""A condition that holds now, and its alert: firing, then resolved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import AlertScope, BudgetScope, Portion

AlertId = NewType("AlertId", str)


class Rule(StrEnum):
    """What an alert is about. The values are the `type` of a webhook's body."""

    THRESHOLD_REACHED = "spend.threshold_reached"
    FORECAST = "spend.forecast"
    FOREIGN_CURRENCY = "spend.foreign_currency"
    CORRECTED = "spend.corrected"
    CONSOLE = "spend.console"
    UNASSIGNED_SPEND = "spend.unassigned"
    UNTAGGED = "spend.untagged"
    SPIKE = "spend.spike"
    MONTH_CLOSED = "month.closed"
    LATE = "spend.late"
    FIRST_COST = "spend.first_cost"
    FREE_QUOTA_ENDED = "spend.free_quota_ended"
    PLAN_ORDERED = "plan.ordered"
    PLAN_ENDS = "plan.ends"
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
    DIGEST = "alerts.digest"
    """No alert: several messages in one."""
    REPORT = "report"
    """No alert: a scheduled report."""

    # Enum hashes its name in Python, at every look-up; every known alert is looked up in every round.
    __hash__ = str.__hash__

    @classmethod
    def of_budget(cls, scope: BudgetScope) -> Rule:
        """Return the rule of the thresholds of what is watched there."""
        match scope.portion:
            case None:
                return cls.THRESHOLD_REACHED
            case Portion.CONSOLE:
                return cls.CONSOLE
            case Portion.UNASSIGNED:
                return cls.UNASSIGNED_SPEND
            case Portion.UNTAGGED:
                return cls.UNTAGGED

    @property
    def type(self) -> str:
        """The name of the rule in JSON."""
        return self.value

    @property
    def is_episodic(self) -> bool:
        """Whether the alert ends and may begin again, counted by episodes; the others belong to a period or happen once."""
        return self in _EPISODIC

    @property
    def is_about_spend(self) -> bool:
        """Whether it is about a watched budget."""
        return self in _OF_SPEND

    @property
    def happened(self) -> bool:
        """Whether it is about what happened in its period: it stays in the lists for a day."""
        return self in {Rule.SPIKE, Rule.MONTH_CLOSED}

    @property
    def is_about_balance(self) -> bool:
        """Whether it is about an available balance."""
        return self in _OF_BALANCE

    @property
    def is_about_news(self) -> bool:
        """Whether it is about something new in an account's bills; alerts of one such rule are one matter for each account."""
        return self in _NEW


_NEW = frozenset({Rule.FIRST_COST, Rule.FREE_QUOTA_ENDED, Rule.PLAN_ORDERED, Rule.PLAN_ENDS})
OF_PORTIONS = frozenset({Rule.CONSOLE, Rule.UNASSIGNED_SPEND, Rule.UNTAGGED})
"""Amounts of spend that nobody's budget counts."""
_OF_SPEND = OF_PORTIONS | {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED}
_OF_BALANCE = frozenset({Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY})
_EPISODIC = _OF_BALANCE | {
    Rule.PLAN_ENDS,
    Rule.BALANCE_FAILING,
    Rule.BALANCE_DIFFERING,
    Rule.STALE,
    Rule.SOURCE_FAILING,
    Rule.CHANNEL_FAILING,
    Rule.CONFIG_REJECTED,
    Rule.CLOCK_WRONG,
    Rule.LEDGER_FAILING,
}


class AlertState(StrEnum):
    """How far an alert has come."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Matter(NamedTuple):
    """What several alerts are about together: one budget in its period, the balance of one account, or one other condition."""

    about: str
    """`spend`, `balance`, or the rule of an alert that stands alone."""
    account: str
    scope: str
    threshold: str
    period: str


@dataclass(frozen=True, slots=True)
class AlertKey:
    """What a condition is about, apart from when: the same key may have several episodes."""

    rule: Rule
    scope: AlertScope
    threshold: str = ""
    """The threshold's, floor's or runway's label; empty where there is none."""
    period: str = ""
    """The billing period's label; empty for what has episodes, or happens once."""
    height: str = ""
    """The amount at which a threshold is reached, as plain decimal text: 80% of a raised budget is another key."""

    @property
    def matter(self) -> Matter:
        """What people are told about once: all thresholds of a budget are one matter, and so are floors, runway and overdue."""
        rule, scope = self.rule, self.scope
        if rule.is_about_balance:
            return Matter("balance", scope.account, "", "", "")
        if rule.is_about_spend:
            return Matter("spend", scope.account, scope.text, "", self.period)
        if rule is Rule.SPIKE:  # An unusual day of a workspace is one of its account, too.
            return Matter(rule.value, scope.account, "", self.threshold, self.period)
        threshold = "" if rule.is_about_news else self.threshold
        return Matter(rule.value, scope.account, scope.text, threshold, self.period)


def alert_id(key: AlertKey, episode: int) -> AlertId:
    """Return the alert's identity, a hash of its content: the same key in the same episode is always the same alert."""
    scope = key.scope
    content = "\x1f".join((key.rule, scope.account, scope.text, key.threshold, key.period, str(episode), key.height))
    return AlertId(hashlib.sha256(content.encode()).hexdigest()[:20])


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition with a history."""

    id: AlertId
    key: AlertKey
    episode: int
    severity: Severity
    state: AlertState
    since: datetime
    resolved_at: datetime | None = None
    told_at: datetime | None = None
    """When it was last put into words; None while a graver alert of its rule spoke for it."""
    times_told: int = 0
    """How many notifications it had of its own: none where it was put into the words of a graver alert of its matter."""
    amount: str = ""
    """Spend or available balance when it fired, as plain decimal text; empty where there is none."""
    summary: str = ""
    """One line for lists."""
    budget: str = ""
    """The budget that it was judged by when it fired, as plain decimal text; empty where there was none."""
    told_amount: str = ""
    """Spend or available balance when it was last put into words; empty where there is none."""
    escalated_at: datetime | None = None
    """When additional channels were notified of it."""
    lapsed: bool = False
    """Whether it ended because the configuration changed: then it may begin again, whatever its rule."""

    def told_again(self, amount: str, now: datetime) -> Alert:
        """Return the alert as it is once it has been put into words again, at that spend or available balance."""
        return replace(self, told_at=now, times_told=self.times_told + 1, told_amount=amount)

    @property
    def is_firing(self) -> bool:
        """Whether it has not ended."""
        return self.state is AlertState.FIRING


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody takes care of an alert: no reminders and no escalation of its matter, until it gets graver or ends."""

    alert: AlertId
    by: str
    at: datetime
    until: datetime | None = None
    """None: as long as it lasts."""
    comment: str = ""
