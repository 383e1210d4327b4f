"""Spend of every watched budget."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from spendwatch.domain.period import PROVIDER_ZONE, DaySpan, Period
from spendwatch.domain.policy import FinerBudget, Policies, watches
from spendwatch.domain.scope import MATCHABLE, AlertScope, Dimension, Portion
from spendwatch.domain.standing import SpendSum, Standing, reckon, seen_values, seen_workspaces
from spendwatch.domain.usage import last_complete_day
from spendwatch.jobs.ledger_view import LedgerView, Stood, spend_within
from spendwatch.jobs.ports import Ledger


def stand(view: LedgerView, policies: Policies, period: Period, told: Collection[AlertScope] = ()) -> tuple[Standing, ...]:
    """Return the standing of every budget that is watched in such a period, and of what was `told` and is billed no longer."""
    before, scopes = view.stood.get(period), frozenset(told)
    if before and before.is_of(policies, scopes):
        return before.found
    finer = any(one.needs_detail for one in finer_budgets(policies) if one.per is period.kind)
    sums = view.spend(period, dimensions(finer=finer), policies.products)
    watched = watches(policies, seen_workspaces(sums, told), seen_values(sums, told), period.kind)
    until = view.data_until(policies.products)
    plain = [watch for watch in watched if watch.scope.portion is not Portion.UNTAGGED]
    untagged = [watch for watch in watched if watch.scope.portion is Portion.UNTAGGED]
    found = reckon(plain, sums, period, until)
    for account in dict.fromkeys(watch.scope.account for watch in untagged):
        mine = [watch for watch in untagged if watch.scope.account == account]
        rows = tagged_by_now(view.ledger, period, dimensions(finer=True), policies.products, until.get(account))
        found += reckon(mine, rows, period, until)
    view.stood[period] = Stood(policies, scopes, found)
    return found


def tagged_by_now(
    ledger: Ledger, period: Period, by: Sequence[Dimension], products: tuple[str, ...], until: datetime | None
) -> Sequence[SpendSum]:
    """Return the sums of the days of which tags should be on record: bills name them a day after the charges."""
    end = min(period.after_last_day, last_complete_day(until, PROVIDER_ZONE) + timedelta(days=1)) if until else period.first_day
    return spend_within(ledger, DaySpan(period.first_day, end), by, products) if end > period.first_day else ()


def finer_budgets(policies: Policies) -> Iterator[FinerBudget]:
    """Yield the finer budgets, and those for days and weeks, of all accounts and workspaces."""
    for policy in policies.every:
        yield from policy.budgets


def dimensions(*, finer: bool) -> tuple[Dimension, ...]:
    """Return the dimensions that budgets need, with or without finer budgets."""
    base = (Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.CHARGE)
    return (*base, *MATCHABLE, Dimension.TAGS) if finer else base
