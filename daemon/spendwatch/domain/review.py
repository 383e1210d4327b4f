"""The whole evaluation: figures and known alerts in, alerts and notifications out. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from spendwatch.domain.alert import Alert, AlertId, AlertKey, AlertsKnown, AlertState, Matter, Rule, alert_id
from spendwatch.domain.delivery import Held, Reason
from spendwatch.domain.notification import Facts, Notification, notification_id
from spendwatch.domain.period import parse_period
from spendwatch.domain.policy import ChannelName, Escalation, Severity, channels_of
from spendwatch.domain.scope import AlertScope

ONE_SHOT_LASTS = timedelta(days=1)
"""How long an alert that merely happened (a refused file) stays in the lists."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a review: alerts that are new or changed, and notifications."""

    alerts: tuple[Alert, ...] = ()
    notifications: tuple[Notification, ...] = ()
    held: tuple[Held, ...] = ()
    """What does not go out over a channel now, and what waited until now."""

    @property
    def sent(self) -> tuple[Notification, ...]:
        """The notifications that go out now, each with the channels over which it does."""
        # A message that has waited and goes out as it was is its own digest.
        withheld = {(row.notification, row.channel) for row in self.held if row.digest != row.notification}
        if not withheld:
            return self.notifications
        ways = ((one, tuple(name for name in one.channels if (one.id, name) not in withheld)) for one in self.notifications)
        return tuple(one if ways == one.channels else replace(one, channels=ways) for one, ways in ways if ways)

    def __add__(self, other: Verdict) -> Verdict:
        """Return both."""
        return Verdict(self.alerts + other.alerts, self.notifications + other.notifications, self.held + other.held)


NO_VERDICT = Verdict()


class Condition(NamedTuple):
    """Whether one condition holds. Conditions of one group share a notification, the most severe first.

    A tuple is made in half the time of a dataclass, and a round may have a hundred thousand.
    """

    key: AlertKey
    severity: Severity
    summary: str
    facts: Facts
    channels: tuple[ChannelName, ...]
    holds: bool = True
    group: str = ""
    """Empty: it is a group of its own."""
    grave: int = 0
    """The order within the group."""
    amount: str = ""
    remind: timedelta | None = None
    """None, too, while it holds only because it is not clear yet that it has ended: no reminder says what figures deny."""
    escalate: Escalation | None = None
    """None, too, while it is not clear yet whether it has ended."""
    escalates_from: datetime | None = None
    """Since when it counts for the escalation; None: since its alert began."""
    budget: str = ""
    """The budget that it is judged by, as plain decimal text."""
    is_news: bool | None = None
    """Whether to notify when it begins; None: unless a graver one of its group fires already."""
    lapses: bool = False
    """Whether it ends, whatever its rule, because the configuration changed."""
    heard: tuple[ChannelName, ...] = ()
    """Further channels that heard of it when it began: reminders go there, too."""
    figures: Callable[[tuple[str, ...]], Facts] | None = None
    """Makes the facts once they are needed, where there are very many conditions of which few are news."""

    def told(self, also: tuple[str, ...] = ()) -> Facts:
        """Return the figures of the moment, and the labels of further conditions that they speak for."""
        return self.figures(also) if self.figures else replace(self.facts, also=also) if also else self.facts


