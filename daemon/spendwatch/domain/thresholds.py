"""The judgement of one watched budget: thresholds reached, reminders, and totals that fell back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from spendwatch.domain.alert import Alert, Matter, Rule
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts, Reason
from spendwatch.domain.policy import Severity, Threshold
from spendwatch.domain.review import AlertsKnown, Verdict, say
from spendwatch.domain.standing import Standing


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
def levels_of(thresholds: tuple[Threshold, ...], budget: Decimal | None, *, of_forecasts: bool = False) -> tuple[Level, ...]:
    """Return the thresholds that the spend can reach, or those that a forecast can, the lowest first."""
    wanted = (threshold for threshold in thresholds if threshold.is_forecast is of_forecasts)
    reachable = ((threshold.reached_at(budget), threshold) for threshold in wanted)
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
            Alert.begun(
                matter,
                level.severity,
                tells=tells,
                amount=spent,
                summary=f"{watch.name} reached {level.label}{whole} in {period}: {spent_text} spent",
                now=now,
            )
        )
    if not speaks:
        return Verdict(tuple(alerts))
    also = tuple(level.label for level in reversed(new[:-1]))
    facts = spend_facts(standing, highest, told, account_name, also=also)
    return Verdict(tuple(alerts), (say(alerts[-1], Reason.FIRED, watch.channels, facts, now),))


def spend_facts(
    standing: Standing, level: Level, told: Sequence[Alert], account_name: str, *, also: tuple[str, ...] = ()
) -> Facts:
    """Return the figures of one watched budget, given the level that is spoken of and what was told before."""
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
        (again,), (say(again, Reason.REPEATED, watch.channels, spend_facts(standing, level, told, account_name), now),)
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
    alert = Alert.begun(
        matter,
        Severity.NOTICE,
        tells=True,
        amount=plain(standing.spend.amount),
        summary=f"{watch.name} fell back below {matter.threshold} in {standing.period.label}: {standing.spend} spent",
        now=now,
    )
    level = Level(height, matter.height, matter.threshold, highest.severity)
    facts = spend_facts(standing, level, (highest,), account_name)
    return Verdict((alert,), (say(alert, Reason.FIRED, watch.channels, facts, now),))
