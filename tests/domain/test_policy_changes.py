"""A reload says in words what is different."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain_builders import ACME, CNY, FINANCE, RESEARCH, share
from spendwatch.domain.policy import (
    AccountPolicy,
    BalancePolicy,
    Escalation,
    FinerBudget,
    FirstCosts,
    Policies,
    Site,
    WorkspacePolicy,
)
from spendwatch.domain.policy_changes import policy_changes
from spendwatch.domain.scope import Dimension, Match

POLICY = WorkspacePolicy(RESEARCH, "Research", budget=Decimal(100), thresholds=(share(80),), channels=(FINANCE,))
BEFORE = Policies((AccountPolicy(ACME, "acme", Site.CN, CNY),), (POLICY,), (FINANCE,), ("sfm",), 4)


def changes(after: Policies) -> list[str]:
    return list(policy_changes(BEFORE, after))


def test_each_changed_key_is_named_with_what_it_was_and_is() -> None:
    images = FinerBudget("images", Match(((Dimension.MODEL, "wan*"),)), Decimal(20), (share(100),))
    changed = replace(
        POLICY,
        budget=Decimal(150),
        thresholds=(share(50), share(100)),
        remind=timedelta(days=1),
        escalate=Escalation(timedelta(hours=4), (FINANCE,)),
        budgets=(images,),
    )
    assert changes(BEFORE._replace(workspaces=(changed,), month_final_on=5)) == [
        "month final on 4 → 5",
        "budget of Research 100.00 → 150.00",
        "thresholds of Research 80% → 50%, 100%",
        "remind of Research none → 1 d",
        "escalate of Research none → after 4 h to finance from warning on",
        "Research: images is watched now, budget 20.00",
    ]


def test_what_is_added_and_removed_is_named_and_without_a_difference_nothing_is() -> None:
    assert changes(BEFORE._replace(workspaces=())) == ["Research is no longer watched"]
    assert list(policy_changes(BEFORE._replace(workspaces=()), BEFORE)) == ["Research is watched now, budget 100.00"]
    assert changes(BEFORE) == []


def test_what_has_keys_of_its_own_is_told_with_their_names() -> None:
    balance, first = BalancePolicy(credit=Decimal(20), floors=(Decimal(100), Decimal(50))), FirstCosts((Dimension.MODEL,))
    watched = replace(BEFORE.accounts[0], balance=balance, first=first)
    assert changes(BEFORE._replace(accounts=(watched,))) == [
        "balance of acme none → credit 20.00, floors 100.00, 50.00",
        "first of acme none → of model",
    ]