def review_conditions(conditions: Iterable[Condition], known: AlertsKnown, *, now: datetime) -> Verdict:
    """Judge conditions group by group: fire, resolve, escalate, remind.

    Of one group several that fire or end are one notification. Nobody is reminded in a round in which there is news.
    """
    groups: dict[str | AlertKey, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(condition.group or condition.key, []).append(condition)
    alerts: list[Alert] = []
    said: list[Notification] = []
    for group in groups.values():
        verdict = _review_group(sorted(group, key=attrgetter("grave")), known, now)
        alerts += verdict.alerts
        said += verdict.notifications
    return Verdict(tuple(alerts), tuple(said))


def _review_group(group: Sequence[Condition], known: AlertsKnown, now: datetime) -> Verdict:
    new: list[tuple[Condition, int]] = []
    holding: list[Condition] = []
    ended: list[Condition] = []
    for condition in group:
        alert = known.latest(condition.key)
        if alert and alert.is_firing:
            if condition.holds:
                holding.append(condition)
            elif condition.key.rule.is_episodic or condition.lapses:
                ended.append(condition)
        elif condition.holds and (alert is None or alert.lapsed or condition.key.rule.is_episodic):
            new.append((condition, alert.episode + 1 if alert else 1))
    verdict = _fire(new, holding, known, now) if new else NO_VERDICT
    if ended:
        over = _resolve(ended, known, now)
        if over.notifications and ended[-1].lapses:
            # It says how things stand by the new configuration, and so it speaks for what was recorded without a word.
            silent = (alert if alert.told_at else alert._replace(told_at=now) for alert in verdict.alerts)
            verdict = Verdict(tuple(silent), verdict.notifications)
        verdict += over
    if not any(condition.remind or condition.escalate for condition in holding):
        return verdict
    if verdict.notifications or known.acknowledged(holding[-1].key.matter, now):
        return verdict
    about = {(one.key.rule, one.key.scope, one.key.period) for one in holding}
    firing = [alert for which in about for alert in known.of(*which) if alert.is_firing]
    return verdict + (_escalate(holding, firing, known, now) or _remind(holding, firing, known, now))


def _fire(new: Sequence[tuple[Condition, int]], firing: Sequence[Condition], known: AlertsKnown, now: datetime) -> Verdict:
    """Return the alerts that begin, each in its episode, and one notification of the gravest, if it is news."""
    gravest = new[-1][0]
    speaks = gravest.is_news
    if speaks is None:
        speaks = all(condition.grave < gravest.grave for condition in firing)
    alerts = [
        Alert(
            alert_id(condition.key, episode),
            condition.key,
            episode,
            condition.severity,
            AlertState.FIRING,
            now,
            amount=condition.amount,
            summary=condition.summary,
            budget=condition.budget,
        )
        for condition, episode in new
    ]
    if not speaks:
        return Verdict(tuple(alerts))
    alerts[-1] = alerts[-1].told_again(gravest.amount, now)
    return Verdict(tuple(alerts), (_say_all(alerts[-1], Reason.FIRED, [condition for condition, _ in new], known, now),))


def _resolve(ended: Sequence[Condition], known: AlertsKnown, now: datetime) -> Verdict:
    """Return the alerts that end, and one notification of the gravest, unless nobody was told of them."""
    speaks = ended[-1].is_news is not False
    over = [
        before._replace(state=AlertState.RESOLVED, resolved_at=now, lapsed=condition.lapses)
        for condition in ended
        if (before := known.latest(condition.key))
    ]
    if not speaks:
        return Verdict(tuple(over))
    told = (alert._replace(told_at=now, told_amount=one.amount) for alert, one in zip(over, ended, strict=True))
    return Verdict(tuple(told), (_say_all(over[-1], Reason.RESOLVED, ended, known, now),))


def _say_all(alert: Alert, reason: Reason, together: Sequence[Condition], known: AlertsKnown, now: datetime) -> Notification:
    """Return one notification of the last of these for all of them, to all their channels."""
    is_correction = alert.key.rule is Rule.CORRECTED
    also = tuple(condition.key.threshold for condition in reversed(together[:-1]))
    facts = together[-1].told(() if is_correction or alert.key.rule is Rule.SPIKE else also)
    if (reason is Reason.RESOLVED or is_correction) and (one := known.acknowledged(alert.key.matter, now)):
        facts = replace(facts, acknowledged=one)
    return say(alert, reason, _channels(together, known, now), facts, now)


def _channels(together: Sequence[Condition], known: AlertsKnown, before: datetime) -> tuple[ChannelName, ...]:
    """Return the channels of all of these, with those to which they were escalated, unless that was after that moment."""
    heard = [(at, one.escalate.channels) for one in together if one.escalate and (at := known.escalated_at(one.key))]
    escalated = [names for _, names in heard] if all(at <= before for at, _ in heard) else []
    found = (*(one.channels for one in reversed(together)), *escalated)
    return tuple(dict.fromkeys(name for names in found for name in names))


def _escalate(holding: Sequence[Condition], firing: Sequence[Alert], known: AlertsKnown, now: datetime) -> Verdict | None:
    """Return one escalation of all that fires, if something that was told fires for long enough; each at most once."""
    was_escalated = any(alert.escalated_at for alert in firing)
    waiting: list[tuple[Condition, Escalation, Alert]] = []
    is_due = False
    for condition in holding:
        alert, wanted = known.latest(condition.key), condition.escalate
        if wanted is None or alert is None or alert.escalated_at or condition.severity.rank < wanted.severity.rank:
            continue
        waiting.append((condition, wanted, alert))
        counts = alert.told_at is not None or not was_escalated
        is_due |= counts and now - (condition.escalates_from or alert.since) >= wanted.after
    if not is_due:
        return None
    gravest, wanted, alert = waiting[-1]
    alerts = tuple(alert._replace(escalated_at=now) for _, _, alert in waiting)
    also = tuple(condition.key.threshold for condition, _, _ in reversed(waiting[:-1]))
    facts = replace(gravest.told(also), escalated_after=wanted.after)
    return Verdict(alerts, (say(alert, Reason.ESCALATED, wanted.channels, facts, now),))


def _remind(holding: Sequence[Condition], firing: Sequence[Alert], known: AlertsKnown, now: datetime) -> Verdict:
    """Return a reminder of the gravest that wants any, if the last word on anything of its group was long enough ago."""
    condition = next((one for one in reversed(holding) if one.remind), None)
    alert = known.latest(condition.key) if condition else None
    if condition is None or condition.remind is None or alert is None:
        return NO_VERDICT
    last = max((one.told_at for one in firing if one.told_at), default=None) or max(one.since for one in firing)
    if now - last < condition.remind:
        return NO_VERDICT
    again = alert.told_again(condition.amount, now)
    channels = dict.fromkeys((*_channels(holding, known, now - condition.remind), *condition.heard))
    return Verdict((again,), (say(again, Reason.REPEATED, tuple(channels), condition.told(), now),))


def expire(known: AlertsKnown, conditions: Sequence[Condition], open_labels: frozenset[str], *, now: datetime) -> Verdict:
    """End, without a word, what can no longer hold: closed periods, things no longer watched, one-shots of yesterday."""
    judged = {condition.key for condition in conditions if not condition.key.period}
    ended = [
        alert._replace(state=AlertState.RESOLVED, resolved_at=now)
        for alert in known.firing()
        if _is_over(alert, judged, open_labels, now)
    ]
    return Verdict(tuple(ended))


def _is_over(alert: Alert, judged: set[AlertKey], open_labels: frozenset[str], now: datetime) -> bool:
    if alert.key.period and not alert.key.rule.happened:
        # That of a day may fire when the day is long over: it stays in the lists for a day, too.
        is_short = parse_period(alert.key.period).kind.is_short
        return alert.key.period not in open_labels and not (is_short and now - alert.since < ONE_SHOT_LASTS)
    if alert.key.rule.is_episodic or alert.key.rule is Rule.REJECTED:
        return alert.key not in judged
    return now - alert.since >= ONE_SHOT_LASTS


_MERGED = (Rule.OVERDUE, Rule.BALANCE_LOW, Rule.RUNWAY, Rule.THRESHOLD_REACHED, Rule.FORECAST)
"""The rules whose alerts share a message, the gravest of equal severity first."""


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
        alerts[told] = alerts[told]._replace(times_told=0)
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
