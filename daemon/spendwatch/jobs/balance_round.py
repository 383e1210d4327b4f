"""One round over all balances: standing, runway, memory and conditions of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from spendwatch.domain.balance import AccountBalance
from spendwatch.domain.balance_watch import BalanceWatch, watch_balance, with_runway
from spendwatch.domain.forecast import Runway, runway_of
from spendwatch.domain.health import BalanceHealth, Freshness
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.pace import TooEarly, TooOld
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, Policies
from spendwatch.domain.review import AlertsKnown, Condition
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.balance_conditions import Look, balance_conditions, conditions_without_balance
from spendwatch.jobs.balance_trouble import differing_condition, failing_condition
from spendwatch.jobs.balances import balances_of
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.paces import Paces
from spendwatch.jobs.ports import Balances


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What is known of all balances at one moment."""

    balances: Mapping[AccountId, AccountBalance]
    health: Mapping[AccountId, BalanceHealth]
    watches: Mapping[AccountId, BalanceWatch]
    """As they were at the last look."""


def survey(
    policies: Policies,
    view: LedgerView,
    book: Balances | None,
    paces: Paces,
    periods: Sequence[BillingPeriod],
    *,
    zone: tzinfo,
    now: datetime,
) -> Surveyed:
    """Return what is known of all balances. Without a balance book only what the configuration says."""
    if not any(policy.balance for policy in policies.accounts):
        return Surveyed({}, {}, {})
    paces.look_at_balances(view, policies, zone)
    latest = book.latest() if book else {}
    balances = balances_of(policies, view, periods, latest, zone=zone, now=now)
    return Surveyed(balances, book.health() if book else {}, book.watches() if book else {})


def runway(
    policy: AccountPolicy, balance: AccountBalance, paces: Paces, fresh: Freshness, *, zone: tzinfo
) -> Runway | TooEarly | TooOld:
    """Return how long the balance will probably last, down to each floor and to zero."""
    if balance.data_until and fresh.is_too_old(policy.account, balance.data_until):
        return TooOld(balance.data_until)
    pace, until = paces.of_balance(policy.account), balance.net_until
    if isinstance(pace, TooEarly):
        return pace
    if until is None:
        return TooEarly(0)
    floors = policy.balance.floors if policy.balance else ()
    levels = [Money(floor, policy.currency) for floor in sorted(floors, reverse=True)]
    return runway_of(pace, balance.available, levels, data_until=until, zone=zone, today=fresh.now.astimezone(zone).date())


def judge_balances(
    surveyed: Surveyed,
    policies: Policies,
    paces: Paces,
    known: AlertsKnown,
    fresh: Freshness,
    *,
    zone: tzinfo,
) -> tuple[list[Condition], list[tuple[BalanceWatch, Currency]]]:
    """Return which conditions hold about balances, and what is to be remembered of this look, as far as it is new."""
    found: list[Condition] = []
    now = fresh.now
    looks: list[tuple[BalanceWatch, Currency]] = []
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
            looks.append((watch, balance.currency))
    return found, looks
