"""The conditions other than thresholds: balance, currencies, sources, files, channels, configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from spendwatch.domain.alert import Alert, Matter, Rule
from spendwatch.domain.errors import printable
from spendwatch.domain.health import ChannelHealth, Freshness, Rejection, SourceHealth
from spendwatch.domain.money import Money, plain
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import ChannelName, Policies, Severity
from spendwatch.domain.review import ONE_SHOT_LASTS, AlertsKnown, Finding
from spendwatch.domain.standing import Standing
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.ports import Health

FAILURES_TOLD = 3
"""Failures in a row before a source or a channel is called failing."""

_OF_MONEY = frozenset(
    {
        *(Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED, Rule.FOREIGN_CURRENCY, Rule.LATE),
        *(Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY),
    }
)
"""What the policy of a workspace or an account says whom to notify of; of anything else, the operators are."""

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


def foreign_findings(standings: Sequence[Standing], names: Mapping[str, str]) -> list[Finding]:
    """Return that an account has lines in a currency that is never added to its own."""
    whole = (standing for standing in standings if standing.watch.scope.is_whole_account)
    return [
        _foreign(standing, money, names.get(standing.watch.scope.account, ""))
        for standing in whole
        for money in standing.foreign
    ]


def _foreign(standing: Standing, money: Money, account_name: str) -> Finding:
    scope, period = standing.watch.scope, standing.period.label
    return Finding(
        matter=Matter(Rule.FOREIGN_CURRENCY, scope.account, scope.key, money.currency, period),
        holds=True,
        severity=Severity.WARNING,
        group=f"foreign:{scope.account}:{period}:{money.currency}",
        grave=0,
        summary=f"{standing.watch.name} has {money} in {period}, not in the sum",
        facts=Facts(
            account=scope.account,
            account_name=account_name,
            scope=scope.key,
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


def health_findings(
    health: Health, view: LedgerView, around: Surroundings, known: AlertsKnown, fresh: Freshness
) -> list[Finding]:
    """Return the troubles of sources, files, channels and the configuration."""
    until = max(view.data_until(around.policies.products).values(), default=None)
    operators, now = around.policies.operators, fresh.now
    found: list[Finding] = []
    going_on: set[SourceName] = set()
    for source in health.sources():
        if after := around.stale_after.get(source.name):
            before = known.latest(Matter(Rule.SOURCE_FAILING, "", _scope_of(source), "", ""))
            is_told = _is_told(source, before)
            found += _source_findings(source, after, until, operators, now, is_told=is_told)
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
        found.append(_channel_finding(channel, around, until, untold))
    mistakes = "\n".join(around.config_mistakes)
    found.append(
        _trouble(
            Rule.CONFIG_REJECTED,
            "config",
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
            "clock",
            holds=bool(around.clock_trouble),
            summary=f"the clock of this machine is or was wrong: {around.clock_trouble}",
            detail=around.clock_trouble,
            channels=operators,
            until=until,
        )
    )
    since = now - ONE_SHOT_LASTS
    found += [_unassigned(layout, told, operators, until) for layout, told in view.ledger.unassigned(since).items()]
    return found + _rejection_findings(view.ledger.rejections(since), operators, known, until)


def _source_findings(
    source: SourceHealth,
    after: timedelta,
    until: datetime | None,
    operators: tuple[ChannelName, ...],
    now: datetime,
    *,
    is_told: bool,
) -> list[Finding]:
    scope = _scope_of(source)
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
        replace(finding, facts=replace(finding.facts, last_bill_at=source.last_bill_at, cause=source.cause))
        for finding in (stale, failing)
    ]


def _silent_accounts(
    view: LedgerView, around: Surroundings, known: AlertsKnown, fresh: Freshness, going_on: Collection[SourceName]
) -> Iterator[Finding]:
    """Yield whether the bills of an account have stopped while others still come; of a silent source one alert is enough."""
    until = view.data_until(around.policies.products)
    for policy in around.policies.accounts:
        silence, name = fresh.silence(policy.account), policy.name or policy.account
        matter = Matter(Rule.STALE, policy.account, "account", "", "")
        before = known.latest(matter)
        others_come = not fresh.sources_of(policy.account).isdisjoint(going_on)
        text = duration_text(silence or timedelta())
        trouble = _trouble(
            Rule.STALE,
            policy.account,
            holds=silence is not None and (others_come or (before is not None and before.is_firing)),
            summary=f"no new bill of account {name} for {text}",
            detail=text,
            channels=around.policies.operators,
            until=until.get(policy.account),
        )
        last = fresh.now - silence if silence else None
        facts = replace(trouble.facts, account=policy.account, account_name=policy.name, scope="account", name=name)
        yield replace(trouble, matter=matter, facts=replace(facts, last_bill_at=last))


def _scope_of(source: SourceHealth) -> str:
    return f"source:{source.name}"


def _is_told(source: SourceHealth, before: Alert | None) -> bool:
    """Tell whether the source is called failing: trouble that may pass is given some time, once told it lasts to its end."""
    if not source.failures:
        return False
    needs_somebody = source.cause is not None and source.cause.needs_somebody
    return needs_somebody or source.failures >= FAILURES_TOLD or (before is not None and before.is_firing)


def ways_of(said: Notification, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return the channels over which the same would be said now."""
    policies, facts = around.policies, said.facts
    payer = policies.account(AccountId(facts.account)) if facts.account else None
    if said.rule is Rule.CHANNEL_FAILING:
        return _ways_around(ChannelName(facts.name), around)
    if said.rule not in _OF_MONEY:
        return policies.operators
    if said.rule is Rule.OVERDUE and facts.threshold and payer and payer.balance and payer.balance.escalation:
        return payer.balance.escalation.channels
    owners = [one for one in policies.workspaces if facts.scope.split("/")[0] == f"workspace:{one.workspace}"]
    owner = next((one for one in owners if one.account in {None, facts.account}), payer)
    return owner.channels if owner else ()


