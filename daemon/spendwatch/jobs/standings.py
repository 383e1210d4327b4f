"""Spend of every watched budget."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from spendwatch.domain.period import Period
from spendwatch.domain.policy import FinerBudget, Policies, watches
from spendwatch.domain.scope import MATCHABLE, AlertScope, Dimension
from spendwatch.domain.standing import Standing, reckon, seen_values, seen_workspaces
from spendwatch.jobs.ledger_view import LedgerView


def stand(view: LedgerView, policies: Policies, period: Period, told: Collection[AlertScope] = ()) -> tuple[Standing, ...]:
    """Return the standing of every budget that is watched in such a period, and of what was `told` and is billed no longer."""
    finer = any(one.needs_detail for one in finer_budgets(policies) if one.per is period.kind)
    sums = view.spend(period, dimensions(finer=finer), policies.products)
    watched = watches(policies, seen_workspaces(sums, told), seen_values(sums, told), period.kind)
    return reckon(watched, sums, period, view.data_until(policies.products))


def finer_budgets(policies: Policies) -> Iterator[FinerBudget]:
    """Yield the finer budgets, and those for days and weeks, of all accounts and workspaces."""
    for policy in policies.every:
        yield from policy.budgets


def dimensions(*, finer: bool) -> tuple[Dimension, ...]:
    """Return the dimensions that budgets need, with or without finer budgets."""
    base = (Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.CHARGE)
    return (*base, *MATCHABLE, Dimension.TAGS) if finer else base
