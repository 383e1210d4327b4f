"""The whole judgement: figures and known alerts in, alerts and notifications out. Pure; it asks nobody anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from spendwatch.domain.alert import Alert, AlertState, Matter, Rule, alert_id
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts, Notification, Reason, notification_id
from spendwatch.domain.policy import ChannelName, Severity, Threshold
from spendwatch.domain.standing import Standing

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


def review_standing(standing: Standing, known: AlertsKnown, *, account_name: str, now: datetime) -> Verdict:
    """Judge one watched budget: thresholds newly reached, a reminder, or a total that fell back.

    Once per threshold, scope and period. If several are reached at once, one notification names the highest and lists the
    others. A threshold that lies no higher than one already told is recorded and not told; one of a raised budget lies
    higher. A falling total neither ends nor re-arms anything: it gives one correction notice.
    """
    watch = standing.watch
    told = known.of(Rule.THRESHOLD_REACHED, watch.scope.account, watch.scope.key, standing.period.label)
    if not told and not watch.thresholds:
        return Verdict()
    known_levels = {(alert.matter.threshold, alert.matter.height) for alert in told}
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    new = [level for level in levels if standing.spend.amount >= level.at and (level.label, level.height) not in known_levels]
    verdict = _thresholds_reached(standing, new, told, account_name=account_name, now=now) if new else Verdict()
    if not told:
        return verdict
    if not verdict.notifications and watch.remind:
        verdict += _reminder(standing, told, account_name, now)
    return verdict + _correction(standing, told, known, account_name, now)


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold with the amount at which it is reached."""

    at: Decimal
    height: str
    """The same as plain text."""
    label: str
    severity: Severity


@lru_cache(maxsize=4096)
def levels_of(thresholds: tuple[Threshold, ...], budget: Decimal | None) -> tuple[Level, ...]:
    """Return the thresholds that can be reached, the lowest first."""
    reachable = ((threshold.reached_at(budget), threshold) for threshold in thresholds)
    found = (Level(at, plain(at), threshold.label, threshold.severity(budget)) for at, threshold in reachable if at is not None)
    return tuple(sorted(found, key=lambda level: level.at))


