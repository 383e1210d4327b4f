"""Evaluates one watched budget: thresholds reached, reminders, and totals that fell back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from spendwatch.domain.alert import Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Currency, Money, is_no_smaller_share, plain
from spendwatch.domain.notification import NO_FACTS, Facts
from spendwatch.domain.policy import ChannelName, Escalation, Severity, Threshold, channels_of, threshold_text
from spendwatch.domain.review import Condition
from spendwatch.domain.standing import Level, Standing, levels_of


def threshold_conditions(standing: Standing, known: AlertsKnown) -> Sequence[Condition]:
    """Return which thresholds of one watched budget are reached, and what the total fell back below, as far as it matters.

    Once per threshold, scope and period. If several are reached at once, one notification names the highest and lists the
    others. A threshold is recorded and not told if something at least as grave was told already: no lower an amount, and no
    smaller a share of the budget of its time. So one of a raised budget is told, and so is one of a budget that was lowered
    below the spend. A falling total neither ends nor re-arms anything: it gives one correction notice; one below zero does
    so, too, before anything was told.
    """
    watch, spent = standing.watch, standing.spend.amount
    rule = Rule.of_budget(watch.scope)
    told = known.of(rule, watch.scope, standing.period.label)
    if not told and not watch.thresholds and watch.budget is None:
        return ()
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    reached = [level for level in levels if spent >= level.at]
    on_record = {(alert.key.threshold, alert.key.height): alert for alert in told if not alert.lapsed}
    found: list[Condition] = []
    if reached and (watch.remind or watch.escalate or any((level.label, level.height) not in on_record for level in reached)):
        # Of several at one amount that counts which was told. What fell back below its highest is not reminded of.
        told_of = {which for which, alert in on_record.items() if alert.told_at}
        reached.sort(key=lambda level: (level.at, (level.label, level.height) in told_of))
        is_back = any((level.label, level.height) in on_record for level in levels[len(reached) :])
        found = level_conditions(
            rule,
            standing,
            reached,
            known,
            said=("reached", f"{standing.spend} spent"),
            remind=None if is_back else watch.remind,
            escalate=None if is_back else watch.escalate,
            heard=channels_of(_told_with(standing, told, known), watch.channels) if watch.remind else (),
        )
    if told:
        found += _lapses(standing, levels, told, known)
    if told or spent < 0:
        found += _corrections(standing, told, known)
    return found


def is_news(level: Level, alerts: Iterable[Alert], budget: Money | None) -> bool:
    """Return whether nothing was told that is at least as grave as to reach this threshold of the budget as it is now."""
    return not any(alert.told_at and not alert.lapsed and _is_as_grave(alert, level, budget) for alert in alerts)


def _is_as_grave(alert: Alert, level: Level, budget: Money | None) -> bool:
    height = Decimal(alert.key.height)
    if height < level.at:
        return False
    if budget is None or budget.amount <= 0:
        return True
    before = Decimal(alert.budget or 0)
    return before > 0 and is_no_smaller_share(height, before, of=(level.at, budget.amount))


def level_conditions(
    rule: Rule,
    standing: Standing,
    levels: Sequence[Level],
    known: AlertsKnown,
    *,
    said: tuple[str, str],
    forecast: Forecast | None = None,
    remind: timedelta | None = None,
    escalate: Escalation | None = None,
    heard: tuple[ChannelName, ...] = (),
) -> list[Condition]:
    """Return that these thresholds are reached, the lowest first. `said`: what lists say the budget does, and the figure.

    They are news unless something at least as grave was told already.
    """
    watch, period, (what, figure) = standing.watch, standing.period.label, said
    before, budget = known.of(rule, watch.scope, period), plain(watch.budget.amount) if watch.budget else ""
    group, spent, after = _group(rule, standing), plain(standing.spend.amount), f"{watch.scope.note} {standing.period.within}"
    return [
        Condition(
            key=AlertKey(rule, watch.scope, level.label, period, level.height),
            severity=level.severity,
            summary=f"{watch.name} {what} {_point(level.label, level.height, watch.currency, budget)}{after}: {figure}",
            facts=NO_FACTS,
            channels=level.channels or watch.channels,
            group=group,
            grave=grave,
            amount=spent,
            remind=remind,
            escalate=escalate,
            budget=budget,
            is_news=not before or is_news(level, before, watch.budget),
            heard=heard,
            figures=partial(spend_facts, standing, level, known, forecast=forecast),
        )
        for grave, level in enumerate(levels)
    ]


def _group(rule: Rule, standing: Standing) -> str:
    """Return the group of a budget's conditions as one text, whose hash is known after the first look-up."""
    scope = standing.watch.scope
    return f"{rule}\x1f{scope.account}\x1f{scope.text}\x1f{standing.period.label}"


@lru_cache(maxsize=4096)
def _point(label: str, height: str, currency: Currency, budget: str) -> str:
    """Return a threshold for lists. Plain texts are looked up more quickly than amounts."""
    return threshold_text(label, Money(Decimal(height), currency), Money(Decimal(budget), currency) if budget else None)


def spend_facts(
    standing: Standing,
    level: Level,
    known: AlertsKnown,
    also: tuple[str, ...],
    *,
    forecast: Forecast | None = None,
    before: Money | None = None,
) -> Facts:
    """Return the figures of one watched budget, given the level that is spoken of; beside them those of the last word on it."""
    watch = standing.watch
    levels = levels_of(watch.thresholds, watch.budget.amount if watch.budget else None)
    ahead = next((above for above in levels if above.at > standing.spend.amount), None)
    earlier, earlier_at = _last_word(standing, known)
    return budget_facts(
        standing,
        budget_before=before,
        threshold=level.label,
        reached_at=Money(level.at, watch.currency),
        also=also,
        next_threshold=ahead.label if ahead else "",
        next_at=Money(ahead.at, watch.currency) if ahead else None,
        earlier=earlier,
        earlier_at=earlier_at,
        forecast=forecast,
    )


