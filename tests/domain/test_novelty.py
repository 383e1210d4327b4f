"""What is new in an account's bills, and what is learnt silently."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from domain_builders import ACME, CNY
from spendwatch.domain.novelty import ChargedValue, Learnt, ended_quotas, first_costs, learnt, new_values
from spendwatch.domain.plans import plan_orders
from spendwatch.domain.policy import Names
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum

ZONE = ZoneInfo("Asia/Shanghai")
MODEL, ITEM, ENDS = Dimension.MODEL, Dimension.ITEM, Dimension.ENDS
KNOWN = Learnt(ACME, "model", 5, date(2026, 9, 10))


def value(
    name: str, first: int, last: int, *, dimension: Dimension = MODEL, is_free: bool = False, revision: int = 9
) -> ChargedValue:
    """Return a value of lines of these days of September."""
    return ChargedValue(ACME, "sfm", dimension, name, is_free, date(2026, 9, first), date(2026, 9, last), revision)


@pytest.mark.parametrize(
    ("until", "first", "day"),
    [
        ("2026-09-16T10:00+08:00", 1, 16),
        ("2026-09-17T00:00+08:00", 1, 16),  # up to the end of the 16th
        ("2026-09-15T17:00+00:00", 1, 16),
        ("2026-09-16T10:00+08:00", 16, 17),  # the account's first whole day
    ],
)
def test_everything_before_the_day_of_the_latest_bill_and_of_the_first_day_is_learnt(until: str, first: int, day: int) -> None:
    moment = datetime.fromisoformat(until).astimezone(UTC)
    report = learnt(ACME, "model", 5, until=moment, first_day=date(2026, 9, first), zone=ZONE)
    assert report == Learnt(ACME, "model", 5, date(2026, 9, day))


@pytest.mark.parametrize(("first", "revision", "is_new"), [(10, 6, True), (9, 6, False), (10, 5, False), (12, 4, False)])
def test_what_came_on_record_before_or_is_of_an_earlier_day_is_no_news(first: int, revision: int, *, is_new: bool) -> None:
    found = new_values([value("a", first, 20, revision=revision)], {MODEL: KNOWN})
    assert found == ({(MODEL, "a"): date(2026, 9, first)} if is_new else {})


def test_only_wanted_dimensions_and_paid_lines_are_news_and_of_two_products_the_earlier_day_counts() -> None:
    other = value("a", 11, 11)._replace(product="oss")
    values = [value("a", 12, 12), other, value("i", 12, 12, dimension=ITEM), value("b", 12, 12, is_free=True)]
    assert new_values(values, {MODEL: KNOWN}) == {(MODEL, "a"): date(2026, 9, 11)}


@pytest.mark.parametrize(
    ("free", "paid", "has_ended"),
    [
        ((8, 12), (13, 13), True),
        ((8, 12), (12, 13), True),
        ((8, 12), (12, 12), False),  # on one day batch calls beside free ones look the same
        ((8, 13), (12, 14), False),  # free lines go on after the first paid one
        ((14, 14), (12, 15), False),  # it cost money before it was free
        ((8, 9), (9, 12), False),  # before it was watched
    ],
)
def test_a_quota_has_ended_when_free_lines_stop_and_paid_ones_begin(
    free: tuple[int, int], paid: tuple[int, int], *, has_ended: bool
) -> None:
    values = [value("a", *free, is_free=True, revision=1), value("a", *paid), value("never free", 12, 14)]
    assert ended_quotas(values, KNOWN) == ({(MODEL, "a"): date(2026, 9, paid[0])} if has_ended else {})


def test_a_first_cost_is_that_of_the_accounts_currency_and_names_by_whom_where_it_is_one() -> None:
    def spent(amount: str, key: str, currency: str = CNY) -> SpendSum:
        values = dict.fromkeys(Dimension, "") | {MODEL: "a", Dimension.API_KEY: key, Dimension.WORKSPACE: "llm-a"}
        return SpendSum(values, CNY if currency == CNY else type(CNY)(currency), Decimal(amount), 1)

    day = date(2026, 9, 12)
    days = {(MODEL, "a"): day, (Dimension.API_KEY, "1"): day, (Dimension.API_KEY, "2"): day}
    model, one, two = first_costs(days, [spent("1", "1"), spent("4", "2"), spent("90", "2", "USD")], CNY, Names())
    assert [(each.part.value, str(each.spent)) for each in (model, one, two)] == [
        ("a", "CNY 5.00"),
        ("2", "CNY 4.00"),
        ("1", "CNY 1.00"),
    ]
    assert [[part.dimension for part in each.by] for each in (model, one)] == [
        [Dimension.WORKSPACE],
        [MODEL, Dimension.WORKSPACE],
    ]


def orders(*told: tuple[int, str]) -> list[tuple[int, int | None, int | None]]:
    """Return of orders of one commodity, by day and end: the day, that of the one before, and of its renewal."""
    values = [value(f"sfm_tokenplan 2026-09-{day:02d} {ends}", day, day, dimension=ENDS) for day, ends in told]
    found = plan_orders(values, timedelta(days=7))
    days = [(one.day, one.before, one.renewed) for one in found]
    return [(day.day, before.day if before else None, renewed.day if renewed else None) for day, before, renewed in days]


def test_an_order_near_the_end_of_another_that_lasts_longer_renews_it() -> None:
    assert orders((1, "2026-09-20 00:00"), (14, "2026-10-20 00:00")) == [(1, None, 14), (14, 1, None)]
    assert orders((1, "2026-09-20 00:00"), (22, "2026-10-22")) == [(1, None, 22), (22, 1, None)]
    assert orders((1, "2026-09-20 00:00"), (14, "")) == [(1, None, 14), (14, 1, None)]
    assert orders((1, "2026-09-20 00:00"), (12, "2026-10-20 00:00")) == [(1, None, None), (12, 1, None)]
    assert orders((1, "2026-09-20 00:00"), (14, "2026-09-20 00:00")) == [(1, None, None), (14, 1, None)]
    assert orders((1, ""), (14, "")) == [(1, None, None), (14, 1, None)]
