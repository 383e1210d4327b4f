"""The conditions of an account's balance (floors, overdue, runway) and of its source: no reading, or odd figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from spendwatch.domain.alert import Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.balance_watch import BalanceWatch, TopUp, is_clear, watch_balance, with_runway
from spendwatch.domain.forecast import Runway
from spendwatch.domain.health import BalanceHealth, Freshness
from spendwatch.domain.money import EXACT, Money, plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import duration_label
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, Policies, Severity
from spendwatch.domain.review import Condition
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.scope import BudgetScope
from spendwatch.jobs.balances import Scanned, cause_of, runway, trouble_of
from spendwatch.jobs.conditions import FAILURES_TOLD, Troubles
from spendwatch.jobs.run_rates import RunRates

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
    known: AlertsKnown
    now: datetime

    @property
    def name(self) -> str:
        """What people call the account."""
        return self.policy.name or self.policy.account

    def key(self, rule: Rule, label: str = "") -> AlertKey:
        """Return the key of an alert about the balance."""
        return AlertKey(rule, BudgetScope(self.policy.account), label)

    def firing(self, key: AlertKey) -> Alert | None:
        """Return the alert of this key, if it fires."""
        alert = self.known.latest(key)
        return alert if alert and alert.is_firing else None

    def top_up(self, key: AlertKey) -> TopUp | None:
        """Return what came in since the alert of this key began."""
        seen, alert = self.watch.top_up, self.firing(key)
        return seen if seen and alert and seen.seen_at >= alert.since else None

    def is_settled(self, key: AlertKey, level: Decimal) -> bool:
        """Return whether available would still be below that level had no month become final since the alert began."""
        settled, alert = self.balance.settled, self.firing(key)
        if settled is None or alert is None or settled.at <= alert.since:
            return False
        return (self.balance.available - settled.amount).amount < level

    def condition(
        self,
        key: AlertKey,
        severity: Severity,
        summary: str,
        *,
        holds: bool,
        group: str,
        grave: int,
        **facts: Any,  # noqa: ANN401 -- any figures
    ) -> Condition:
        """Return a condition about the balance."""
        told = Facts(
            scope=key.scope,
            account_name=self.name,
            name=self.name,
            threshold=key.threshold,
            balance=self.balance,
            runway=self.runway if isinstance(self.runway, Runway) else None,
            too_old=isinstance(self.runway, TooOld),
            top_up=self.top_up(key),
            data_until=self.balance.billed.until,
            **facts,
        )
        policy, amount = self.policy, plain(self.balance.available.amount)
        return Condition(
            key,
            holds=holds,
            severity=severity,
            summary=summary,
            facts=told,
            channels=policy.channels,
            group=f"{group}:{policy.account}",
            grave=grave,
            amount=amount,
            remind=policy.remind,
            escalate=policy.escalate,
        )


def balance_conditions(look: Look) -> list[Condition]:
    """Return whether the balance is below each floor, and overdue; and how long it will last.

    A reading that is too old does not resolve an alert.
    """
    overdue = _overdue(look)
    group = [*_floors(look, lingers=overdue.holds), overdue]
    ends = any(look.firing(condition.key) and not condition.holds for condition in group)
    return [*group, *_runways(look, is_overdue=overdue.holds, ends=ends)]


def conditions_without_balance(policy: AccountPolicy, known: AlertsKnown) -> list[Condition]:
    """Return that all firing conditions of an unknown balance still hold: silence is no news."""
    scope, name = BudgetScope(policy.account), policy.name or policy.account
    rules = (Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY)
    told = (alert for rule in rules for alert in known.of(rule, scope) if alert.is_firing)
    facts = Facts(scope=scope, account_name=name, name=name)
    return [
        Condition(
            alert.key,
            severity=alert.severity,
            summary=alert.summary,
            facts=replace(facts, threshold=alert.key.threshold),
            channels=policy.channels,
        )
        for alert in told
    ]


def _floors(look: Look, *, lingers: bool) -> Iterator[Condition]:
    """Yield whether the balance is below each floor; `lingers`: the alert of a floor ends together with the debt."""
    available, floors = look.balance.available, sorted(look.wanted.floors, reverse=True)
    for grave, floor in enumerate(floors):
        key, money = look.key(Rule.BALANCE_LOW, plain(floor)), Money(floor, look.policy.currency)
        is_firing = look.firing(key) is not None
        limit = EXACT.multiply(floor, _BACK_ABOVE) if is_firing and look.top_up(key) is None else floor
        holds = available.amount < limit or (is_firing and (lingers or look.balance.is_stale))
        found = look.condition(
            key,
            Severity.CRITICAL if grave == len(floors) - 1 and grave else Severity.WARNING,
            f"available balance of {look.name} is {available}, floor {money}",
            holds=holds,
            group="balance",
            grave=grave,
            floor=money,
            by_settlement=not holds and look.is_settled(key, floor),
        )
        yield found if available.amount < floor else _unclear(found)


def _overdue(look: Look) -> Condition:
    balance, key = look.balance, look.key(Rule.OVERDUE)
    alert = look.firing(key)
    lingers = alert is not None and (balance.is_stale or not is_clear(look.watch, alert.since, now=look.now))
    holds = balance.is_overdue or lingers
    found = look.condition(
        key,
        Severity.CRITICAL,
        f"{look.name} is overdue: available {balance.available}",
        holds=holds,
        group="balance",
        grave=len(look.wanted.floors),
        by_settlement=not holds and look.is_settled(key, _NOTHING),
    )
    if not balance.is_overdue:
        return _unclear(found)
    return found._replace(remind=look.policy.remind or _DAILY, escalates_from=look.watch.overdue_since)


def _unclear(condition: Condition) -> Condition:
    """Return it while it is not clear yet whether it has ended: there are no reminders, and nobody new is notified."""
    return condition if not condition.holds else condition._replace(remind=None, escalate=None)


def _runways(look: Look, *, is_overdue: bool, ends: bool) -> Iterator[Condition]:
    """Yield whether each runway is reached. A more severe alert of the same round covers it."""
    thresholds = sorted(look.wanted.runway, reverse=True)
    reached = {one.threshold for one in look.watch.runway}
    days = look.runway.zero.days if isinstance(look.runway, Runway) else None
    tells_nothing = look.balance.is_stale or isinstance(look.runway, TooOld)
    for order, threshold in enumerate(thresholds):
        key = look.key(Rule.RUNWAY, duration_label(threshold))
        is_firing = look.firing(key) is not None
        holds = threshold in reached or (is_firing and tells_nothing)
        with_others = is_overdue or (ends and is_firing and not holds)
        found = look.condition(
            key,
            Severity.CRITICAL if order == len(thresholds) - 1 and order else Severity.WARNING,
            _lasts(look.name, look.runway, key.threshold),
            holds=holds,
            group="balance" if with_others else "runway",
            grave=order - len(thresholds),
        )
        yield found if days is not None and timedelta(days=days) <= threshold else _unclear(found)


def _lasts(name: str, runway: Runway | TooEarly | TooOld, label: str) -> str:
    day = runway.zero.likely if isinstance(runway, Runway) else None
    return f"the balance of {name} lasts about until {day}: no longer than {label}" if day else f"{name}: runway {label}"


def failing_condition(
    policy: AccountPolicy,
    balance: Position | None,
    health: BalanceHealth,
    policies: Policies,
    now: datetime,
) -> Condition:
    """Return whether the balance of an account cannot be read: for a trouble that lasts at once, else after a few times.

    What was read too long ago is a trouble, too, whatever the reason; so is a first reading that should have come long ago.
    """
    trouble, after = trouble_of(balance, health, now), policy.balance.stale_after if policy.balance else None
    has_failed = health.failures >= (1 if health.is_lasting else FAILURES_TOLD)
    is_old = balance.is_stale if balance else after is not None and now - health.first_tried_at > after
    summary, cause = f"the balance of {policy.name or policy.account} cannot be read: {trouble}", cause_of(health)
    holds = has_failed or is_old
    return _of_source(
        policy, balance, Rule.BALANCE_FAILING, policies, holds=holds, summary=summary, detail=trouble, cause=cause
    )


def differing_condition(policy: AccountPolicy, balance: Position, policies: Policies) -> Condition:
    """Return whether what is reported is not what its own terms make, and nothing that is known explains it."""
    difference, name = balance.difference, policy.name or policy.account
    holds = difference is not None and not difference.explained_by
    said = f"does not add up: computed {balance.computed}, reported {balance.reading.reported}" if holds else "adds up"
    summary = f"the balance of {name} {said}"
    found = _of_source(policy, balance, Rule.BALANCE_DIFFERING, policies, holds=holds, summary=summary)
    return found._replace(remind=policies.operators_remind)


def _of_source(
    policy: AccountPolicy,
    balance: Position | None,
    rule: Rule,
    policies: Policies,
    **said: Any,  # noqa: ANN401 -- what all troubles have
) -> Condition:
    name, scope = policy.name or policy.account, BudgetScope(policy.account)
    troubles = Troubles(policies, balance.billed.until if balance else None)
    found = troubles.of(rule, scope, account_name=name, name=name, balance=balance, **said)
    return found._replace(amount=plain(balance.available.amount) if balance else "")


def judge_balances(
    surveyed: Scanned,
    policies: Policies,
    paces: RunRates,
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
            found.append(failing_condition(policy, balance, health, policies, now))
        if balance is None:
            found += conditions_without_balance(policy, known)
            continue
        before, lasts = surveyed.watches.get(policy.account), runway(policy, balance, paces, fresh, zone=zone)
        watch = with_runway(watch_balance(before, balance, now=now), lasts, policy.balance.runway)
        found += balance_conditions(Look(policy, policy.balance, balance, watch, lasts, known, now))
        found.append(differing_condition(policy, balance, policies))
        if watch != before:
            looks.append(watch)
    return found, looks
