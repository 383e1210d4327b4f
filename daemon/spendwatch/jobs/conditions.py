"""The conditions other than thresholds: balance, currencies, sources, files, channels, configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from spendwatch.domain.alert import Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.delivery import Reason, Route
from spendwatch.domain.errors import printable
from spendwatch.domain.health import ChannelHealth, Freshness, Rejection, SourceHealth
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName, Policies, Severity, Threshold, asked, channels_of
from spendwatch.domain.review import ONE_SHOT_LASTS, Condition
from spendwatch.domain.routing import FOLLOW_UP
from spendwatch.domain.scope import AlertScope, BudgetScope, NamedScope, Subject, parse_scope
from spendwatch.domain.standing import Standing
from spendwatch.domain.statement import SourceName
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.ports import Health

FAILURES_TOLD = 3
"""Failures in a row before a source or a channel is called failing."""

_DAILY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is to be judged beside the ledger, and in which light."""

    policies: Policies
    zone: tzinfo
    targets: Mapping[ChannelName, Sequence[str]]
    """Every channel, with those it reaches."""
    stale_after: Mapping[SourceName, timedelta]
    config_mistakes: tuple[str, ...] = ()
    is_complete: bool = False
    """Whether no part of the configuration was left aside, so that what it does not watch is really not to be watched."""
    clock_trouble: str = ""
    """What was wrong with the clock lately."""
    troubles: Mapping[tuple[ChannelName, str], str] = field(default_factory=dict)
    """Channels and targets whose deliveries died lately, each with the last reason."""
    undelivered: tuple[Notification, ...] = ()
    """The latest notifications of firing alerts that reached nobody."""
    rejected_in: Mapping[SourceName, str] = field(default_factory=dict)
    """Where the rejected files of each source are, each with its reason beside it; empty where they stay in place."""
    is_amid: bool = False
    """Whether bills are being entered just now, so that more of the same import may follow."""
    routes: Mapping[ChannelName, Route] = field(default_factory=dict)
    """What each channel is spared."""
    follow_up: timedelta = FOLLOW_UP
    """How long messages wait for each other after a digest."""
    gathering: timedelta = timedelta()
    """How long messages wait for further bills."""


def foreign_conditions(standings: Sequence[Standing]) -> list[Condition]:
    """Return that an account has lines in a currency that is never added to its own."""
    whole = (standing for standing in standings if standing.watch.scope.is_whole_account)
    return [_foreign(standing, money) for standing in whole for money in standing.foreign]


def _foreign(standing: Standing, money: Money) -> Condition:
    scope, period = standing.watch.scope, standing.period.label
    return Condition(
        key=AlertKey(Rule.FOREIGN_CURRENCY, scope, money.currency, period),
        severity=Severity.WARNING,
        summary=f"{standing.watch.name} has {money} in {period}, not in the sum",
        facts=Facts(
            scope=scope,
            account_name=standing.watch.account_name,
            name=standing.watch.name,
            period=period,
            spend=standing.spend,
            budget=standing.watch.budget,
            foreign=standing.foreign,
            data_until=standing.data_until,
        ),
        channels=standing.watch.channels,
        amount=plain(money.amount),
        remind=standing.watch.remind,
        escalate=standing.watch.escalate,
    )


@dataclass(frozen=True, slots=True)
class Troubles:
    """What all troubles of the program's own surroundings have in common."""

    policies: Policies
    until: datetime | None
    """Up to when there are bills."""

    def of(self, rule: Rule, scope: AlertScope, *, holds: bool, summary: str, detail: str = "", **facts: Any) -> Condition:  # noqa: ANN401 -- any figures
        """Return whether there is one."""
        told = {"name": scope.name} if isinstance(scope, NamedScope) else {}
        return Condition(
            key=AlertKey(rule, scope),
            holds=holds,
            severity=Severity.WARNING,
            summary=summary,
            facts=Facts(**{"scope": scope, "detail": detail, "data_until": self.until, **told, **facts}),
            channels=self.policies.operators,
            remind=self.policies.operators_remind or _DAILY,
            escalate=self.policies.operators_escalate,
        )


