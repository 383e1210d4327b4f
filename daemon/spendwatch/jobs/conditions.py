"""The conditions other than thresholds: balance, currencies, sources, files, channels, configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from spendwatch.domain.alert import Alert, AlertKey, Rule
from spendwatch.domain.errors import printable
from spendwatch.domain.health import ChannelHealth, Freshness, Rejection, SourceHealth
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName, Policies, Severity
from spendwatch.domain.review import ONE_SHOT_LASTS, AlertsKnown, Condition
from spendwatch.domain.scope import AlertScope, BudgetScope, NamedScope, Subject
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
    clock_trouble: str = ""
    """What was wrong with the clock lately."""
    troubles: Mapping[tuple[ChannelName, str], str] = field(default_factory=dict)
    """Channels and targets whose deliveries died lately, each with the last reason."""
    undelivered: tuple[Notification, ...] = ()
    """The latest of firing alerts of which nobody could be notified."""
    strayed: str = ""
    """The reason why what waited for a channel that is gone was given up."""


def foreign_conditions(standings: Sequence[Standing], names: Mapping[str, str]) -> list[Condition]:
    """Return that an account has lines in a currency that is never added to its own."""
    whole = (standing for standing in standings if standing.watch.scope.is_whole_account)
    return [
        _foreign(standing, money, names.get(standing.watch.scope.account, ""))
        for standing in whole
        for money in standing.foreign
    ]


def _foreign(standing: Standing, money: Money, account_name: str) -> Condition:
    scope, period = standing.watch.scope, standing.period.label
    return Condition(
        key=AlertKey(Rule.FOREIGN_CURRENCY, scope, money.currency, period),
        holds=True,
        severity=Severity.WARNING,
        group=f"foreign:{scope.account}:{period}:{money.currency}",
        grave=0,
        summary=f"{standing.watch.name} has {money} in {period}, not in the sum",
        facts=Facts(
            scope=scope,
            account_name=account_name,
            name=standing.watch.name,
            period=period,
            spend=standing.spend,
            budget=standing.watch.budget,
            foreign=standing.foreign,
            data_until=standing.data_until,
        ),
        channels=standing.watch.channels,
        amount=plain(money.amount),
    )


def health_conditions(
    health: Health, view: LedgerView, around: Surroundings, known: AlertsKnown, fresh: Freshness
) -> list[Condition]:
    """Return the troubles of sources, files, channels and the configuration."""
    until = max(view.data_until(around.policies.products).values(), default=None)
    operators, now = around.policies.operators, fresh.now
    found: list[Condition] = []
    going_on: set[SourceName] = set()
    for source in health.sources():
        if after := around.stale_after.get(source.name):
            before = known.latest(AlertKey(Rule.SOURCE_FAILING, NamedScope(Subject.SOURCE, source.name)))
            is_told = _is_told(source, before)
            found += _source_conditions(source, after, until, operators, now, is_told=is_told)
            if not source.is_stale(now, after):
                going_on.add(source.name)
    found += _silent_accounts(view, around, known, fresh, going_on)
    lost = {one.alert for one in around.undelivered}
    untold = [alert.summary for alert in known.firing() if alert.id in lost]
    gone = {
        ChannelHealth(name)
        for (name, _), why in around.troubles.items()
        if name not in around.targets and why == around.strayed
    }
    for channel in (*(one for one in health.channels() if one.name in around.targets), *gone):
        found.append(_channel_condition(channel, around, until, untold))
    mistakes = "\n".join(around.config_mistakes)
    found.append(
        _trouble(
            Rule.CONFIG_REJECTED,
            NamedScope(Subject.DAEMON, "config"),
            holds=bool(mistakes),
            summary="a changed configuration was rejected",
            detail=mistakes,
            channels=operators,
            until=until,
        )
    )
    found.append(
        _trouble(
            Rule.CLOCK_WRONG,
            NamedScope(Subject.DAEMON, "clock"),
            holds=bool(around.clock_trouble),
            summary=f"the clock of this machine is or was wrong: {around.clock_trouble}",
            detail=around.clock_trouble,
            channels=operators,
            until=until,
        )
    )
    since = now - ONE_SHOT_LASTS
    found += [_unassigned(layout, told, operators, until) for layout, told in view.ledger.unassigned(since).items()]
    return found + _rejection_conditions(view.ledger.rejections(since), operators, known, until)


def _source_conditions(
    source: SourceHealth,
    after: timedelta,
    until: datetime | None,
    operators: tuple[ChannelName, ...],
    now: datetime,
    *,
    is_told: bool,
) -> list[Condition]:
    scope = NamedScope(Subject.SOURCE, source.name)
    stale = _trouble(
        Rule.STALE,
        scope,
        holds=source.is_stale(now, after),
        summary=f"no new bill from {source.name} for {source.silence(now)}",
        detail=source.silence(now),
        channels=operators,
        until=until,
    )
    failing = _trouble(
        Rule.SOURCE_FAILING,
        scope,
        holds=is_told,
        summary=f"{source.name}: {source.trouble}",
        detail=source.trouble,
        channels=operators,
        until=until,
    )
    return [
        replace(condition, facts=replace(condition.facts, last_bill_at=source.last_bill_at, cause=source.cause))
        for condition in (stale, failing)
    ]


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
        trouble = _trouble(
            Rule.STALE,
            scope,
            holds=silence is not None and (others_come or (before is not None and before.is_firing)),
            summary=f"no new bill of account {name} for {text}",
            detail=text,
            channels=around.policies.operators,
            until=until.get(policy.account),
        )
        last = fresh.now - silence if silence else None
        yield replace(trouble, facts=replace(trouble.facts, account_name=policy.name, name=name, last_bill_at=last))


def _is_told(source: SourceHealth, before: Alert | None) -> bool:
    """Tell whether the source is called failing: trouble that may pass is given some time, once told it lasts to its end."""
    if not source.failures:
        return False
    needs_somebody = source.cause is not None and source.cause.needs_somebody
    return needs_somebody or source.failures >= FAILURES_TOLD or (before is not None and before.is_firing)


def ways_of(said: Notification, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return the channels over which the same would be said now."""
    policies, rule, scope = around.policies, said.rule, said.facts.scope
    payer = policies.account(scope.account) if scope.account else None
    if rule is Rule.CHANNEL_FAILING:
        return _ways_around(ChannelName(said.facts.name), around)
    if not (rule.is_about_spend or rule.is_about_balance or rule in {Rule.FOREIGN_CURRENCY, Rule.LATE}):
        return policies.operators
    if rule is Rule.ESCALATED and payer and payer.balance and payer.balance.escalation:
        return payer.balance.escalation.channels
    workspace = scope.workspace if isinstance(scope, BudgetScope) else None
    owners = (one for one in policies.workspaces if one.workspace == workspace and one.account in {None, scope.account})
    owner = next(owners, payer)
    return owner.channels if owner else ()


