"""The whole evaluation: figures and known alerts in, alerts and notifications out. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spendwatch.domain.alert import Alert, AlertState, Matter, Rule
from spendwatch.domain.notification import Facts, Notification, Reason, notification_id
from spendwatch.domain.policy import ChannelName, Severity

ONE_SHOT_LASTS = timedelta(days=1)
"""How long an alert that merely happened (a refused file) stays in the lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a review: alerts that are new or have changed, and what is to be said."""

    alerts: tuple[Alert, ...] = ()
    notifications: tuple[Notification, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        """Return both."""
        return Verdict(self.alerts + other.alerts, self.notifications + other.notifications)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one condition holds. Findings of one group are told together, the gravest first."""

    matter: Matter
    holds: bool
    severity: Severity
    group: str
    grave: int
    """The order within the group."""
    summary: str
    facts: Facts
    channels: tuple[ChannelName, ...]
    amount: str = ""
    remind: timedelta | None = None
    """None, too, while it holds only because it is not clear yet that it has ended: no reminder says what figures deny."""


class AlertsKnown:
    """The alerts on record, for look-ups by matter and by group of matters."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        """Index the alerts; of several episodes of one matter the latest counts."""
        self._latest: dict[Matter, Alert] = {}
        self._by_place: dict[tuple[Rule, str, str, str], list[Alert]] = {}
        for alert in sorted(alerts, key=lambda alert: alert.episode):
            self._latest[alert.matter] = alert
            matter = alert.matter
            self._by_place.setdefault((matter.rule, matter.account, matter.scope, matter.period), []).append(alert)

    def latest(self, matter: Matter) -> Alert | None:
        """Return the latest episode of that matter."""
        return self._latest.get(matter)

    def of(self, rule: Rule, account: str, scope: str, period: str) -> Sequence[Alert]:
        """Return the alerts of one rule and place, whatever their threshold."""
        return self._by_place.get((rule, account, scope, period), ())

    def firing(self) -> tuple[Alert, ...]:
        """Return the alerts that have not ended."""
        return tuple(alert for alert in self._latest.values() if alert.is_firing)


def review_findings(findings: Sequence[Finding], known: AlertsKnown, *, now: datetime) -> Verdict:
    """Judge conditions that begin and end, group by group: fire, remind, resolve; each at most one notification a group."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.group, []).append(finding)
    verdict = Verdict()
    for group in groups.values():
        verdict += _review_group(sorted(group, key=lambda finding: finding.grave), known, now)
    return verdict


def _review_group(group: Sequence[Finding], known: AlertsKnown, now: datetime) -> Verdict:
    latest = {finding.matter: known.latest(finding.matter) for finding in group}
    firing = [finding for finding in group if (alert := latest[finding.matter]) and alert.is_firing]
    new = [
        finding
        for finding in group
        if finding.holds
        and ((alert := latest[finding.matter]) is None or (finding.matter.rule.is_episodic and not alert.is_firing))
    ]
    ended = [finding for finding in firing if not finding.holds and finding.matter.rule.is_episodic]
    verdict = Verdict()
    if new:
        speaks = all(finding.grave < new[-1].grave for finding in firing if finding.holds)
        verdict += _fire(new, known, speaks=speaks, now=now)
    if ended:
        verdict += _resolve(ended, known, now=now)
    if not verdict.notifications:
        holding = [finding for finding in firing if finding.holds and finding.remind]
        if holding:
            spoken = (known.latest(finding.matter) for finding in firing)
            last = max(alert.told_at or alert.since for alert in spoken if alert)
            verdict += _remind(holding[-1], known, last=last, now=now)
    return verdict


def _fire(new: Sequence[Finding], known: AlertsKnown, *, speaks: bool, now: datetime) -> Verdict:
    alerts = []
    for finding in new:
        before = known.latest(finding.matter)
        episode = before.episode + 1 if before else 1
        tells = speaks and finding is new[-1]
        alerts.append(
            Alert.begun(
                finding.matter,
                finding.severity,
                tells=tells,
                amount=finding.amount,
                summary=finding.summary,
                now=now,
                episode=episode,
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    gravest = new[-1]
    facts = replace(gravest.facts, also=tuple(finding.matter.threshold for finding in reversed(new[:-1])))
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.FIRED, gravest.channels, facts, now),))


def _resolve(ended: Sequence[Finding], known: AlertsKnown, *, now: datetime) -> Verdict:
    alerts = []
    for finding in ended:
        before = known.latest(finding.matter)
        if before:
            alerts.append(replace(before, state=AlertState.RESOLVED, resolved_at=now, told_at=now, told_amount=finding.amount))
    if not alerts:
        return Verdict()
    gravest = ended[-1]
    facts = replace(gravest.facts, also=tuple(finding.matter.threshold for finding in reversed(ended[:-1])))
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.RESOLVED, gravest.channels, facts, now),))


def _remind(finding: Finding, known: AlertsKnown, *, last: datetime, now: datetime) -> Verdict:
    alert = known.latest(finding.matter)
    if alert is None or finding.remind is None or now - last < finding.remind:
        return Verdict()
    again = alert.told_again(finding.amount, now)
    return Verdict((again,), (say(again, Reason.REPEATED, finding.channels, finding.facts, now),))


def expire(known: AlertsKnown, findings: Sequence[Finding], open_labels: frozenset[str], *, now: datetime) -> Verdict:
    """End, without a word, what can no longer hold: closed periods, things no longer watched, one-shots of yesterday."""
    judged = {finding.matter for finding in findings}
    ended = [
        replace(alert, state=AlertState.RESOLVED, resolved_at=now)
        for alert in known.firing()
        if _is_over(alert, judged, open_labels, now)
    ]
    return Verdict(tuple(ended))


def _is_over(alert: Alert, judged: set[Matter], open_labels: frozenset[str], now: datetime) -> bool:
    if alert.matter.period:
        return alert.matter.period not in open_labels
    if alert.matter.rule.is_episodic or alert.matter.rule is Rule.REJECTED:
        return alert.matter not in judged
    return now - alert.since >= ONE_SHOT_LASTS


def say(alert: Alert, reason: Reason, channels: tuple[ChannelName, ...], facts: Facts, now: datetime) -> Notification:
    """Return the notification that tells of the alert, with these figures."""
    return Notification(
        id=notification_id(alert.id, reason, alert.times_told),
        alert=alert.id,
        rule=alert.matter.rule,
        reason=reason,
        severity=alert.severity,
        state=alert.state,
        since=alert.since,
        created_at=now,
        channels=channels,
        facts=facts,
    )
