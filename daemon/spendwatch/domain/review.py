"""The whole evaluation: figures and known alerts in, alerts and notifications out. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spendwatch.domain.alert import Alert, AlertId, AlertKey, AlertState, Matter, Rule
from spendwatch.domain.notification import Facts, Notification, Reason, notification_id
from spendwatch.domain.policy import ChannelName, Severity, channels_of
from spendwatch.domain.scope import AlertScope

ONE_SHOT_LASTS = timedelta(days=1)
"""How long an alert that merely happened (a refused file) stays in the lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a review: alerts that are new or changed, and notifications."""

    alerts: tuple[Alert, ...] = ()
    notifications: tuple[Notification, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        """Return both."""
        return Verdict(self.alerts + other.alerts, self.notifications + other.notifications)


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether one condition holds. Conditions of one group share a notification, the most severe first."""

    key: AlertKey
    holds: bool
    severity: Severity
    summary: str
    facts: Facts
    channels: tuple[ChannelName, ...]
    group: str = ""
    """Empty: it is a group of its own."""
    grave: int = 0
    """The order within the group."""
    amount: str = ""
    remind: timedelta | None = None
    """None, too, while it holds only because it is not clear yet that it has ended: no reminder says what figures deny."""


class AlertsKnown:
    """The alerts on record, for look-ups by key and by rule and scope."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        """Index the alerts; of several episodes of one key the latest counts."""
        self._latest: dict[AlertKey, Alert] = {}
        self._by_scope: dict[tuple[Rule, AlertScope, str], list[Alert]] = {}
        for alert in sorted(alerts, key=lambda alert: alert.episode):
            key = alert.key
            self._latest[key] = alert
            self._by_scope.setdefault((key.rule, key.scope, key.period), []).append(alert)

    def latest(self, key: AlertKey) -> Alert | None:
        """Return the latest episode of what has this key."""
        return self._latest.get(key)

    def of(self, rule: Rule, scope: AlertScope, period: str = "") -> Sequence[Alert]:
        """Return the alerts of one rule and scope, whatever their threshold."""
        return self._by_scope.get((rule, scope, period), ())

    def scopes(self, period: str) -> set[AlertScope]:
        """Return what alerts of that period are about."""
        return {scope for _, scope, when in self._by_scope if when == period}

    def firing(self) -> tuple[Alert, ...]:
        """Return the alerts that have not ended."""
        return tuple(alert for alert in self._latest.values() if alert.is_firing)


def review_conditions(conditions: Sequence[Condition], known: AlertsKnown, *, now: datetime) -> Verdict:
    """Judge conditions that begin and end, group by group: fire, remind, resolve; each at most one notification a group."""
    groups: dict[str | AlertKey, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(condition.group or condition.key, []).append(condition)
    verdict = Verdict()
    for group in groups.values():
        verdict += _review_group(sorted(group, key=lambda condition: condition.grave), known, now)
    return verdict


def _review_group(group: Sequence[Condition], known: AlertsKnown, now: datetime) -> Verdict:
    latest = {condition.key: known.latest(condition.key) for condition in group}
    firing = [condition for condition in group if (alert := latest[condition.key]) and alert.is_firing]
    new = [
        condition
        for condition in group
        if condition.holds
        and ((alert := latest[condition.key]) is None or (condition.key.rule.is_episodic and not alert.is_firing))
    ]
    ended = [condition for condition in firing if not condition.holds and condition.key.rule.is_episodic]
    verdict = Verdict()
    if new:
        speaks = all(condition.grave < new[-1].grave for condition in firing if condition.holds)
        verdict += _fire(new, known, speaks=speaks, now=now)
    if ended:
        verdict += _resolve(ended, known, now=now)
    if not verdict.notifications:
        holding = [condition for condition in firing if condition.holds and condition.remind]
        if holding:
            spoken = (known.latest(condition.key) for condition in firing)
            last = max(alert.told_at or alert.since for alert in spoken if alert)
            verdict += _remind(holding[-1], known, last=last, now=now)
    return verdict


def _fire(new: Sequence[Condition], known: AlertsKnown, *, speaks: bool, now: datetime) -> Verdict:
    alerts = []
    for condition in new:
        before = known.latest(condition.key)
        episode = before.episode + 1 if before else 1
        tells = speaks and condition is new[-1]
        alerts.append(
            Alert.begun(
                condition.key,
                condition.severity,
                tells=tells,
                amount=condition.amount,
                summary=condition.summary,
                now=now,
                episode=episode,
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    gravest = new[-1]
    facts = replace(gravest.facts, also=tuple(condition.key.threshold for condition in reversed(new[:-1])))
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.FIRED, gravest.channels, facts, now),))


def _resolve(ended: Sequence[Condition], known: AlertsKnown, *, now: datetime) -> Verdict:
    alerts = []
    for condition in ended:
        before = known.latest(condition.key)
        if before:
            alerts.append(
                replace(before, state=AlertState.RESOLVED, resolved_at=now, told_at=now, told_amount=condition.amount)
            )
    if not alerts:
        return Verdict()
    gravest = ended[-1]
    facts = replace(gravest.facts, also=tuple(condition.key.threshold for condition in reversed(ended[:-1])))
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.RESOLVED, gravest.channels, facts, now),))


def _remind(condition: Condition, known: AlertsKnown, *, last: datetime, now: datetime) -> Verdict:
    alert = known.latest(condition.key)
    if alert is None or condition.remind is None or now - last < condition.remind:
        return Verdict()
    again = alert.told_again(condition.amount, now)
    return Verdict((again,), (say(again, Reason.REPEATED, condition.channels, condition.facts, now),))


def expire(known: AlertsKnown, conditions: Sequence[Condition], open_labels: frozenset[str], *, now: datetime) -> Verdict:
    """End, without a word, what can no longer hold: closed periods, things no longer watched, one-shots of yesterday."""
    judged = {condition.key for condition in conditions}
    ended = [
        replace(alert, state=AlertState.RESOLVED, resolved_at=now)
        for alert in known.firing()
        if _is_over(alert, judged, open_labels, now)
    ]
    return Verdict(tuple(ended))


def _is_over(alert: Alert, judged: set[AlertKey], open_labels: frozenset[str], now: datetime) -> bool:
    if alert.key.period:
        return alert.key.period not in open_labels
    if alert.key.rule.is_episodic or alert.key.rule is Rule.REJECTED:
        return alert.key not in judged
    return now - alert.since >= ONE_SHOT_LASTS


_MERGED = (Rule.OVERDUE, Rule.BALANCE_LOW, Rule.RUNWAY, Rule.THRESHOLD_REACHED, Rule.FORECAST)
"""The rules whose alerts share a message, the gravest of equal severity first. An escalation has channels of its own."""


def one_message_per_matter(verdict: Verdict) -> Verdict:
    """Return the verdict with one notification for all alerts of one matter that fire together, told by the gravest.

    It names the thresholds of the others and goes to all their channels. They are recorded as told with it: so they are
    reminded of and corrected as if each had a message of its own.
    """
    by_scope: dict[AlertScope, list[Notification]] = {}
    for one in verdict.notifications:
        if one.reason is Reason.FIRED and one.rule in _MERGED:
            by_scope.setdefault(one.facts.scope, []).append(one)
    several = [one for together in by_scope.values() if len(together) > 1 for one in together]
    if not several:
        return verdict
    alerts = {alert.id: alert for alert in verdict.alerts}
    by_matter: dict[Matter, list[Notification]] = {}
    for one in several:
        by_matter.setdefault(alerts[one.alert].key.matter, []).append(one)
    merged: dict[AlertId, Notification | None] = {}
    for together in by_matter.values():
        if len(together) > 1:
            gravest, *others = sorted(together, key=lambda one: (-one.severity.rank, _MERGED.index(one.rule)))
            merged |= {gravest.alert: _speak_for(gravest, others), **dict.fromkeys(one.alert for one in others)}
    if not merged:
        return verdict
    for told in (alert for alert, message in merged.items() if message is None):
        alerts[told] = replace(alerts[told], times_told=0)
    said = (merged.get(one.alert, one) if one.reason is Reason.FIRED else one for one in verdict.notifications)
    return Verdict(tuple(alerts.values()), tuple(one for one in said if one))


def _speak_for(gravest: Notification, others: Sequence[Notification]) -> Notification:
    also = (*gravest.facts.also, *(label for one in others for label in (one.facts.threshold, *one.facts.also)))
    found = (one.facts.forecast for one in (gravest, *others) if one.facts.forecast)
    return replace(
        gravest,
        channels=channels_of((gravest, *others), ()),
        facts=replace(gravest.facts, also=also, forecast=next(found, None)),
    )


def say(alert: Alert, reason: Reason, channels: tuple[ChannelName, ...], facts: Facts, now: datetime) -> Notification:
    """Return the notification of the alert, with these figures."""
    return Notification(
        id=notification_id(alert.id, reason, alert.times_told),
        alert=alert.id,
        rule=alert.key.rule,
        reason=reason,
        severity=alert.severity,
        state=alert.state,
        since=alert.since,
        created_at=now,
        channels=channels,
        facts=facts,
    )
