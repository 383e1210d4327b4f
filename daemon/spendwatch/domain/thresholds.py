"""Evaluates one watched budget: thresholds reached, reminders, and totals that fell back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from spendwatch.domain.alert import Alert, AlertKey, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Money, is_no_smaller_share, plain
from spendwatch.domain.notification import Facts, Reason
from spendwatch.domain.policy import NEARLY, WHOLE, ChannelName, Severity, Threshold, channels_of, threshold_text
from spendwatch.domain.review import AlertsKnown, Verdict, say
from spendwatch.domain.standing import Standing


def review_standing(standing: Standing, known: AlertsKnown, *, account_name: str, now: datetime) -> Verdict:
    """Judge one watched budget: thresholds newly reached, a reminder, or a total that fell back.

    Once per threshold, scope and period. If several are reached at once, one notification names the highest and lists the
    others. A threshold is recorded and not told if something at least as grave was told already: no lower an amount, and no
    smaller a share of the budget of its time. So one of a raised budget is told, and so is one of a budget that was lowered
    below the spend. A falling total neither ends nor re-arms anything: it gives one correction notice; one below zero does
    so, too, before anything was told.
    """
    watch = standing.watch
    told = known.of(Rule.THRESHOLD_REACHED, watch.scope, standing.period.label)
    if not told and not watch.thresholds and watch.budget is None:
        return Verdict()
    known_levels = {(alert.key.threshold, alert.key.height) for alert in told}
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    new = [level for level in levels if standing.spend.amount >= level.at and (level.label, level.height) not in known_levels]
    verdict = Verdict()
    if new:
        verdict = fire_levels(
            Rule.THRESHOLD_REACHED,
            standing,
            new,
            known,
            what="reached",
            figure=f"{standing.spend} spent",
            account_name=account_name,
            now=now,
        )
    if told and not verdict.notifications and watch.remind:
        verdict += _reminder(standing, told, known, account_name, now)
    if told or standing.spend.amount < 0:
        verdict += _correction(standing, told, known, account_name, now)
    return verdict


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold with the amount at which it is reached."""

    at: Decimal
    height: str
    """The same as plain text."""
    label: str
    severity: Severity
    channels: tuple[ChannelName, ...] = ()
    """Its own; empty: those of its budget."""


@lru_cache(maxsize=4096)
def levels_of(thresholds: tuple[Threshold, ...], budget: Decimal | None, *, of_forecasts: bool = False) -> tuple[Level, ...]:
    """Return the thresholds that the spend can reach, or those that a forecast can, the lowest first."""
    wanted = (threshold for threshold in thresholds if threshold.is_forecast is of_forecasts)
    reachable = ((threshold.reached_at(budget), threshold) for threshold in wanted)
    found = (Level(at, plain(at), one.label, one.severity(budget), one.channels) for at, one in reachable if at is not None)
    return tuple(sorted(found, key=lambda level: level.at))


def gravity(standing: Standing) -> Severity | None:
    """Return how grave the spend is now: as the gravest threshold that it has reached.

    Three quarters of the budget, and all of it, count in any case. None if it has reached none of them. What was told, or is
    only foretold, is no matter of it.
    """
    watch = standing.watch
    levels = levels_of((*watch.thresholds, NEARLY, WHOLE), watch.budget.amount if watch.budget else None)
    reached = (level.severity for level in levels if standing.spend.amount >= level.at)
    return max(reached, key=lambda severity: severity.rank, default=None)


def is_news(level: Level, alerts: Iterable[Alert], budget: Money | None) -> bool:
    """Return whether nothing was told that is at least as grave as to reach this threshold of the budget as it is now."""
    return not any(alert.told_at and _is_as_grave(alert, level, budget) for alert in alerts)


def _is_as_grave(alert: Alert, level: Level, budget: Money | None) -> bool:
    height = Decimal(alert.key.height)
    if height < level.at:
        return False
    if budget is None or budget.amount <= 0:
        return True
    before = Decimal(alert.budget or 0)
    return before > 0 and is_no_smaller_share(height, before, of=(level.at, budget.amount))


def fire_levels(
    rule: Rule,
    standing: Standing,
    new: Sequence[Level],
    known: AlertsKnown,
    *,
    what: str,
    figure: str,
    account_name: str,
    now: datetime,
    forecast: Forecast | None = None,
) -> Verdict:
    """Return the alerts of these thresholds, and one notification that names the highest and lists the others.

    There is none if something at least as grave was told already. Lists say `what` the budget does, and the `figure`.
    """
    watch, period, highest = standing.watch, standing.period.label, new[-1]
    speaks = is_news(highest, known.of(rule, watch.scope, period), watch.budget)
    spent, budget = plain(standing.spend.amount), plain(watch.budget.amount) if watch.budget else ""
    alerts = tuple(
        Alert.begun(
            AlertKey(rule, watch.scope, level.label, period, level.height),
            level.severity,
            tells=speaks and level is highest,
            amount=spent,
            summary=f"{watch.name} {what} {level_text(level, standing)} in {period}: {figure}",
            now=now,
            budget=budget,
        )
        for level in new
    )
    if not speaks:
        return Verdict(alerts)
    also = tuple(level.label for level in reversed(new[:-1]))
    facts = spend_facts(standing, highest, known, account_name, also=also, forecast=forecast)
    return Verdict(alerts, (say(alerts[-1], Reason.FIRED, channels_of(reversed(new), watch.channels), facts, now),))


def level_text(level: Level, standing: Standing) -> str:
    """Return a threshold for lists, and of what it is if the budget does not count everything."""
    watch = standing.watch
    return threshold_text(level.label, Money(level.at, watch.currency), watch.budget) + watch.scope.counts.note