def health_conditions(
    health: Health, view: LedgerView, around: Surroundings, known: AlertsKnown, fresh: Freshness
) -> list[Condition]:
    """Return the troubles of sources, files, channels and the configuration."""
    until = max(view.data_until(around.policies.products).values(), default=None)
    troubles, now = Troubles(around.policies, until), fresh.now
    found: list[Condition] = []
    going_on: set[SourceName] = set()
    for source in health.sources():
        if after := around.stale_after.get(source.name):
            found += _source_conditions(source, after, troubles, known, now)
            if not source.is_stale(now, after):
                going_on.add(source.name)
    found += _silent_accounts(view, around, known, fresh, going_on)
    lost = {alert for one in around.undelivered for alert in one.alerts}
    untold = [alert.summary for alert in known.firing() if alert.id in lost]
    found += [_channel_condition(one, around, until, untold) for one in health.channels() if one.name in around.targets]
    mistakes, clock = "\n".join(around.config_mistakes), around.clock_trouble
    what = f"the clock of this machine is or was wrong: {clock}"
    for rule, part, detail, summary in (
        (Rule.CONFIG_REJECTED, "config", mistakes, "a changed configuration was rejected"),
        (Rule.CLOCK_WRONG, "clock", clock, what),
    ):
        scope = NamedScope(Subject.DAEMON, part)
        found.append(troubles.of(rule, scope, holds=bool(detail), summary=summary, detail=detail))
    since = now - ONE_SHOT_LASTS
    found += [_unassigned(layout, told, troubles) for layout, told in view.ledger.unassigned(since).items()]
    return found + _rejection_conditions(view.ledger.rejections(since), troubles, known, around.rejected_in)


def _source_conditions(
    source: SourceHealth, after: timedelta, troubles: Troubles, known: AlertsKnown, now: datetime
) -> Iterator[Condition]:
    scope, silence = NamedScope(Subject.SOURCE, source.name), source.silence(now)
    is_told = _is_told(source, known.latest(AlertKey(Rule.SOURCE_FAILING, scope)))
    for rule, holds, summary, detail in (
        (Rule.STALE, source.is_stale(now, after), f"no new bill from {source.name} for {silence}", silence),
        (Rule.SOURCE_FAILING, is_told, f"{source.name}: {source.trouble}", source.trouble),
    ):
        last, cause = source.last_bill_at, source.cause
        yield troubles.of(rule, scope, holds=holds, summary=summary, detail=detail, last_bill_at=last, cause=cause)


def _silent_accounts(
    view: LedgerView, around: Surroundings, known: AlertsKnown, fresh: Freshness, going_on: Collection[SourceName]
) -> Iterator[Condition]:
    """Yield whether the bills of an account have stopped while others still come; of a silent source one alert is enough."""
    until = view.data_until(around.policies.products)
    for policy in around.policies.accounts:
        silence, name, scope = fresh.silence(policy.account), policy.name or policy.account, BudgetScope(policy.account)
        before = known.latest(AlertKey(Rule.STALE, scope))
        others_come = not fresh.sources_of(policy.account).isdisjoint(going_on)
        text = duration_text(silence or timedelta())
        yield Troubles(around.policies, until.get(policy.account)).of(
            Rule.STALE,
            scope,
            holds=silence is not None and (others_come or (before is not None and before.is_firing)),
            summary=f"no new bill of account {name} for {text}",
            detail=text,
            account_name=policy.name,
            name=name,
            last_bill_at=fresh.now - silence if silence else None,
        )


def _is_told(source: SourceHealth, before: Alert | None) -> bool:
    """Return whether the source is called failing: trouble that may pass is given some time, once told it lasts to its end."""
    if not source.failures:
        return False
    needs_somebody = source.cause is not None and source.cause.needs_somebody
    return needs_somebody or source.failures >= FAILURES_TOLD or (before is not None and before.is_firing)


