"""A condition that holds now, and its alert: firing, then resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from spendwatch.domain.digest import text_digest
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


class AlertKey(NamedTuple):
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
    return AlertId(text_digest(content)[:20])


class Alert(NamedTuple):
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
        return self._replace(told_at=now, times_told=self.times_told + 1, told_amount=amount)

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


class AlertsKnown:
    """The alerts on record, for look-ups by key and by rule and scope, and who acknowledged them."""

    def __init__(self, alerts: Iterable[Alert], acknowledgements: Iterable[Acknowledgement] = ()) -> None:
        """Index the alerts; of several episodes of one key the latest counts."""
        alerts = tuple(alerts)
        self._acknowledged = _in_force(alerts, tuple(acknowledgements))
        self._latest: dict[AlertKey, Alert] = {}
        self._by_scope: dict[tuple[AlertScope, str], dict[Rule, list[Alert]]] = {}
        for alert in sorted(alerts, key=lambda alert: alert.episode):
            key = alert.key
            self._latest[key] = alert
            self._by_scope.setdefault((key.scope, key.period), {}).setdefault(key.rule, []).append(alert)

    def latest(self, key: AlertKey) -> Alert | None:
        """Return the latest episode of what has this key."""
        return self._latest.get(key)

    def of(self, rule: Rule, scope: AlertScope, period: str = "") -> Sequence[Alert]:
        """Return the alerts of one rule and scope, whatever their threshold."""
        return self.about(scope, period).get(rule, ())

    def about(self, scope: AlertScope, period: str) -> Mapping[Rule, Sequence[Alert]]:
        """Return the alerts of one scope in a period by their rules."""
        return self._by_scope.get((scope, period), {})

    def escalated_at(self, key: AlertKey) -> datetime | None:
        """Return when additional channels were notified of what has this key and fires."""
        found = self._latest.get(key)
        return found.escalated_at if found and found.is_firing else None

    def acknowledged(self, matter: Matter, now: datetime) -> Acknowledgement | None:
        """Return who takes care of the matter now."""
        if not self._acknowledged:
            return None
        found = self._acknowledged.get(matter)
        return found if found and (found.until is None or now < found.until) else None

    def still_acknowledged(self, begun: Alert, now: datetime) -> Acknowledgement | None:
        """Return who takes care of the matter of an alert that begins now, unless it is as grave as all before."""
        if (found := self.acknowledged(begun.key.matter, now)) is None:
            return None
        known = (one for one in self.firing() if one.key.matter == begun.key.matter and one.since <= found.at)
        return found if any(one.severity.rank > begun.severity.rank for one in known) else None

    def scopes(self, period: str) -> set[AlertScope]:
        """Return what alerts of that period are about."""
        return {scope for scope, when in self._by_scope if when == period}

    def firing(self) -> tuple[Alert, ...]:
        """Return the alerts that have not ended."""
        return tuple(alert for alert in self._latest.values() if alert.is_firing)


def _in_force(alerts: Sequence[Alert], said: Sequence[Acknowledgement]) -> Mapping[Matter, Acknowledgement]:
    """Return the acknowledgement of each matter that has neither ended since, nor become graver."""
    if not said:
        return {}
    meant = {one.alert for one in said}
    matters = {alert.id: alert.key.matter for alert in alerts if alert.id in meant}
    firing: dict[Matter, list[Alert]] = {matter: [] for matter in matters.values()}
    for alert in alerts:
        if alert.is_firing and (about := firing.get(alert.key.matter)) is not None:
            about.append(alert)
    found: dict[Matter, Acknowledgement] = {}
    for one in sorted((one for one in said if one.alert in matters), key=lambda one: one.at):
        matter = matters[one.alert]
        if known := [alert for alert in firing[matter] if alert.since <= one.at]:
            worst = max(alert.severity.rank for alert in known)
            later = (alert for alert in firing[matter] if alert.since > one.at and alert.told_at)
            if not any(alert.severity.rank >= worst and alert.key.rule is not Rule.CORRECTED for alert in later):
                found[matter] = one
    return found
