from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import permutations

import pytest

from domain_builders import cny
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.series_selection import (
    DayTotal,
    Unwatched,
    authorities,
    differences,
    main_currency,
    uncounted,
    unwatched,
)
from spendwatch.domain.statement import AccountId, SeriesKey

ACME, OTHER = AccountId("1000000000000001"), AccountId("2000000000000002")
SEPTEMBER = BillingPeriod(2026, 9)


def series(name: str, account: AccountId = ACME, period: BillingPeriod = SEPTEMBER) -> SeriesKey:
    return SeriesKey(account, period, name)


def total(
    name: str,
    amount: str,
    *,
    day: int = 1,
    product: str = "sfm",
    currency: str = "CNY",
    lines: int = 1,
    account: AccountId = ACME,
) -> DayTotal:
    return DayTotal(series(name, account), date(2026, 9, day), product, Currency(currency), Decimal(amount), lines)


def chosen(totals: Sequence[DayTotal], products: Sequence[str] | None = ("sfm",)) -> str:
    """Return the series that counts, which must not depend on the order of the totals."""
    found = {tuple(one.series for one in authorities(order, products).values()) for order in permutations(totals)}
    ((only,),) = found
    return only


def test_the_only_series_counts() -> None:
    assert chosen([total("v2", "-5")]) == "v2"


def test_the_series_that_shows_more_money_counts() -> None:
    assert chosen([total("v2", "5"), total("focus", "3", day=1), total("focus", "2.0000000001", day=2)]) == "focus"


def test_only_money_for_what_is_asked_for_is_weighed() -> None:
    totals = [total("v2", "5"), total("v2", "1", product="oss"), total("focus", "4"), total("focus", "90", product="oss")]
    assert chosen(totals) == "v2"
    assert chosen(totals, None) == "focus"
    assert chosen(totals, ("oss",)) == "focus"


def test_of_equals_the_one_counts_that_has_more_of_everything_then_more_lines_then_the_later_name() -> None:
    assert chosen([total("v2", "5"), total("focus", "5"), total("focus", "1", product="oss")]) == "focus"
    assert chosen([total("v2", "5", lines=19), total("summary", "5", lines=18)]) == "v2"
    assert chosen([total("a", "5"), total("b", "5")]) == "b"


def test_of_equals_the_layout_counts_that_sums_up_less_however_many_lines_there_are() -> None:
    assert chosen([total("consumedetailbillv2daysummary", "5"), total("consumedetailbillv2", "5")]) == "consumedetailbillv2"
    assert chosen([total("describeinstancebill", "5", lines=2), total("consumedetailbillv2", "5")]) == "consumedetailbillv2"
    assert chosen([total("billingitemdetail.instance", "5", lines=2), total("billingitemdetail", "5")]) == "billingitemdetail"
    assert chosen([total("focus.aggregate", "5", lines=2), total("focus", "5")]) == "focus"
    assert chosen([total("billingitemdetail.instance.month", "5"), total("a.instance", "5")]) == "a.instance"


def test_money_is_weighed_in_the_currency_of_most_lines() -> None:
    totals = [total("v2", "5", lines=3), total("focus", "4", lines=3), total("focus", "1000", currency="USD")]
    assert chosen(totals) == "v2"
    assert main_currency(totals) == "CNY"
    assert main_currency([total("v2", "1", currency="USD"), total("v2", "1")]) == "CNY"
    assert main_currency([]) == ""


def test_each_account_has_a_series_of_its_own() -> None:
    totals = [total("v2", "5"), total("focus", "4"), total("v2", "4", account=OTHER), total("focus", "5", account=OTHER)]
    found = authorities(totals, ["sfm"])
    assert found == {(ACME, SEPTEMBER): series("v2"), (OTHER, SEPTEMBER): series("focus", OTHER)}


def differing(*totals: DayTotal) -> tuple[Discrepancy, ...]:
    return differences(totals, ["sfm"], authorities(totals, ["sfm"]))


def test_series_that_agree_are_no_matter() -> None:
    days = [total(name, "5", day=day) for name in ("v2", "focus") for day in (1, 2, 3)]
    assert differing(*days) == ()


def test_a_difference_is_told_with_both_figures_over_the_days_that_both_tell_completely() -> None:
    (found,) = differing(
        *(total("v2", "5", day=day) for day in (1, 2, 3, 4)),
        *(total("focus", "4.5", day=day) for day in (2, 3, 4)),
    )
    assert (found.counts, found.series) == ("v2", "focus")
    assert (found.kind, found.counted, found.other) == (Disagreement.AMOUNTS, cny(10), cny(9))
    assert found.days == (date(2026, 9, 2), date(2026, 9, 3))


@pytest.mark.parametrize(("told", "is_told"), [("4.99", False), ("4.98", True), ("4.9899999999", True)])
def test_a_cent_a_day_is_rounding_and_more_is_a_difference(told: str, is_told: bool) -> None:  # noqa: FBT001 -- a table
    days = [total("v2", "5", day=1), total("v2", "5", day=2), total("focus", told, day=1), total("focus", "4", day=2)]
    assert bool(differing(*days)) == is_told


