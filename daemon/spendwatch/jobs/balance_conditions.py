"""The conditions of an account's balance (floors, overdue, runway) and of its source: no reading, or odd figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from spendwatch.domain.alert import Alert, AlertKey, Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.balance_watch import BalanceWatch, is_clear, watch_balance, with_runway
from spendwatch.domain.forecast import Runway
from spendwatch.domain.health import BalanceHealth, Freshness
from spendwatch.domain.money import EXACT, Money, plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.pace import TooEarly, TooOld
from spendwatch.domain.period import duration_label, duration_text
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, ChannelName, Policies, Severity
from spendwatch.domain.review import AlertsKnown, Condition
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.trouble import Trouble
from spendwatch.jobs.balances import Surveyed, runway
from spendwatch.jobs.conditions import FAILURES_TOLD
from spendwatch.jobs.paces import Paces

_DAILY = timedelta(days=1)
_BACK_ABOVE = EXACT.create_decimal("1.01")
"""A floor counts as left behind from one percent above it, so that cents do not make episodes; after a top-up at once."""
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the balance of an account."""

    policy: AccountPolicy
    wanted: BalancePolicy
    balance: Position
    watch: BalanceWatch
    runway: Runway | TooEarly | TooOld


def balance_conditions(look: Look, known: AlertsKnown, now: datetime) -> list[Condition]:
    """Return whether the balance is below each floor, and overdue; who must hear of it, too; and how long it will last.

    What was told before does not end by a reading that is too old to tell.
    """
    overdue = _overdue(look, known, now, grave=len(look.wanted.floors))
    floors = list(_floors(look, known, lingers=overdue.holds))
    group = [*floors, overdue]
    ends = any(_is_firing(known, condition.key) and not condition.holds for condition in group)
    found = [*group, *_runways(look, known, is_overdue=overdue.holds, ends=ends)]
    if escalated := _escalation(look, overdue, known, now):
        found.append(escalated)
    return found


def conditions_without_balance(policy: AccountPolicy, known: AlertsKnown) -> list[Condition]:
    """Return that everything still holds that was told of a balance of which nothing is known now: silence is no news."""
    rules = (Rule.BALANCE_LOW, Rule.OVERDUE, Rule.ESCALATED, Rule.RUNWAY)
    scope = BudgetScope(policy.account)
    told = (alert for rule in rules for alert in known.of(rule, scope) if alert.is_firing)
    return [_still(policy, alert) for alert in told]


def _still(policy: AccountPolicy, alert: Alert) -> Condition:
    key, name = alert.key, policy.name or policy.account
    facts = Facts(scope=key.scope, account_name=name, name=name, threshold=key.threshold)
    return Condition(
        key=key,
        holds=True,
        severity=alert.severity,
        summary=alert.summary,
        facts=facts,
        channels=policy.channels,
    )


def _facts(look: Look, known: AlertsKnown, key: AlertKey) -> Facts:
    policy, balance = look.policy, look.balance
    name, alert, top_up = policy.name or policy.account, known.latest(key), look.watch.top_up
    return Facts(
        scope=key.scope,
        account_name=name,
        name=name,
        threshold=key.threshold,
        balance=balance,
        runway=look.runway if isinstance(look.runway, Runway) else None,
        too_old=isinstance(look.runway, TooOld),
        top_up=top_up if top_up and alert and alert.is_firing and top_up.seen_at >= alert.since else None,
        data_until=balance.billed.until,
    )


def _condition(
    look: Look,
    facts: Facts,
    key: AlertKey,
    severity: Severity,
    *,
    holds: bool,
    group: str,
    grave: int,
    summary: str,
    is_so: bool,
) -> Condition:
    """Return the condition; `is_so`: the figures of now say the same, so that a reminder would be true."""
    return Condition(
        key=key,
        holds=holds,
        severity=severity,
        group=f"{group}:{look.policy.account}",
        grave=grave,
        summary=summary,
        facts=facts,
        channels=look.policy.channels,
        amount=plain(look.balance.available.amount),
        remind=look.policy.remind if is_so else None,
    )


def _key(look: Look, rule: Rule, label: str) -> AlertKey:
    return AlertKey(rule, BudgetScope(look.policy.account), label)


def _is_firing(known: AlertsKnown, key: AlertKey) -> bool:
    alert = known.latest(key)
    return alert is not None and alert.is_firing


