"""Spend of every watched budget."""

from __future__ import annotations

from collections.abc import Collection

from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Policies, watches
from spendwatch.domain.scope import MATCHABLE, AlertScope, Dimension
from spendwatch.domain.standing import Standing, reckon, seen_values, seen_workspaces
from spendwatch.jobs.ledger_view import LedgerView


def stand(
    view: LedgerView, policies: Policies, period: BillingPeriod, told: Collection[AlertScope] = ()
) -> tuple[Standing, ...]:
    """Return the standing of every watched budget in one period, and of what was `told` and is billed no longer."""
    finer = any(policy.budgets for policy in policies.accounts) or any(policy.budgets for policy in policies.workspaces)
    sums = view.spend(period, dimensions(finer=finer), policies.products)
    watched = watches(policies, seen_workspaces(sums, told), seen_values(sums, told))
    return reckon(watched, sums, period, view.data_until(policies.products))


def dimensions(*, finer: bool) -> tuple[Dimension, ...]:
    """Return the dimensions that budgets need, with or without finer budgets."""
    base = (Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.CHARGE)
    return (*base, *MATCHABLE, Dimension.TAGS) if finer else base