def test_a_last_day_may_still_grow_and_is_not_compared() -> None:
    assert (
        differing(total("v2", "5", day=1), total("v2", "9", day=2), total("focus", "5", day=1), total("focus", "1", day=2))
        == ()
    )
    assert differing(total("v2", "5", day=1), total("focus", "1", day=1)) == ()


def test_other_products_are_not_compared() -> None:
    totals = [total(name, "5", day=day) for name in ("v2", "focus") for day in (1, 2)]
    assert differing(*totals, total("v2", "70", product="oss")) == ()


def lacking(*totals: DayTotal, products: Sequence[str] = ("sfm",)) -> tuple[Discrepancy, ...]:
    """Return what is not counted, which must not depend on the order of the totals."""
    forth, back = (uncounted(order, products, authorities(order, products)) for order in (totals, totals[::-1]))
    assert forth == back
    return forth


OLD = [total("billingitemdetail", "15", day=day) for day in range(1, 10)]
NEW = [total("consumedetailbillv2", "12", day=day) for day in range(10, 16)]


def test_days_that_only_a_series_has_that_does_not_count_are_told_with_what_is_on_them() -> None:
    (found,) = lacking(*OLD, *NEW)
    assert (found.counts, found.series) == ("billingitemdetail", "consumedetailbillv2")
    assert (found.kind, found.counted, found.other, found.lacking) == (Disagreement.DAYS, cny(135), cny(72), cny(72))
    assert found.days == tuple(date(2026, 9, day) for day in range(10, 16))
    assert differing(*OLD, *NEW) == ()


def test_when_the_later_series_outgrows_the_earlier_one_the_days_of_that_are_told() -> None:
    (found,) = lacking(*OLD, *NEW, total("consumedetailbillv2", "90", day=16))
    assert (found.counts, found.lacking) == ("consumedetailbillv2", cny(135))
    assert found.days == tuple(date(2026, 9, day) for day in range(1, 10))


def test_days_in_the_middle_and_refunds_are_told_too_and_days_that_both_have_are_not() -> None:
    both = [total(name, "5", day=day) for name in ("v2", "focus") for day in (1, 2, 4)]
    (found,) = lacking(*both, total("v2", "9", day=5), total("focus", "3", day=3), total("focus", "-1", day=6))
    assert (found.series, found.lacking) == ("focus", cny(2))
    assert found.days == (date(2026, 9, 3), date(2026, 9, 6))


def test_a_series_that_counts_and_has_more_days_lacks_nothing() -> None:
    assert lacking(*(total("v2", "5", day=day) for day in (1, 2, 3)), total("focus", "5", day=1)) == ()


@pytest.mark.parametrize(("amount", "is_told"), [("0", False), ("0.01", False), ("0.0100000001", True), ("-0.02", True)])
def test_days_without_money_worth_a_cent_are_no_matter(amount: str, is_told: bool) -> None:  # noqa: FBT001 -- a table
    assert bool(lacking(total("v2", "5", day=1), total("focus", amount, day=2))) == is_told


def test_money_of_other_products_is_no_matter_and_that_of_another_currency_is() -> None:
    assert lacking(total("v2", "5"), total("focus", "4", day=2, product="oss")) == ()
    dollars = [total("focus", "4", day=2, currency="USD"), total("focus", "1")]
    (found,) = lacking(total("v2", "5"), *dollars)
    usd = [Money(Decimal(amount), Currency("USD")) for amount in (0, 4, 4)]
    assert [found.counted, found.other, found.lacking] == usd


def test_a_series_whose_lines_have_no_dates_is_not_compared_by_days() -> None:
    whole = total("billingitemdetail.instance.month", "135")
    assert lacking(whole, *NEW) == ()
    assert lacking(whole, *(total("v2", "100", day=day) for day in (2, 3))) == ()


def test_what_no_watched_product_covers_is_named_with_its_amount_the_largest_first() -> None:
    totals = [
        total("v2", "10"),
        total("v2", "3", product="oss"),
        total("v2", "20", product="ecs"),
        total("v2", "4.5", product="oss", day=2),
        total("v2", "1", product="oss", currency="USD"),
        total("v2", "0", product="slb"),
        total("old", "9", product="slb"),  # another series of the same month: the same money, or less of it
        total("v2", "2", product="Amazon Bedrock", account=OTHER),
    ]
    assert unwatched(totals, ("sfm",)) == (
        Unwatched(ACME, "ecs", Currency("CNY"), Decimal(20)),
        Unwatched(ACME, "oss", Currency("CNY"), Decimal("7.5")),
        Unwatched(OTHER, "Amazon Bedrock", Currency("CNY"), Decimal(2)),
        Unwatched(ACME, "oss", Currency("USD"), Decimal(1)),
    )
    assert unwatched(totals[:1], ("sfm",)) == ()