def _floors(look: Look, known: AlertsKnown, *, lingers: bool) -> Iterator[Condition]:
    """Yield whether the balance is below each floor; `lingers`: what was told of a floor ends together with the debt."""
    available, floors = look.balance.available, sorted(look.wanted.floors, reverse=True)
    for grave, floor in enumerate(floors):
        key, money = _key(look, Rule.BALANCE_LOW, plain(floor)), Money(floor, look.policy.currency)
        facts = replace(_facts(look, known, key), floor=money)
        is_firing = _is_firing(known, key)
        limit = EXACT.multiply(floor, _BACK_ABOVE) if is_firing and facts.top_up is None else floor
        holds = available.amount < limit or (is_firing and (lingers or look.balance.is_stale))
        by_settlement = not holds and _is_by_settlement(look, known.latest(key), floor)
        yield _condition(
            look,
            replace(facts, by_settlement=by_settlement),
            key,
            Severity.CRITICAL if grave == len(floors) - 1 and grave else Severity.WARNING,
            holds=holds,
            group="balance",
            grave=grave,
            summary=f"available balance of {facts.name} is {available}, floor {money}",
            is_so=available.amount < floor,
        )


def _overdue(look: Look, known: AlertsKnown, now: datetime, *, grave: int) -> Condition:
    balance, key = look.balance, _key(look, Rule.OVERDUE, "")
    facts, alert = _facts(look, known, key), known.latest(key)
    since = alert.since if alert and alert.is_firing else None
    lingers = since is not None and (balance.is_stale or not is_clear(look.watch, since, now=now))
    holds = balance.is_overdue or lingers
    condition = _condition(
        look,
        replace(facts, by_settlement=not holds and _is_by_settlement(look, alert, _NOTHING)),
        key,
        Severity.CRITICAL,
        holds=holds,
        group="balance",
        grave=grave,
        summary=f"{facts.name} is overdue: available {balance.available}",
        is_so=balance.is_overdue,
    )
    # While it is not below zero and not yet clear, nobody is reminded of a debt that is not there.
    return replace(condition, remind=(look.policy.remind or _DAILY) if balance.is_overdue else None)


def _is_by_settlement(look: Look, alert: Alert | None, level: Decimal) -> bool:
    """Tell whether available would still be below that level had no month become final since the alert began."""
    settled = look.balance.settled
    if settled is None or alert is None or not alert.is_firing or settled.at <= alert.since:
        return False
    return (look.balance.available - settled.amount).amount < level


def _escalation(look: Look, overdue: Condition, known: AlertsKnown, now: datetime) -> Condition | None:
    wanted = look.wanted.escalation
    if wanted is None:
        return None
    alert, label = known.latest(overdue.key), duration_label(wanted.after)
    key, since = _key(look, Rule.ESCALATED, label), look.watch.overdue_since
    # Whom it was told to hears of its end when the others do; nobody new is called while the balance is not below zero.
    is_due = look.balance.is_overdue and since is not None and now - since >= wanted.after
    is_told = alert is not None and alert.is_firing
    lasts = overdue.holds and is_told and (is_due or _is_firing(known, key))
    facts = replace(overdue.facts, threshold=label, earlier_at=alert.since if alert else None)
    return replace(
        overdue,
        key=key,
        holds=lasts,
        group="",
        summary=f"{facts.name} is overdue for more than {label}: available {look.balance.available}",
        facts=facts,
        channels=wanted.channels,
    )


def _runways(look: Look, known: AlertsKnown, *, is_overdue: bool, ends: bool) -> Iterator[Condition]:
    """Yield whether each runway is reached. What a graver word tells of in the same round is not told twice."""
    thresholds = sorted(look.wanted.runway, reverse=True)
    reached = {one.threshold for one in look.watch.runway}
    days = look.runway.zero.days if isinstance(look.runway, Runway) else None
    tells_nothing = look.balance.is_stale or isinstance(look.runway, TooOld)
    for order, threshold in enumerate(thresholds):
        key = _key(look, Rule.RUNWAY, duration_label(threshold))
        is_firing = _is_firing(known, key)
        holds = threshold in reached or (is_firing and tells_nothing)
        with_others = is_overdue or (ends and is_firing and not holds)
        facts = _facts(look, known, key)
        yield _condition(
            look,
            facts,
            key,
            Severity.CRITICAL if order == len(thresholds) - 1 and order else Severity.WARNING,
            holds=holds,
            group="balance" if with_others else "runway",
            grave=order - len(thresholds),
            summary=_lasts(facts.name, look.runway, key.threshold),
            is_so=days is not None and timedelta(days=days) <= threshold,
        )