def spend_facts(
    standing: Standing,
    level: Level,
    known: AlertsKnown,
    account_name: str,
    *,
    also: tuple[str, ...] = (),
    forecast: Forecast | None = None,
) -> Facts:
    """Return the figures of one watched budget, given the level that is spoken of; beside them those of the last word on it."""
    watch = standing.watch
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    ahead = next((above for above in levels if above.at > standing.spend.amount), None)
    earlier, earlier_at = _last_word(standing, known)
    return Facts(
        scope=watch.scope,
        account_name=account_name,
        name=watch.name,
        owner=watch.owner,
        period=standing.period.label,
        spend=standing.spend,
        counts=watch.scope.counts,
        split=standing.split,
        budget=watch.budget,
        used=standing.used,
        threshold=level.label,
        reached_at=Money(level.at, watch.currency),
        also=also,
        next_threshold=ahead.label if ahead else "",
        next_at=Money(ahead.at, watch.currency) if ahead else None,
        earlier=earlier,
        earlier_at=earlier_at,
        foreign=standing.foreign,
        forecast=forecast,
        data_until=standing.data_until,
    )


BELOW_ZERO = "0"
"""How zero is called where a total fell below it."""

_RULES = (Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED)
"""The rules of watched budgets. A reminder has the rule of its alert."""


def _last_word(standing: Standing, known: AlertsKnown) -> tuple[Money | None, datetime | None]:
    """Return the spend when this budget was last spoken of in this period, and when that was."""
    scope, period = standing.watch.scope, standing.period.label
    alerts = (alert for rule in _RULES for alert in known.of(rule, scope, period))
    told = ((alert.told_at, alert.told_amount) for alert in alerts if alert.told_at and alert.told_amount)
    at, amount = max(told, key=lambda word: word[0], default=(None, ""))
    return (Money(Decimal(amount), standing.watch.currency) if amount else None), at


def _reminder(standing: Standing, told: Sequence[Alert], known: AlertsKnown, account_name: str, now: datetime) -> Verdict:
    """Return a reminder of the highest threshold of now that was ever reached, told or spoken for, while it still is."""
    watch, spent = standing.watch, standing.spend.amount
    last = max((alert.told_at for alert in told if alert.is_firing and alert.told_at), default=None)
    if watch.remind is None or last is None or now - last < watch.remind:
        return Verdict()
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    on_record = {(alert.key.threshold, alert.key.height): alert for alert in told if alert.is_firing}
    found = [(level, alert) for level in levels if (alert := on_record.get((level.label, level.height)))]
    level, highest = max(found, key=lambda one: (one[0].at, one[1].told_at is not None), default=(None, None))
    if level is None or highest is None or spent < level.at:
        return Verdict()
    again = highest.told_again(plain(spent), now)
    facts = spend_facts(standing, level, known, account_name)
    # Whoever was notified of a lower threshold is reminded, too: a reminder speaks for all that is reached.
    reached = (one for one in reversed(levels) if spent >= one.at)
    channels = channels_of((*reached, *_told_with(standing, told, known)), watch.channels)
    return Verdict((again,), (say(again, Reason.REPEATED, channels, facts, now),))


def _told_with(standing: Standing, told: Sequence[Alert], known: AlertsKnown) -> Iterable[Threshold]:
    """Return the thresholds of forecasts that began with one of these: who heard of them heard of these, too."""
    watch, began = standing.watch, {alert.since for alert in told}
    foreseen = known.of(Rule.FORECAST, watch.scope, standing.period.label)
    labels = {alert.key.threshold for alert in foreseen if alert.since in began}
    return (one for one in watch.thresholds if one.label in labels)


def _correction(standing: Standing, told: Sequence[Alert], known: AlertsKnown, account_name: str, now: datetime) -> Verdict:
    """Return one notice of the highest of what the total fell below: what was told, and zero; the rest it speaks for."""
    watch, period, spent = standing.watch, standing.period.label, standing.spend
    labels = {threshold.label for threshold in watch.thresholds}
    spoken = ((Decimal(alert.key.height), alert) for alert in told if alert.told_at and alert.key.threshold in labels)
    highest = max((one for one in spoken if spent.amount < one[0]), key=lambda one: one[0], default=None)
    levels = [Level(highest[0], highest[1].key.height, highest[1].key.threshold, highest[1].severity)] if highest else []
    if spent.amount < 0:
        levels.append(Level(Decimal(0), "0", BELOW_ZERO, Severity.NOTICE))
    alerts: list[tuple[Alert, Level]] = []
    for level in levels:
        key = AlertKey(Rule.CORRECTED, watch.scope, level.label, period, level.height)
        if known.latest(key) is None:
            back = "" if level.label == BELOW_ZERO else "back "
            limit = threshold_text(level.label, Money(level.at, watch.currency), None)
            alert = Alert.begun(
                key,
                Severity.NOTICE,
                tells=not alerts,
                amount=plain(spent.amount),
                summary=f"{watch.name} fell {back}below {limit}{watch.scope.counts.note} in {period}: {spent} spent",
                now=now,
            )
            alerts.append((alert, level))
    if not alerts:
        return Verdict()
    alert, level = alerts[0]
    # There is one notice, however far it falls: it is for all who were notified of any threshold.
    reached = {alert.key.threshold for alert in told}
    heard = (*(one for one in watch.thresholds if one.label in reached), *_told_with(standing, told, known))
    channels = channels_of(heard, watch.channels) or watch.channels
    facts = spend_facts(standing, level, known, account_name)
    return Verdict(tuple(alert for alert, _ in alerts), (say(alert, Reason.FIRED, channels, facts, now),))