def _ways_around(channel: ChannelName, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return how to tell that a channel fails: by another, even one not meant for operators, else to its other recipients."""
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
    condition = _trouble(
        Rule.CHANNEL_FAILING,
        NamedScope(Subject.CHANNEL, channel.name),
        holds=channel.failures >= FAILURES_TOLD or channel.disabled or bool(died),
        summary=f"{channel.name}: {trouble}",
        detail="\n".join((died or trouble, *(f"nobody could be notified: {summary}" for summary in untold))),
        channels=_ways_around(channel.name, around),
        until=until,
    )
    return replace(condition, facts=replace(condition.facts, gone=channel.disabled))


def _trouble(
    rule: Rule,
    scope: AlertScope,
    *,
    holds: bool,
    summary: str,
    detail: str,
    channels: tuple[ChannelName, ...],
    until: datetime | None,
) -> Condition:
    return Condition(
        key=AlertKey(rule, scope),
        holds=holds,
        severity=Severity.WARNING,
        group=f"{rule}:{scope.account}:{scope.label}",
        grave=0,
        summary=summary,
        facts=Facts(scope=scope, name=scope.name if isinstance(scope, NamedScope) else "", detail=detail, data_until=until),
        channels=channels,
        remind=_DAILY,
    )


def _unassigned(layout: str, examples: Sequence[str], operators: tuple[ChannelName, ...], until: datetime | None) -> Condition:
    """Return that bills of a layout have usage that belongs to no workspace: told once, as others of its kind follow."""
    shown = [printable(example) if example else "no instance id" for example in examples]
    told = _trouble(
        Rule.UNASSIGNED,
        NamedScope(Subject.LAYOUT, layout),
        holds=True,
        summary=f"{layout}: usage whose workspace cannot be read, for example {shown[0]}",
        detail="\n".join(shown),
        channels=operators,
        until=until,
    )
    return replace(told, remind=None)


def _rejection_conditions(
    rejections: Sequence[Rejection], operators: tuple[ChannelName, ...], known: AlertsKnown, until: datetime | None
) -> list[Condition]:
    keys = [AlertKey(Rule.REJECTED, NamedScope(Subject.FILE, rejection.digest)) for rejection in rejections]
    fresh = tuple(
        (rejection.name, rejection.reason) for rejection, key in zip(rejections, keys, strict=True) if known.latest(key) is None
    )
    return [
        Condition(
            key=key,
            holds=True,
            severity=Severity.WARNING,
            group="rejected",
            grave=order,
            summary=f"{rejection.name} was rejected: {rejection.reason}",
            facts=Facts(
                scope=NamedScope(Subject.SOURCE, rejection.source), name=rejection.source, files=fresh, data_until=until
            ),
            channels=operators,
        )
        for order, (rejection, key) in enumerate(zip(rejections, keys, strict=True))
    ]