def _thresholds_reached(
    standing: Standing, new: Sequence[Level], told: Sequence[Alert], *, account_name: str, now: datetime
) -> Verdict:
    watch, period = standing.watch, standing.period.label
    scope, highest = watch.scope, new[-1]
    speaks = all(highest.at > Decimal(alert.matter.height) for alert in told)
    key, spent, whole = scope.key, plain(standing.spend.amount), f" of {watch.budget}" if watch.budget else ""
    spent_text = str(standing.spend)
    alerts = []
    for level in new:
        tells = speaks and level is highest
        matter = Matter(Rule.THRESHOLD_REACHED, scope.account, key, level.label, period, level.height)
        alerts.append(
            Alert(
                id=alert_id(matter, 1),
                matter=matter,
                episode=1,
                severity=level.severity,
                state=AlertState.FIRING,
                since=now,
                resolved_at=None,
                told_at=now if tells else None,
                times_told=1 if tells else 0,
                amount=spent,
                summary=f"{watch.name} reached {level.label}{whole} in {period}: {spent_text} spent",
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    also = tuple(level.label for level in reversed(new[:-1]))
    facts = _spend_facts(standing, highest, told, account_name, also=also)
    return Verdict(tuple(alerts), (_say(alerts[-1], Reason.FIRED, watch.channels, facts, now),))


def _spend_facts(
    standing: Standing, level: Level, told: Sequence[Alert], account_name: str, *, also: tuple[str, ...] = ()
) -> Facts:
    watch = standing.watch
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    ahead = next((above for above in levels if above.at > standing.spend.amount), None)
    before = max((alert for alert in told if alert.told_at), key=lambda alert: alert.since, default=None)
    return Facts(
        account=watch.scope.account,
        account_name=account_name,
        scope=watch.scope.key,
        name=watch.name,
        period=standing.period.label,
        spend=standing.spend,
        budget=watch.budget,
        used=standing.used,
        threshold=level.label,
        reached_at=Money(level.at, watch.currency),
        also=also,
        next_threshold=ahead.label if ahead else "",
        next_at=Money(ahead.at, watch.currency) if ahead else None,
        earlier=_amount_of(before, standing) if before else None,
        earlier_at=before.since if before else None,
        foreign=standing.foreign,
        data_until=standing.data_until,
    )


def _amount_of(alert: Alert, standing: Standing) -> Money | None:
    return Money(Decimal(alert.amount), standing.watch.currency) if alert.amount else None


def _reminder(standing: Standing, told: Sequence[Alert], account_name: str, now: datetime) -> Verdict:
    watch = standing.watch
    spoken = [alert for alert in told if alert.is_firing and alert.told_at]
    if watch.remind is None or not spoken:
        return Verdict()
    latest = max(spoken, key=lambda alert: alert.since)
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    about = (latest.matter.threshold, latest.matter.height)
    level = next((level for level in levels if (level.label, level.height) == about), None)
    is_due = latest.told_at is not None and now - latest.told_at >= watch.remind
    if level is None or not is_due or standing.spend.amount < level.at:
        return Verdict()
    again = replace(latest, told_at=now, times_told=latest.times_told + 1)
    return Verdict(
        (again,), (_say(again, Reason.REPEATED, watch.channels, _spend_facts(standing, level, told, account_name), now),)
    )


def _correction(standing: Standing, told: Sequence[Alert], known: AlertsKnown, account_name: str, now: datetime) -> Verdict:
    watch = standing.watch
    labels = {threshold.label for threshold in watch.thresholds}
    spoken = ((Decimal(alert.matter.height), alert) for alert in told if alert.told_at and alert.matter.threshold in labels)
    fallen = [(height, alert) for height, alert in spoken if standing.spend.amount < height]
    if not fallen:
        return Verdict()
    height, highest = max(fallen, key=lambda one: one[0])
    matter = replace(highest.matter, rule=Rule.CORRECTED)
    if known.latest(matter) is not None:
        return Verdict()
    alert = Alert(
        id=alert_id(matter, 1),
        matter=matter,
        episode=1,
        severity=Severity.NOTICE,
        state=AlertState.FIRING,
        since=now,
        resolved_at=None,
        told_at=now,
        times_told=1,
        amount=plain(standing.spend.amount),
        summary=f"{watch.name} fell back below {matter.threshold} in {standing.period.label}: {standing.spend} spent",
    )
    level = Level(height, matter.height, matter.threshold, highest.severity)
    facts = _spend_facts(standing, level, (highest,), account_name)
    return Verdict((alert,), (_say(alert, Reason.FIRED, watch.channels, facts, now),))


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
        holding = [finding for finding in firing if finding.holds]
        if holding:
            verdict += _remind(holding[-1], known, now=now)
    return verdict


def _fire(new: Sequence[Finding], known: AlertsKnown, *, speaks: bool, now: datetime) -> Verdict:
    alerts = []
    for finding in new:
        before = known.latest(finding.matter)
        episode = before.episode + 1 if before else 1
        tells = speaks and finding is new[-1]
        alerts.append(
            Alert(
                id=alert_id(finding.matter, episode),
                matter=finding.matter,
                episode=episode,
                severity=finding.severity,
                state=AlertState.FIRING,
                since=now,
                resolved_at=None,
                told_at=now if tells else None,
                times_told=1 if tells else 0,
                amount=finding.amount,
                summary=finding.summary,
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    gravest = new[-1]
    facts = replace(gravest.facts, also=tuple(finding.matter.threshold for finding in reversed(new[:-1])))
    return Verdict(tuple(alerts), (_say(alerts[-1], Reason.FIRED, gravest.channels, facts, now),))


def _resolve(ended: Sequence[Finding], known: AlertsKnown, *, now: datetime) -> Verdict:
    alerts = []
    for finding in ended:
        before = known.latest(finding.matter)
        if before:
            alerts.append(replace(before, state=AlertState.RESOLVED, resolved_at=now, told_at=now))
    if not alerts:
        return Verdict()
    gravest = ended[-1]
    facts = replace(gravest.facts, also=tuple(finding.matter.threshold for finding in reversed(ended[:-1])))
    return Verdict(tuple(alerts), (_say(alerts[-1], Reason.RESOLVED, gravest.channels, facts, now),))


def _remind(finding: Finding, known: AlertsKnown, *, now: datetime) -> Verdict:
    alert = known.latest(finding.matter)
    if alert is None or finding.remind is None or now - (alert.told_at or alert.since) < finding.remind:
        return Verdict()
    again = replace(alert, told_at=now, times_told=alert.times_told + 1)
    return Verdict((again,), (_say(again, Reason.REPEATED, finding.channels, finding.facts, now),))


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
    if alert.matter.rule.is_episodic:
        return alert.matter not in judged
    return now - alert.since >= ONE_SHOT_LASTS


def _say(alert: Alert, reason: Reason, channels: tuple[ChannelName, ...], facts: Facts, now: datetime) -> Notification:
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
