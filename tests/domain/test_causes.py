"""What the money went to: the most telling parts first, everything counted once, shares that add up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_builders import ACME, CNY, RESEARCH, USD, a_watch, cny
from spendwatch.domain.causes import Cause, Causes, Course, Splitting, course_of, splitting_of, subscribed
from spendwatch.domain.commodity import Category
from spendwatch.domain.money import Currency
from spendwatch.domain.policy import Names, Watch
from spendwatch.domain.scope import BudgetScope, Dimension, Match
from spendwatch.domain.standing import SpendSum

WHOLE = a_watch(scope=BudgetScope(ACME))
PART = a_watch(scope=BudgetScope(ACME, RESEARCH))
NAMES = Names({(Dimension.API_KEY, "1200345"): "chatbot", (Dimension.WORKSPACE, RESEARCH): "Research"})
INFERENCE, TRAINING = "sfm_inference_public_cn", "sfm_training_public_cn"
LAST = date(2026, 9, 16)
_PLAIN = {
    "account": ACME, "workspace": "", "api_key": "", "channel": "", "model": "", "commodity": INFERENCE,
    "item": "", "product": "sfm", "charge": "usage", "day": "2026-09-16",
}  # fmt: skip


def spent(amount: str, currency: Currency = CNY, **named: str) -> SpendSum:
    values = {Dimension(name): value for name, value in (_PLAIN | named).items()}
    return SpendSum(values, currency, Decimal(amount), 1)


def splitting(watch: Watch = WHOLE) -> Splitting:
    return splitting_of(watch, NAMES, ("sfm",))


def course(sums: Sequence[SpendSum], days: int = 4, last: date = LAST, unknown: Collection[date] = ()) -> Course:
    return course_of(sums, WHOLE, splitting(), last=last, days=days, unknown=frozenset(unknown))


def orders(*sums: SpendSum) -> Causes:
    return subscribed(sums, WHOLE, splitting())


def named(cause: Cause) -> list[str]:
    return [part.label for part in cause.parts]


def test_a_cause_is_a_model_an_api_key_and_a_workspace_by_name_and_id() -> None:
    sums = [
        spent("60", model="qwen-max", api_key="1200345", workspace=RESEARCH, item="input"),
        spent("37", model="qwen-max", api_key="1200345", workspace=RESEARCH, item="output"),
        spent("3", model="qwen-plus", api_key="9", workspace="llm-other"),
    ]
    causes = splitting().of(sums)
    assert [(named(cause), cause.spent, cause.share) for cause in causes.rows] == [
        (["qwen-max", "chatbot (1200345)", f"Research ({RESEARCH})"], cny(97), Decimal("0.97")),
        (["qwen-plus", "9", "llm-other"], cny(3), Decimal("0.03")),
    ]
    assert causes.rest is None
    assert [([main.part.label], main.share) for main in causes.main] == [
        (["chatbot (1200345)"], Decimal("0.97")),
        ([f"Research ({RESEARCH})"], Decimal("0.97")),
        (["qwen-max"], Decimal("0.97")),
    ]


def test_what_names_no_model_is_told_by_category_commodity_and_item() -> None:
    causes = splitting().of([spent("8", commodity=TRAINING, item="gpu_hour"), spent("2", commodity="sfm_kb", item="storage")])
    assert [(cause.category, named(cause)) for cause in causes.rows] == [
        (Category.TRAINING, [TRAINING, "gpu_hour"]),
        (Category.OTHER, ["sfm_kb", "storage"]),
    ]
    assert causes.categories == (Category.TRAINING, Category.OTHER)
    assert [([main.part.label], main.share) for main in causes.main] == [([TRAINING], Decimal("0.8"))]


def test_calls_without_an_api_key_are_told_by_their_channel() -> None:
    causes = splitting().of(
        [spent("8", model="qwen-max", channel="bmp"), spent("9", model="qwen-max", api_key="9", channel="app")]
    )
    assert [[(part.dimension, part.value) for part in cause.parts] for cause in causes.rows] == [
        [(Dimension.MODEL, "qwen-max"), (Dimension.API_KEY, "9")],
        [(Dimension.MODEL, "qwen-max"), (Dimension.CHANNEL, "bmp")],
    ]


def test_the_workspace_of_a_scope_is_not_repeated() -> None:
    causes = splitting(PART).of([spent("8", model="qwen-max", api_key="1200345", workspace=RESEARCH)])
    assert [named(cause) for cause in causes.rows] == [["qwen-max", "chatbot (1200345)"]]
    assert [[main.part.label] for main in causes.main] == [["chatbot (1200345)"], ["qwen-max"]]


def test_what_is_too_fine_to_tell_most_of_the_spend_is_split_less_finely() -> None:
    def many(key: str, workspace: str, model: str) -> list[SpendSum]:
        return [
            spent(
                "1", api_key=key.format(number), workspace=workspace.format(number), model=model.format(number)
            )
            for number in range(100, 120)
        ]  # fmt: skip

    ways = [
        (many("9", "llm-a", "qwen-{}"), ["9", "llm-a"]),
        (many("{}", "llm-a", "qwen"), ["qwen", "llm-a"]),
        (many("{}", "llm-a", "qwen-{}"), ["llm-a"]),
        (many("{}", "llm-{}", "qwen"), ["qwen"]),
        (many("{}", "llm-{}", "qwen-{}"), [INFERENCE]),
    ]
    for sums, expected in ways:
        causes = splitting().of(sums)
        assert [(named(cause), cause.share) for cause in causes.all] == [(expected, Decimal(1))]


def test_the_rest_says_how_many_it_is_and_completes_the_sum() -> None:
    sums = [spent("16", model="qwen", api_key="1")] + [spent("1", model="qwen", api_key=str(key)) for key in range(10, 18)]
    before = [spent("4", model="qwen", api_key="1"), spent("2", model="qwen", api_key="12"), spent("3", api_key="gone")]
    causes = splitting().of(sums, before)
    told = [(cause.spent, cause.before) for cause in causes.all]
    assert told == [(cny(16), cny(4)), *[(cny(1), cny(before)) for before in (0, 0, 2, 0)], (cny(4), cny(3))]
    assert [str(cause.share) for cause in causes.all] == ["0.667", "0.042", "0.042", "0.042", "0.041", "0.166"]
    assert causes.rest
    assert causes.rest.more == 4


def test_every_cause_can_be_asked_for_as_finely_as_bills_tell() -> None:
    sums = [spent("1", api_key=str(key), model="qwen") for key in range(100, 220)]
    causes = splitting().of(sums, most=12, enough=Decimal(0))
    assert (len(causes.rows), causes.rest and causes.rest.more, causes.rest and causes.rest.spent) == (12, 108, cny(108))


def test_refunds_are_in_the_rest_and_nothing_is_told_of_a_scope_that_got_money_back() -> None:
    causes = splitting().of([spent("10", model="qwen"), spent("-2", model="wan")])
    assert [(cause.spent, cause.share) for cause in causes.all] == [(cny(10), Decimal("1.25")), (cny(-2), Decimal("-0.25"))]
    assert [main.share for main in causes.main] == [1]
    causes = splitting().of([spent("1", model="qwen"), spent("-2", model="wan")])
    assert [(cause.spent, cause.share) for cause in causes.all] == [(cny(1), None), (cny(-2), None)]
    assert splitting().of([spent("-2")]) == splitting().of([]) == Causes()


def test_equal_charges_for_a_watched_product_and_for_another_are_both_told() -> None:
    causes = splitting().of([spent("5", model="qwen"), spent("5", model="qwen", product="ecs")])
    assert [(named(cause), cause.spent, cause.category) for cause in causes.rows] == [
        (["qwen"], cny(5), None),
        (["qwen"], cny(5), Category.INFERENCE),
    ]


def test_other_products_have_no_category_but_a_name() -> None:
    causes = splitting().of([spent("5", product="opensearch", commodity="opensearch"), spent("1", product="oss", commodity="")])
    assert [(cause.category, named(cause)) for cause in causes.rows] == [(None, ["opensearch"]), (None, ["oss"])]
    assert causes.categories == ()


_VALUES = {name: st.sampled_from(["", "a", "b", "c"]) for name in ("workspace", "api_key", "model", "channel", "item")}
_AMOUNTS = st.decimals(min_value=-9, max_value=99, places=6).map(str)
_SUMS = st.lists(
    st.builds(spent, _AMOUNTS, commodity=st.sampled_from(["", INFERENCE, TRAINING]), **_VALUES),
    max_size=40,
)


@given(_SUMS, _SUMS, st.booleans())
def test_nothing_is_lost_and_shares_add_up(sums: Sequence[SpendSum], before: Sequence[SpendSum], is_part: bool) -> None:  # noqa: FBT001
    causes = splitting(PART if is_part else WHOLE).of(sums, before)
    whole = sum(one.amount for one in sums)
    if not causes.rows:
        assert not any(cause.spent.amount > 0 for cause in causes.all)
        return
    assert sum(cause.spent.amount for cause in causes.all) == whole
    assert len(causes.rows) <= 5
    assert [cause.spent.amount for cause in causes.rows] == sorted((cause.spent.amount for cause in causes.rows), reverse=True)
    shares = [cause.share for cause in causes.all]
    assert (None in shares) == (whole <= 0)
    if whole > 0:
        assert sum(share for share in shares if share is not None) == 1
        assert all(abs((cause.share or 0) - cause.spent.amount / whole) < Decimal("0.001") for cause in causes.all)


def test_the_course_of_the_last_days_is_that_of_pay_as_you_go_alone() -> None:
    sums = [spent("4", day="2026-09-15", model="qwen"), spent("2", model="qwen"), spent("300", charge="subscription")]
    found = course(sums, days=2)
    assert found.daily == ((date(2026, 9, 15), cny(4)), (date(2026, 9, 16), cny(2)))
    assert [(named(cause), cause.spent) for cause in found.causes.all] == [(["qwen"], cny(6))]


def test_causes_compare_the_last_days_with_as_many_before() -> None:
    sums = [
        spent("100", day="2026-09-08", model="qwen"),
        spent("1", day="2026-09-09", model="qwen"),
        spent("2", day="2026-09-12", model="qwen"),
        spent("4", day="2026-09-13", model="qwen"),
        spent("8", model="qwen"),
        spent("100", day="2026-09-17", model="qwen"),
        spent("16", model="qwen", currency=USD),
        spent("1", commodity=TRAINING),
        spent("0.5", commodity=""),
    ]
    found = course(sums).causes.rows
    assert [(cause.category, cause.spent, cause.before) for cause in found] == [
        (Category.INFERENCE, cny(12), cny(3)),
        (Category.TRAINING, cny(1), cny(0)),
        (Category.OTHER, cny("0.5"), cny(0)),
    ]


def test_causes_are_compared_with_nothing_where_a_day_before_is_unknown() -> None:
    sums = [spent("1", day="2026-09-09"), spent("8")]
    (cause,) = course(sums, unknown={date(2026, 9, 10)}).causes.rows
    assert (cause.spent, cause.before) == (cny(8), None)
    (cause,) = course(sums, unknown={date(2026, 9, 8)}).causes.rows
    assert cause.before == cny(1)


def test_a_finer_budget_has_the_causes_of_what_it_matches() -> None:
    watch = Watch(BudgetScope(ACME, None, "images"), "images", CNY, cny(10), (), (), Match(((Dimension.MODEL, "wan*"),)))
    found = course_of([spent("1", model="wan2"), spent("5", model="qwen")], watch, splitting(watch), last=LAST, days=4)
    assert [named(cause) for cause in found.causes.all] == [["wan2"]]


def test_daily_spend_leaves_out_the_days_of_which_nobody_knows() -> None:
    found = course([spent("1", day="2026-09-14"), spent("2")], unknown={date(2026, 9, 13)}).daily
    assert found == ((date(2026, 9, 14), cny(1)), (date(2026, 9, 15), cny(0)), (date(2026, 9, 16), cny(2)))


def test_daily_spend_has_every_day_across_a_year_end() -> None:
    days = {"2026-12-30": "1", "2027-01-01": "6", "2027-01-02": "8"}
    found = course([spent(amount, day=day) for day, amount in days.items()], days=3, last=date(2027, 1, 1)).daily
    assert found == ((date(2026, 12, 30), cny(1)), (date(2026, 12, 31), cny(0)), (date(2027, 1, 1), cny(6)))


def test_subscriptions_are_told_by_commodity_and_item_the_largest_first() -> None:
    def order(amount: str, commodity: str, charge: str = "subscription", currency: Currency = CNY) -> SpendSum:
        return spent(amount, currency, commodity=commodity, item="seat", charge=charge)

    found = orders(
        order("180", "sfm_ptu_public_cn"),
        order("150", "sfm_tokenplanteams_dp_cn"),
        order("-30", "sfm_tokenplanteams_dp_cn", "subscription_refund"),
        order("50", "sfm_codingplan_public_cn"),
        order("-50", "sfm_codingplan_public_cn", "subscription_refund"),
        order("9", INFERENCE, "usage"),
        order("9", "sfm_modelunit_public_cn", currency=USD),
    )
    assert [(cause.category, named(cause), cause.spent, cause.share) for cause in found.all] == [
        (Category.PROVISIONED_THROUGHPUT, ["sfm_ptu_public_cn", "seat"], cny(180), Decimal("0.6")),
        (Category.TOKEN_PLAN, ["sfm_tokenplanteams_dp_cn", "seat"], cny(120), Decimal("0.4")),
    ]


@pytest.mark.parametrize("dimension", ["api_key", "workspace", "model"])
def test_nothing_makes_most_of_the_spend_below_half_of_it(dimension: str) -> None:
    def most(**amounts: str) -> set[str]:
        sums = [spent(amount, CNY, **{dimension: value.strip("_")}) for value, amount in amounts.items()]
        return {main.part.dimension.value for main in splitting().of(sums).main}

    assert dimension not in most(a="4.999", b="5.001", c="0.01")
    assert dimension in most(a="5", _="5")
