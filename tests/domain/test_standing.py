"""What is spent of each budget: everything counted once, nothing dropped, nothing mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, CNY, NOW, RESEARCH, SEPTEMBER, USD, a_watch, cny, share, standing
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.policy import AccountPolicy, FinerBudget, Policies, Site, Watch, WorkspacePolicy, watches
from spendwatch.domain.scope import AlertScope, BudgetScope, Counts, Dimension, Match, NamedScope, Subject, value_of
from spendwatch.domain.standing import SpendSum, Split, Standing, reckon, seen_values, seen_workspaces
from spendwatch.domain.statement import UNASSIGNED, AccountId

WHOLE = a_watch(scope=BudgetScope(ACME))
PART = a_watch(scope=BudgetScope(ACME, RESEARCH))
REST = a_watch(scope=BudgetScope(ACME, UNASSIGNED))


def spent(
    amount: str | Decimal, workspace: str = RESEARCH, account: str = ACME, currency: Currency = CNY, **more: str
) -> SpendSum:
    values = {Dimension.ACCOUNT: account, Dimension.WORKSPACE: workspace, Dimension.CHARGE: "usage"}
    values |= {Dimension.COMMODITY: "", Dimension.ITEM: ""}
    values |= {Dimension(name): value for name, value in more.items()}
    return SpendSum(values, currency, Decimal(amount), 1)


def stand(watch: Watch, *sums: SpendSum) -> Standing:
    (found,) = reckon([watch], sums, SEPTEMBER, {ACME: NOW})
    return found


def test_what_names_no_workspace_counts_for_the_account() -> None:
    sums = [spent("1.5"), spent("2", UNASSIGNED), spent("4", "llm-other")]
    assert stand(WHOLE, *sums).spend == cny("7.5")
    assert stand(PART, *sums).spend == cny("1.5")
    assert stand(REST, *sums).spend == cny("2")
    assert stand(WHOLE, *sums).lines == 3


def test_other_accounts_do_not_count() -> None:
    assert stand(WHOLE, spent("1"), spent("2", account="other")).spend == cny(1)
    assert stand(PART, spent("1"), spent("2", account="other")).spend == cny(1)


def test_foreign_currencies_are_told_apart_and_never_added() -> None:
    found = stand(WHOLE, spent("1"), spent("2", currency=USD), spent("3", currency=USD), spent("0", currency=Currency("EUR")))
    assert found.spend == cny(1)
    assert found.foreign == (Money(Decimal(5), USD),)


def test_foreign_money_that_adds_up_to_nothing_is_not_told() -> None:
    assert stand(WHOLE, spent("2", currency=USD), spent("-2", currency=USD)).foreign == ()


def test_without_any_spend_the_standing_is_zero_and_known_until_then() -> None:
    found = stand(PART)
    assert (found.spend, found.lines, found.used, found.remaining) == (cny(0), 0, Decimal(0), cny(1000))
    assert found.data_until == NOW
    (stranger,) = reckon([a_watch(scope=BudgetScope(AccountId("9")))], [], SEPTEMBER, {ACME: NOW})
    assert stranger.data_until is None


def test_a_finer_budget_counts_what_it_matches() -> None:
    match = Match(patterns=((Dimension.MODEL, "wan*"),), tags=(("team", "ads"),))
    watch = Watch(BudgetScope(ACME, RESEARCH, "images"), "images", CNY, cny(10), (share(80),), (), match)
    sums = [
        spent("1", model="wan2", tags='{"team":"ads"}'),
        spent("2", model="wan3", tags='{"team":"search"}'),
        spent("4", model="qwen", tags='{"team":"ads"}'),
        spent("8", "llm-other", model="wan2", tags='{"team":"ads"}'),
    ]
    assert stand(watch, *sums).spend == cny(1)


ORDER, GIVEN_BACK = "subscription", "subscription_refund"


def test_what_is_subscribed_stands_beside_what_is_paid_as_it_is_used() -> None:
    sums = [spent("5"), spent("-1", charge="refund"), spent("0", charge="free"), spent("2", charge="other")]
    sums += [spent("300", charge=ORDER), spent("-120", charge=GIVEN_BACK), spent("7", charge=ORDER, currency=USD)]
    found = stand(WHOLE, *sums)
    assert (found.spend, found.split) == (cny(186), Split(cny(6), cny(180)))
    assert found.foreign == (Money(Decimal(7), USD),)


@pytest.mark.parametrize(
    ("counts", "counted", "used"), [("all", 186, "0.186"), ("pay_as_you_go", 6, "0.006"), ("subscription", 180, "0.18")]
)
def test_a_budget_counts_what_it_says(counts: str, counted: int, used: str) -> None:
    watch = a_watch(scope=BudgetScope(ACME, RESEARCH, counts=Counts(counts)))
    found = stand(watch, spent("6"), spent("300", charge=ORDER), spent("-120", charge=GIVEN_BACK))
    assert (found.spend, found.used, found.remaining) == (cny(counted), Decimal(used), cny(1000 - counted))
    assert found.split == Split(cny(6), cny(180))


def test_sums_that_are_not_told_apart_by_charge_are_refused() -> None:
    unknown = SpendSum({Dimension.ACCOUNT: ACME, Dimension.WORKSPACE: RESEARCH}, CNY, Decimal(1), 1)
    with pytest.raises(KeyError):
        stand(WHOLE, unknown)


def test_refunds_count_against_the_spend() -> None:
    assert stand(WHOLE, spent("5"), spent("-7.25")).spend == cny("-2.25")


@pytest.mark.parametrize(
    ("spend", "budget", "used", "remaining"),
    [
        ("999.9999999999", "1000", "0.9999", "0.0000000001"),
        ("1000", "1000", "1", "0"),
        ("5000", "1000", "5", "-4000"),
        ("-5", "1000", "-0.005", "1005"),
    ],
)
def test_the_used_share_is_cut_and_the_rest_is_exact(spend: str, budget: str, used: str, remaining: str) -> None:
    found = standing(spend, a_watch(budget=budget))
    assert found.used == Decimal(used)
    assert found.remaining == cny(remaining)


def test_without_a_budget_there_is_neither_share_nor_rest() -> None:
    found = standing(5, a_watch(share(50), budget=None))
    assert found.used is None
    assert found.remaining is None


SUMS = st.lists(
    st.builds(
        spent,
        st.decimals(min_value=-(10**20), max_value=10**20, places=10),
        st.sampled_from(["llm-a", "llm-b", UNASSIGNED]),
        st.sampled_from([ACME, "other"]),
        st.sampled_from([CNY, USD]),
    )
)


@given(SUMS)
def test_workspaces_and_the_unassigned_add_up_to_the_account_in_each_currency(sums: Sequence[SpendSum]) -> None:
    parts = [a_watch(scope=BudgetScope(ACME, workspace)) for _, workspace in seen_workspaces(sums) if _ == ACME]
    found = reckon([WHOLE, *parts], sums, SEPTEMBER, {})
    by_currency = [_by_currency(standing) for standing in found]
    for currency in (CNY, USD):
        total = sum(Fraction(one.amount) for one in sums if one.values[Dimension.ACCOUNT] == ACME and one.currency == currency)
        assert by_currency[0].get(currency, 0) == total
        assert sum(part.get(currency, Fraction(0)) for part in by_currency[1:]) == total
    assert found[0].lines == sum(standing.lines for standing in found[1:])


def _by_currency(standing: Standing) -> Mapping[Currency, Fraction]:
    return {money.currency: Fraction(money.amount) for money in (standing.spend, *standing.foreign)}


@given(SUMS, st.randoms())
def test_the_order_of_the_sums_does_not_matter(sums: list[SpendSum], dice: object) -> None:
    shuffled = list(sums)
    getattr(dice, "shuffle")(shuffled)  # noqa: B009 -- hypothesis hides the type of its dice
    assert reckon([WHOLE, PART], sums, SEPTEMBER, {}) == reckon([WHOLE, PART], shuffled, SEPTEMBER, {})


def test_workspaces_are_seen_where_they_turned_up() -> None:
    sums = [spent("1"), spent("1", UNASSIGNED), spent("2", account="other")]
    assert seen_workspaces(sums) == {(ACME, RESEARCH), (ACME, UNASSIGNED), ("other", RESEARCH)}


def test_what_was_told_stays_in_sight_when_bills_no_longer_name_it() -> None:
    each = FinerBudget("key", Match(), Decimal(1), (), for_each="api_key")
    told: list[AlertScope] = [BudgetScope(ACME, RESEARCH, "key", value="1"), BudgetScope(ACME), NamedScope(Subject.FILE, "x")]
    assert seen_workspaces([spent("1", UNASSIGNED)], told) == {(ACME, RESEARCH), (ACME, UNASSIGNED)}
    values = seen_values([spent("1", api_key="2"), spent("1", api_key="")], told)
    assert values(BudgetScope(ACME, RESEARCH, "key"), each) == {"1", "2"}
    assert values(BudgetScope(ACME, None, "key"), each) == {"2"}
    assert values(BudgetScope(ACME, RESEARCH, "key", Counts.SUBSCRIPTION), each) == {"2"}


@given(
    st.lists(st.tuples(st.sampled_from("12"), st.sampled_from(["a", "b", ""]), st.integers(1, 9)), max_size=12),
    st.sampled_from([None, RESEARCH]),
    st.sampled_from(["api_key", "model", "tag:team", "workspace"]),
)
def test_each_value_is_counted_once_and_exactly(rows: list[tuple[str, str, int]], place: str | None, column: str) -> None:
    sums = [
        spent(str(cost), workspace, api_key=key, model=key, tags=f'{{"team":"{key}"}}' if key else "")
        for number, key, cost in rows
        for workspace in (RESEARCH if number == "1" else "llm-other",)
    ]
    finer = FinerBudget("each", Match(), Decimal(5), (share(80),), for_each=column)
    account = AccountPolicy(ACME, "acme", Site.CN, CNY, budgets=() if place else (finer,))
    policy = WorkspacePolicy(RESEARCH, budgets=(finer,) if place else ())
    policies = Policies((account,), (policy,), (), ("sfm",), 4)
    watched = watches(policies, seen_workspaces(sums), seen_values(sums))
    expected: dict[str, Decimal] = {}
    for one in sums:
        value = value_of(column, one.values)
        if value and place in {None, one.values[Dimension.WORKSPACE]}:
            expected[value] = expected.get(value, Decimal(0)) + one.amount
    found = reckon(watched, sums, SEPTEMBER, {})
    assert {each.watch.scope.value: each.spend.amount for each in found if each.watch.scope.value} == expected
    for standing_of in found:
        watch = standing_of.watch
        mine = (
            one.amount
            for one in sums
            if watch.fits(one.values) and watch.scope.workspace in {None, one.values[Dimension.WORKSPACE]}
        )
        assert standing_of.spend.amount == sum(mine, Decimal(0))