def _ways_around(channel: ChannelName, around: Surroundings) -> tuple[ChannelName, ...]:
    """Return how to tell that a channel fails: by another, even one not meant for operators, else to its other recipients."""
    others = tuple(name for name in around.policies.operators if name != channel and name in around.targets)
    refused = {target for name, target in around.troubles if name == channel}
    reached = (channel,) if refused and set(around.targets.get(channel, ())) - refused else ()
    return others or tuple(name for name in around.targets if name != channel) or reached


def _channel_finding(channel: ChannelHealth, around: Surroundings, until: datetime | None, untold: Sequence[str]) -> Finding:
    targets = around.targets.get(channel.name)
    troubles = {target: why for (name, target), why in around.troubles.items() if name == channel.name}
    died = "\n".join(dict.fromkeys(why for target, why in troubles.items() if targets is None or target in targets))
    trouble = channel.trouble or died.partition("\n")[0]
    finding = _trouble(
        Rule.CHANNEL_FAILING,
        f"channel:{channel.name}",
        holds=channel.failures >= FAILURES_TOLD or channel.disabled or bool(died),
        summary=f"{channel.name}: {trouble}",
        detail="\n".join((died or trouble, *(f"nobody could be notified: {summary}" for summary in untold))),
        channels=_ways_around(channel.name, around),
        until=until,
    )
    return replace(finding, facts=replace(finding.facts, gone=channel.disabled))


def _trouble(
    rule: Rule, scope: str, *, holds: bool, summary: str, detail: str, channels: tuple[ChannelName, ...], until: datetime | None
) -> Finding:
    return Finding(
        matter=Matter(rule, "", scope, "", ""),
        holds=holds,
        severity=Severity.WARNING,
        group=f"{rule}:{scope}",
        grave=0,
        summary=summary,
        facts=Facts(scope=scope, name=scope.partition(":")[2] or scope, detail=detail, data_until=until),
        channels=channels,
        remind=_DAILY,
    )


def _unassigned(layout: str, examples: Sequence[str], operators: tuple[ChannelName, ...], until: datetime | None) -> Finding:
    """Return that bills of a layout have usage that belongs to no workspace: told once, as others of its kind follow."""
    shown = [printable(example) if example else "no instance id" for example in examples]
    told = _trouble(
        Rule.UNASSIGNED,
        f"layout:{layout}",
        holds=True,
        summary=f"{layout}: usage whose workspace cannot be read, for example {shown[0]}",
        detail="\n".join(shown),
        channels=operators,
        until=until,
    )
    return replace(told, remind=None)


def _rejection_findings(
    rejections: Sequence[Rejection], operators: tuple[ChannelName, ...], known: AlertsKnown, until: datetime | None
) -> list[Finding]:
    matters = [Matter(Rule.REJECTED, "", f"file:{rejection.digest}", "", "") for rejection in rejections]
    fresh = tuple(
        (rejection.name, rejection.reason)
        for rejection, matter in zip(rejections, matters, strict=True)
        if known.latest(matter) is None
    )
    return [
        Finding(
            matter=matter,
            holds=True,
            severity=Severity.WARNING,
            group="rejected",
            grave=order,
            summary=f"{rejection.name} was rejected: {rejection.reason}",
            facts=Facts(scope=f"source:{rejection.source}", name=rejection.source, files=fresh, data_until=until),
            channels=operators,
        )
        for order, (rejection, matter) in enumerate(zip(rejections, matters, strict=True))
    ]