def budget_facts(standing: Standing, **more: Any) -> Facts:  # noqa: ANN401 -- any figures
    """Return how one watched budget stands, and what else there is to say."""
    watch = standing.watch
    return Facts.of(
        scope=watch.scope,
        account_name=watch.account_name,
        name=watch.name,
        owner=watch.owner,
        period=standing.period.label,
        spend=standing.spend,
        counts=watch.scope.counts,
        split=standing.split,
        budget=watch.budget,
        used=standing.used,
        foreign=standing.foreign,
        data_until=standing.data_until,
        **more,
    )


BELOW_ZERO = "0"
"""How zero is called where a total fell below it."""


def _last_word(standing: Standing, known: AlertsKnown) -> tuple[Money | None, datetime | None]:
    """Return the spend when this budget was last spoken of in this period, and when that was."""
    scope = standing.watch.scope
    if not (about := known.about(scope, standing.period.label)):
        return None, None
    alerts = [alert for rule in (Rule.of_budget(scope), Rule.FORECAST, Rule.CORRECTED) for alert in about.get(rule, ())]
    told = [(alert.told_at, alert.told_amount) for alert in alerts if alert.told_at and alert.told_amount]
    at, amount = max(told, key=lambda word: word[0], default=(None, ""))
    return (Money(Decimal(amount), standing.watch.currency) if amount else None), at


def _told_with(standing: Standing, told: Sequence[Alert], known: AlertsKnown) -> Iterable[Threshold]:
    """Return the thresholds of forecasts that began with one of these: who heard of them heard of these, too."""
    watch, began = standing.watch, {alert.since for alert in told}
    foreseen = known.of(Rule.FORECAST, watch.scope, standing.period.label)
    labels = {alert.key.threshold for alert in foreseen if alert.since in began}
    return (one for one in watch.thresholds if one.label in labels)


def _lapses(standing: Standing, levels: Sequence[Level], told: Sequence[Alert], known: AlertsKnown) -> list[Condition]:
    """Return which thresholds are not reached any more because the budget was raised; what the total fell below stays."""
    watch, spent, now = standing.watch, standing.spend.amount, {level.label: level for level in levels}
    gone = [
        (Decimal(alert.key.height), alert, level)
        for alert in told
        if alert.is_firing and (level := now.get(alert.key.threshold)) and level.height != alert.key.height and spent < level.at
    ]
    if all(spent < height for height, _, _ in gone):
        return []  # the total fell
    gone.sort(key=lambda one: one[0])
    is_news = any(alert.told_at for _, alert, _ in gone)
    return [
        Condition(
            key=alert.key,
            holds=False,
            severity=alert.severity,
            summary=alert.summary,
            facts=NO_FACTS,
            channels=level.channels or watch.channels,
            group=_group(alert.key.rule, standing),
            grave=grave,
            amount=plain(spent),
            escalate=watch.escalate,
            lapses=True,
            is_news=is_news,
            figures=partial(
                spend_facts,
                standing,
                level,
                known,
                before=Money(Decimal(alert.budget), watch.currency) if alert.budget else None,
            ),
        )
        for grave, (_, alert, level) in enumerate(gone)
    ]


def _corrections(standing: Standing, told: Sequence[Alert], known: AlertsKnown) -> Iterator[Condition]:
    """Yield the highest of what the total fell below, and zero: one notice of what was told, for the rest, too."""
    watch, period, spent, when = standing.watch, standing.period.label, standing.spend, standing.period.within
    labels = {threshold.label for threshold in watch.thresholds}
    fallen = [
        Level(height, alert.key.height, alert.key.threshold, alert.severity)
        for alert in told
        if alert.told_at
        and not alert.lapsed
        and alert.key.threshold in labels
        and spent.amount < (height := Decimal(alert.key.height))
    ]
    levels = [Level(Decimal(0), "0", BELOW_ZERO, Severity.NOTICE)] if spent.amount < 0 else []
    levels += [max(fallen, key=lambda level: level.at)] if fallen else []
    if not levels:
        return
    # There is one notice, however far it falls: it is for all who were notified of any threshold.
    reached = {alert.key.threshold for alert in told}
    heard = (*(one for one in watch.thresholds if one.label in reached), *_told_with(standing, told, known))
    channels = channels_of(heard, watch.channels) or watch.channels
    if watch.escalate and any(alert.escalated_at for alert in told):
        channels = tuple(dict.fromkeys((*channels, *watch.escalate.channels)))
    for grave, level in enumerate(levels):
        back = "" if level.label == BELOW_ZERO else "back "
        limit = threshold_text(level.label, Money(level.at, watch.currency), None)
        yield Condition(
            key=AlertKey(Rule.CORRECTED, watch.scope, level.label, period, level.height),
            severity=Severity.NOTICE,
            summary=f"{watch.name} fell {back}below {limit}{watch.scope.note} {when}: {spent} spent",
            facts=NO_FACTS,
            channels=channels,
            group=_group(Rule.CORRECTED, standing),
            grave=grave,
            amount=plain(spent.amount),
            is_news=True,
            figures=partial(spend_facts, standing, level, known),
        )