def _lasts(name: str, runway: Runway | TooEarly | TooOld, label: str) -> str:
    day = runway.zero.likely if isinstance(runway, Runway) else None
    return f"the balance of {name} lasts about until {day}: no longer than {label}" if day else f"{name}: runway {label}"


def failing_condition(
    policy: AccountPolicy,
    balance: Position | None,
    health: BalanceHealth,
    operators: tuple[ChannelName, ...],
    now: datetime,
) -> Condition:
    """Return whether the balance of an account cannot be read: for a trouble that lasts at once, else after a few times.

    What was read too long ago is a trouble, too, whatever the reason.
    """
    trouble = trouble_of(balance, health, now)
    has_failed = health.failures >= (1 if health.is_lasting else FAILURES_TOLD)
    is_old = balance.is_stale if balance else _is_never_read(policy, health, now)
    condition = _of_source(policy, balance, Rule.BALANCE_FAILING, operators, trouble)
    name = condition.facts.name
    return replace(
        condition,
        holds=has_failed or is_old,
        facts=replace(condition.facts, cause=cause_of(health)),
        summary=f"the balance of {name} cannot be read: {trouble}",
        remind=_DAILY,
    )


def trouble_of(balance: Position | None, health: BalanceHealth | None, now: datetime) -> str:
    """Return why there is no fresh reading of a balance that is read somewhere, in words; empty where there is one."""
    if health and health.failing_since:
        return health.trouble
    if balance and balance.is_stale and balance.as_of:
        return f"the latest reading is {duration_text(now - balance.as_of)} old"
    if balance is None:
        return "no reading in the account's currency yet" if health else "not read yet"
    return ""


def cause_of(health: BalanceHealth | None) -> Trouble | None:
    """Return what kind of trouble keeps a balance from being read, where its place can tell."""
    return health.cause if health and health.failing_since else None


def differing_condition(policy: AccountPolicy, balance: Position, operators: tuple[ChannelName, ...]) -> Condition:
    """Return whether what is reported is not what its own terms make, and nothing that is known explains it."""
    difference = balance.difference
    condition = _of_source(policy, balance, Rule.BALANCE_DIFFERING, operators, "")
    if difference is None or difference.explained_by:
        return condition
    said = f"computed {balance.computed}, reported {balance.reading.reported}"
    return replace(condition, holds=True, summary=f"the balance of {condition.facts.name} does not add up: {said}")


def _is_never_read(policy: AccountPolicy, health: BalanceHealth, now: datetime) -> bool:
    """Tell whether a first reading should have come long ago."""
    after = policy.balance.stale_after if policy.balance else None
    return after is not None and now - health.first_tried_at > after


def _of_source(
    policy: AccountPolicy, balance: Position | None, rule: Rule, operators: tuple[ChannelName, ...], detail: str
) -> Condition:
    name = policy.name or policy.account
    return Condition(
        key=AlertKey(rule, BudgetScope(policy.account)),
        holds=False,
        severity=Severity.WARNING,
        summary=f"the balance of {name} adds up",
        facts=Facts(
            scope=BudgetScope(policy.account),
            account_name=name,
            name=name,
            balance=balance,
            detail=detail,
            data_until=balance.billed.until if balance else None,
        ),
        channels=operators,
        amount=plain(balance.available.amount) if balance else "",
    )


def judge_balances(
    surveyed: Surveyed,
    policies: Policies,
    paces: Paces,
    known: AlertsKnown,
    fresh: Freshness,
    *,
    zone: tzinfo,
) -> tuple[list[Condition], list[BalanceWatch]]:
    """Return which conditions hold about balances, and what is to be remembered of this look, as far as it is new."""
    found: list[Condition] = []
    now = fresh.now
    looks: list[BalanceWatch] = []
    for policy in policies.accounts:
        if policy.balance is None:
            continue
        balance, health = surveyed.balances.get(policy.account), surveyed.health.get(policy.account)
        if health and policy.balance.cash is None:
            found.append(failing_condition(policy, balance, health, policies.operators, now))
        if balance is None:
            found += conditions_without_balance(policy, known)
            continue
        before, lasts = surveyed.watches.get(policy.account), runway(policy, balance, paces, fresh, zone=zone)
        watch = with_runway(watch_balance(before, balance, now=now), lasts, policy.balance.runway)
        found += balance_conditions(Look(policy, policy.balance, balance, watch, lasts), known, now)
        found.append(differing_condition(policy, balance, policies.operators))
        if watch != before:
            looks.append(watch)
    return found, looks
