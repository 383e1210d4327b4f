"""The conditions of a balance's source: no reading, or figures that do not agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.health import BalanceHealth
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Facts
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import AccountPolicy, ChannelName, Severity
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.trouble import Trouble
from spendwatch.jobs.conditions import FAILURES_TOLD

_DAILY = timedelta(days=1)


def failing_condition(
    policy: AccountPolicy,
    balance: AccountBalance | None,
    health: BalanceHealth,
    operators: tuple[ChannelName, ...],
    now: datetime,
) -> Condition:
    """Return whether the balance of an account cannot be read: for a trouble that lasts at once, else after a few times.

    What was read too long ago is a trouble, too, whatever the reason.
    """
    trouble = trouble_of(balance, health, now)
    has_failed = health.failures >= (1 if health.is_lasting else FAILURES_TOLD)
    is_old = balance.is_stale if balance else _is_overdue(policy, health, now)
    condition = _condition(policy, balance, Rule.BALANCE_FAILING, operators, trouble)
    name = condition.facts.name
    return replace(
        condition,
        holds=has_failed or is_old,
        facts=replace(condition.facts, cause=cause_of(health)),
        summary=f"the balance of {name} cannot be read: {trouble}",
        remind=_DAILY,
    )


def trouble_of(balance: AccountBalance | None, health: BalanceHealth | None, now: datetime) -> str:
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


def differing_condition(policy: AccountPolicy, balance: AccountBalance, operators: tuple[ChannelName, ...]) -> Condition:
    """Return whether what is reported is not what its own terms make, and nothing that is known explains it."""
    difference = balance.difference
    condition = _condition(policy, balance, Rule.BALANCE_DIFFERING, operators, "")
    if difference is None or difference.explained_by:
        return condition
    said = f"computed {balance.computed}, reported {balance.reported}"
    return replace(condition, holds=True, summary=f"the balance of {condition.facts.name} does not add up: {said}")


def _is_overdue(policy: AccountPolicy, health: BalanceHealth, now: datetime) -> bool:
    """Tell whether a first reading should have come long ago."""
    after = policy.balance.stale_after if policy.balance else None
    return after is not None and now - health.first_tried_at > after


def _condition(
    policy: AccountPolicy, balance: AccountBalance | None, rule: Rule, operators: tuple[ChannelName, ...], detail: str
) -> Condition:
    name = policy.name or policy.account
    return Condition(
        key=AlertKey(rule, BudgetScope(policy.account)),
        holds=False,
        severity=Severity.WARNING,
        group=f"{rule}:{policy.account}",
        grave=0,
        summary=f"the balance of {name} adds up",
        facts=Facts(
            scope=BudgetScope(policy.account),
            account_name=name,
            name=name,
            balance=balance,
            detail=detail,
            data_until=balance.data_until if balance else None,
        ),
        channels=operators,
        amount=plain(balance.available.amount) if balance else "",
    )