def ways_now(said: Notification, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return the channels of the configuration that a notification goes over now; where nothing names any, those it had."""
    members = said.facts.members
    parts = [part for one in members or (said,) for part in _parts(one)] if said.rule is not Rule.REPORT else []
    named = [name for part in parts for name in ways_of(part, around)]
    own, found = (tuple(dict.fromkeys(filter(around.targets.__contains__, names))) for names in (said.channels, named))
    return (tuple(name for name in own if name in found) if members else ()) or found or own


def _parts(said: Notification) -> Iterator[Notification]:
    """Yield a message, and what it would be about each further scope that it speaks for."""
    yield said
    for one in said.facts.spike.also if said.facts.spike else ():
        yield replace(said, facts=replace(said.facts, scope=parse_scope(said.facts.scope.account, one.scope)))


def ways_of(said: Notification, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return the channels that the same notification would use now."""
    policies, rule, scope, reason = around.policies, said.rule, said.facts.scope, said.reason
    payer, owner = policies.account(scope.account) if scope.account else None, None
    usual, escalate, thresholds = policies.operators, policies.operators_escalate, tuple[Threshold, ...]()
    is_about_money = rule.is_about_spend or rule.is_about_balance or rule.is_about_news
    if rule is Rule.CHANNEL_FAILING:
        usual = _ways_around(ChannelName(said.facts.name), around)
    elif is_about_money or rule.happened or rule in {Rule.FOREIGN_CURRENCY, Rule.LATE}:
        workspace = scope.workspace if isinstance(scope, BudgetScope) else None
        owners = (one for one in policies.workspaces if one.workspace == workspace and one.account in {None, scope.account})
        if (owner := next(owners, payer)) is None:
            return ()
        escalate = owner.escalate
        finer = policies.finer(scope) if isinstance(scope, BudgetScope) else None
        usual = owner.month_closed if rule is Rule.MONTH_CLOSED else (finer and finer.channels) or owner.channels
        thresholds = (finer or owner).thresholds if rule.is_about_spend else ()
        if reason is Reason.ACTION:
            return asked(thresholds, (finer or owner).actions, {said.facts.threshold, *said.facts.also})
    escalated = escalate.channels if escalate else ()
    if reason is Reason.ESCALATED:
        return escalated
    labels = {said.facts.threshold, *said.facts.also}
    found = channels_of((one for one in thresholds if one.label in labels), usual) or usual
    if rule is Rule.CORRECTED or reason in {Reason.REPEATED, Reason.RESOLVED}:
        # They are for all who heard before, of more than they name.
        still = {*usual, *channels_of(thresholds, usual), *escalated}
        return tuple(dict.fromkeys((*found, *(name for name in said.channels if name in still))))
    return found


def _ways_around(channel: ChannelName, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return how a failing channel is reported: by another, even one not meant for operators, else to its other recipients."""
    others = tuple(name for name in around.policies.operators if name != channel and name in around.targets)
    refused = {target for name, target in around.troubles if name == channel}
    reached = (channel,) if refused and set(around.targets.get(channel, ())) - refused else ()
    return others or tuple(name for name in around.targets if name != channel) or reached


def _channel_condition(
    channel: ChannelHealth, around: Surroundings, until: datetime | None, untold: Sequence[str]
) -> Condition:
    targets = around.targets.get(channel.name)
    troubles = {target: why for (name, target), why in around.troubles.items() if name == channel.name}
    died = "\n".join(dict.fromkeys(why for target, why in troubles.items() if targets is None or target in targets))
    trouble = channel.trouble or died.partition("\n")[0]
    found = Troubles(around.policies, until).of(
        Rule.CHANNEL_FAILING,
        NamedScope(Subject.CHANNEL, channel.name),
        holds=max(channel.failures, channel.pauses) >= FAILURES_TOLD or channel.disabled or bool(died),
        summary=f"{channel.name}: {trouble}",
        detail="\n".join((died or trouble, *(f"nobody could be notified: {summary}" for summary in untold))),
        gone=channel.disabled,
    )
    return found._replace(channels=_ways_around(channel.name, around))


def _unassigned(layout: str, examples: Sequence[str], troubles: Troubles) -> Condition:
    """Return that bills of a layout have usage of no workspace: reported once for each layout."""
    shown = [printable(example) if example else "no instance id" for example in examples]
    what = f"{layout}: usage whose workspace cannot be read, for example {shown[0]}"
    scope = NamedScope(Subject.LAYOUT, layout)
    found = troubles.of(Rule.UNASSIGNED, scope, holds=True, summary=what, detail="\n".join(shown))
    return found._replace(remind=None, escalate=None)


def _rejection_conditions(
    rejections: Sequence[Rejection], troubles: Troubles, known: AlertsKnown, rejected_in: Mapping[SourceName, str]
) -> list[Condition]:
    keys = [AlertKey(Rule.REJECTED, NamedScope(Subject.FILE, rejection.digest)) for rejection in rejections]
    fresh = tuple(
        (rejection.name, rejection.reason) for rejection, key in zip(rejections, keys, strict=True) if known.latest(key) is None
    )
    return [
        Condition(
            key=key,
            severity=Severity.WARNING,
            group="rejected",
            grave=order,
            summary=f"{rejection.name} was rejected: {rejection.reason}",
            facts=Facts(
                scope=NamedScope(Subject.SOURCE, rejection.source),
                name=rejection.source,
                files=fresh,
                folder=rejected_in.get(rejection.source, ""),
                data_until=troubles.until,
            ),
            channels=troubles.policies.operators,
        )
        for order, (rejection, key) in enumerate(zip(rejections, keys, strict=True))
    ]
