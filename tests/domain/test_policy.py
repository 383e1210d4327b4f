"""Thresholds, their names and weights, and which budgets are watched where."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, CNY, FINANCE, RESEARCH, USD, amount, cny, share
from spendwatch.domain.money import Money
from spendwatch.domain.policy import (
    AccountPolicy,
    ChannelName,
    FinerBudget,
    Names,
    Policies,
    Severity,
    Site,
    Threshold,
    Watch,
    WorkspacePolicy,
    threshold_text,
    watches,
)
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, Match
from spendwatch.domain.statement import AccountId, WorkspaceId

OPS = ChannelName("ops")
GLOBEX = AccountId("2000000000000002")


def _account(account: AccountId = ACME, **more: object) -> AccountPolicy:
    named = {"account": account, "name": "acme", "site": Site.CN, "currency": CNY, "channels": (FINANCE,), **more}
    return AccountPolicy(**named)  # type: ignore[arg-type]  # a builder hands through what a test names


def _policies(*policies: AccountPolicy | WorkspacePolicy) -> Policies:
    return Policies(
        accounts=tuple(policy for policy in policies if isinstance(policy, AccountPolicy)),
        workspaces=tuple(policy for policy in policies if isinstance(policy, WorkspacePolicy)),
        operators=(),
        products=("sfm",),
        month_final_on=4,
    )


def _found(
    *policies: AccountPolicy | WorkspacePolicy, seen: tuple[tuple[AccountId, WorkspaceId], ...] = ()
) -> list[BudgetScope]:
    return [watch.scope for watch in watches(_policies(*policies), frozenset(seen))]


@pytest.mark.parametrize(
    ("threshold", "label"),
    [
        (share(80), "80%"),
        (share("0.5"), "0.5%"),
        (share("33.3333333333"), "33.3333333333%"),
        (share(150), "150%"),
        (amount("900.00"), "900"),
        (amount("0.0000000001"), "0.0000000001"),
        (Threshold(share=Decimal("1.2"), is_forecast=True), "forecast 120%"),
        (Threshold(amount=Decimal("900.50"), is_forecast=True), "forecast 900.5"),
    ],
)
def test_a_threshold_is_called_as_people_write_it(threshold: Threshold, label: str) -> None:
    assert threshold.label == label


@given(st.decimals(min_value="0.01", max_value=1000, places=8))
def test_equal_thresholds_have_equal_names_however_they_are_written(percent: Decimal) -> None:
    written = Threshold(share=percent / 100)
    padded = Threshold(share=Decimal(str(percent) + "00") / 100)
    assert written == padded
    assert written.label == padded.label


@pytest.mark.parametrize(
    ("share", "amount"), [(None, None), ("0.5", "5"), ("0", None), ("-0.1", None), (None, "0"), (None, "-1")]
)
def test_a_threshold_is_either_a_share_or_an_amount_and_above_zero(share: str | None, amount: str | None) -> None:
    with pytest.raises(ValueError, match="either a share or an amount"):
        Threshold(None if share is None else Decimal(share), None if amount is None else Decimal(amount))


@pytest.mark.parametrize(
    ("threshold", "budget", "expected"),
    [
        (share(80), "1000.0000000003", "800.00000000024"),
        (share(100), "1234.5678901234", "1234.5678901234"),
        (share(80), None, None),
        (amount(900), None, "900"),
        (amount(900), "1", "900"),
    ],
)
def test_a_share_is_reached_at_exactly_that_part_of_the_budget(
    threshold: Threshold, budget: str | None, expected: str | None
) -> None:
    found = threshold.reached_at(None if budget is None else Decimal(budget))
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("threshold", "budget", "severity"),
    [
        (share(50), 1000, Severity.NOTICE),
        (share("74.9999"), 1000, Severity.NOTICE),
        (share(75), 1000, Severity.WARNING),
        (share("99.9999"), 1000, Severity.WARNING),
        (share(100), 1000, Severity.CRITICAL),
        (share(150), 1000, Severity.CRITICAL),
        (amount(750), 1000, Severity.WARNING),
        (amount(1000), 1000, Severity.CRITICAL),
        (amount(5), None, Severity.WARNING),
    ],
)
def test_from_the_whole_budget_on_it_is_critical(threshold: Threshold, budget: int | None, severity: Severity) -> None:
    assert threshold.severity(None if budget is None else Decimal(budget)) is severity


def test_severities_have_an_order() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2]


def test_an_account_is_watched_as_a_whole_before_anything_is_seen() -> None:
    (watch,) = watches(_policies(_account(budget=Decimal(5000), thresholds=(share(80),))), frozenset())
    assert watch == Watch(BudgetScope(ACME), "acme", CNY, cny(5000), (share(80),), (FINANCE,), account_name="acme")


def test_a_workspace_is_watched_in_whichever_account_it_turns_up() -> None:
    policies = (_account(), _account(GLOBEX, currency=USD), WorkspacePolicy(RESEARCH))
    assert _found(*policies) == [BudgetScope(ACME), BudgetScope(GLOBEX)]
    assert _found(*policies, seen=((GLOBEX, RESEARCH),))[2:] == [BudgetScope(GLOBEX, RESEARCH)]
    both = ((GLOBEX, RESEARCH), (ACME, RESEARCH))
    assert _found(*policies, seen=both)[2:] == [BudgetScope(ACME, RESEARCH), BudgetScope(GLOBEX, RESEARCH)]


def test_with_one_account_a_workspace_is_watched_before_its_first_bill() -> None:
    assert _found(_account(), WorkspacePolicy(RESEARCH)) == [BudgetScope(ACME), BudgetScope(ACME, RESEARCH)]


def test_a_pinned_workspace_is_watched_in_its_account_alone() -> None:
    policies = (_account(), _account(GLOBEX), WorkspacePolicy(RESEARCH, account=GLOBEX))
    assert _found(*policies, seen=((ACME, RESEARCH),))[2:] == [BudgetScope(GLOBEX, RESEARCH)]


def test_a_workspace_of_an_account_that_nobody_configured_is_not_watched() -> None:
    assert _found(_account(), WorkspacePolicy(RESEARCH, account=GLOBEX)) == [BudgetScope(ACME)]
    assert _found(_account(), WorkspacePolicy(RESEARCH), seen=((GLOBEX, RESEARCH),)) == [BudgetScope(ACME)]


def test_a_budget_of_a_workspace_is_in_the_currency_of_the_account_that_pays() -> None:
    policies = _policies(_account(GLOBEX, currency=USD), WorkspacePolicy(RESEARCH, name="Research", budget=Decimal(7)))
    found = watches(policies, frozenset())[1]
    assert found.budget == Money(Decimal(7), USD)
    assert found.currency == USD


def test_finer_budgets_are_watched_each_for_itself() -> None:
    finer = FinerBudget("images", Match(patterns=((Dimension.MODEL, "wan*"),)), Decimal(200), (share(80),))
    policy = WorkspacePolicy(RESEARCH, name="Research", budgets=(finer,), channels=(FINANCE,))
    _, whole, images = watches(_policies(_account(), policy), frozenset())
    assert whole.match is None
    assert images.scope == BudgetScope(ACME, RESEARCH, "images")
    assert images.name == "Research: images"
    assert (images.budget, images.match, images.channels) == (cny(200), finer.match, (FINANCE,))


def test_a_nameless_workspace_goes_by_its_id() -> None:
    assert watches(_policies(_account(), WorkspacePolicy(RESEARCH)), frozenset())[1].name == RESEARCH


def test_an_account_is_found_by_its_id() -> None:
    policies = _policies(_account(), _account(GLOBEX))
    found = policies.account(GLOBEX)
    assert found is not None
    assert found.account == GLOBEX
    assert policies.account(AccountId("3")) is None


def test_a_forecast_is_a_warning_at_most() -> None:
    for percent, severity in ((50, Severity.NOTICE), (75, Severity.WARNING), (100, Severity.WARNING), (900, Severity.WARNING)):
        assert Threshold(share=Decimal(percent) / 100, is_forecast=True).severity(Decimal(1000)) is severity


@pytest.mark.parametrize(
    ("label", "budget", "said"),
    [
        ("80%", "100", "80% of CNY 100.00"),
        ("90", "100", "CNY 90.00 (of its CNY 100.00 budget)"),
        ("90", None, "CNY 90.00"),
        ("forecast 100%", "100", "100% of CNY 100.00"),
        ("forecast 90", "100", "CNY 90.00 (of its CNY 100.00 budget)"),
    ],
)
def test_a_threshold_is_written_as_a_share_of_its_budget_or_as_money(label: str, budget: str | None, said: str) -> None:
    assert threshold_text(label, cny("90"), None if budget is None else cny(budget)) == said


def test_each_budget_counts_what_it_says_itself() -> None:
    finer = FinerBudget("plans", Match(((Dimension.API_KEY, ""),)), Decimal(9), (), Counts.SUBSCRIPTION)
    research = WorkspacePolicy(RESEARCH, budgets=(finer, finer._replace(name="all", counts=Counts.ALL)))
    found = _found(_account(counts=Counts.PAY_AS_YOU_GO), research)
    assert [scope.label for scope in found] == [
        "pay_as_you_go:account",
        f"workspace:{RESEARCH}",
        f"subscription:workspace:{RESEARCH}/plans",
        f"workspace:{RESEARCH}/all",
    ]


def test_a_budget_that_counts_something_else_has_another_identity() -> None:
    keys = {BudgetScope(ACME, workspace, "b", counts).label for workspace in (None, RESEARCH) for counts in Counts}
    assert len(keys) == 6
    assert {BudgetScope(ACME, RESEARCH, "b", counts).of_all.label for counts in Counts} == {f"workspace:{RESEARCH}/b"}


def test_an_id_is_shown_with_its_name_or_alone() -> None:
    names = Names({(Dimension.API_KEY, "1200345"): "chatbot"})
    assert names.label(Dimension.API_KEY, "1200345") == "chatbot (1200345)"
    assert names.label(Dimension.MODEL, "1200345") == "1200345"
    assert names.of(Dimension.API_KEY, "7") == ""


def test_a_workspace_without_a_name_of_its_own_is_called_as_names_say() -> None:
    policies = _policies(_account(), WorkspacePolicy(RESEARCH))._replace(
        names=Names({(Dimension.WORKSPACE, RESEARCH): "Research"})
    )
    assert watches(policies, frozenset())[1].name == "Research"


def _each(column: str = "api_key", **more: object) -> FinerBudget:
    named = {"name": "key", "match": Match(), "budget": Decimal(50), "thresholds": (share(80),), "for_each": column, **more}
    return FinerBudget(**named)  # type: ignore[arg-type]  # a builder hands through what a test names


def _each_of(finer: FinerBudget, *values: str) -> dict[str, Decimal | None]:
    found = watches(_policies(_account(budgets=(finer,))), frozenset(), lambda *_: values)
    return {one.scope.value: one.budget.amount if one.budget else None for one in found if one.scope.budget}


def test_every_value_has_a_budget_of_its_own_and_exceptions_have_another_or_none() -> None:
    finer = _each(exceptions=(("17*", Decimal(80)), ("1200345", Decimal(200)), ("1700002", None), ("9*", None)))
    found = _each_of(finer, "1200345", "1200346", "1700001", "1700002", "90")
    assert found == {"1200345": Decimal(200), "1200346": Decimal(50), "1700001": Decimal(80)}


def test_a_value_that_looks_like_a_pattern_is_compared_as_it_is() -> None:
    assert _each_of(_each("tag:team", exceptions=(("a[b", Decimal(7)),)), "a[b", "ab") == {"a[b": Decimal(7), "ab": Decimal(50)}


def test_amounts_of_each_value_need_no_budget() -> None:
    finer = _each(budget=None, thresholds=(amount(9),), exceptions=(("2", None), ("3", Decimal(4))))
    assert _each_of(finer, "1", "2", "3") == {"1": None, "3": Decimal(4)}


def test_a_budget_of_one_value_counts_its_rows_alone() -> None:
    [_, watch] = watches(_policies(_account(budgets=(_each("tag:team"),))), frozenset(), lambda *_: ["a*"])
    assert watch.fits({Dimension.TAGS: '{"team":"a*"}'})
    assert not watch.fits({Dimension.TAGS: '{"team":"ab"}'})
    assert not watch.fits({})


def test_a_budget_of_one_value_is_called_by_the_name_of_its_value() -> None:
    policies = _policies(_account(budgets=(_each(),)))._replace(names=Names({(Dimension.API_KEY, "1"): "chatbot"}))
    found = watches(policies, frozenset(), lambda *_: ["1", "2"])
    assert [one.name for one in found] == ["acme", "acme: key chatbot (1)", "acme: key 2"]


def test_a_finer_budget_has_its_own_channels_or_those_of_its_policy() -> None:
    finer = FinerBudget("a", Match(), Decimal(9), (share(80),))
    own = finer._replace(name="b", channels=(OPS,))
    found = watches(_policies(_account(budgets=(finer, own))), frozenset())
    assert [one.channels for one in found] == [(FINANCE,), (FINANCE,), (OPS,)]


def test_the_owner_of_a_workspace_belongs_to_all_its_budgets() -> None:
    policy = WorkspacePolicy(RESEARCH, owner="Li Wei", budgets=(_each(), _each()._replace(name="b", for_each="")))
    found = watches(_policies(_account(), policy), frozenset(), lambda *_: ["1"])
    assert [one.owner for one in found] == ["", "Li Wei", "Li Wei", "Li Wei"]
