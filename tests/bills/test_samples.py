"""The sample bills: each says what it should, alone and together, in any order and repetition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from notices import SAMPLES, ZONE, notice
from oracle import Hints, month_to_date, unsettled
from small_ledger import Copies, SmallLedger, read_here
from spendwatch.domain.alert import Rule
from spendwatch.domain.causes import TELLING, Course, splitting_of
from spendwatch.domain.commodity import Category, category_of
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.policy import Names, Watch
from spendwatch.domain.scope import BudgetScope, Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId, ReadingHints, SpendRow, WorkspaceId
from spendwatch.letters.language import Language
from spendwatch.letters.texts import text_in
from spendwatch.letters.wording import Wording

FOLDER = Path(__file__).parent.parent / "data" / "bills"
CHINA, INTERNATIONAL = "1000000000000001", "5000000000000003"
CURRENCIES = {CHINA: "CNY", INTERNATIONAL: "USD"}
HINTS = ReadingHints({AccountId(account): Currency(code) for account, code in CURRENCIES.items()}, account=AccountId(CHINA))
PLAIN = Hints(CURRENCIES, CHINA)
DAILY = [f"{CHINA}_BillingItemDetail_2026080{day}.csv" for day in (2, 3)]
WHOLE = f"{CHINA}_BillingItemDetail_202608.csv"
LEGACY = f"{CHINA}-20260903120501_instanceconsumeday_202608.csv"
DETAIL = [f"{CHINA}-202609150{time}_consumedetailbillv2.csv" for time in ("93012", "94145")]
SUMMARY = f"{CHINA}-20260916080000_consumedetailbillv2daysummary.csv"
ENGLISH = f"{INTERNATIONAL}-20260915101500_consumedetailbillv2.csv"
PUSHED, PUSHED_ENGLISH = (f"{account}_InstanceDetail_20260914.csv" for account in (CHINA, INTERNATIONAL))
FOCUS = f"{CHINA}_focus_202609.csv"
DIRTY, RESAVED, EMPTY = "edge_dirty_legacy_zh.csv", "edge_excel_resaved_gb18030.csv", "edge_zero_byte_placeholder.csv"
PAGES = ["api_describe_instance_bill_page1.json", "api_describe_instance_bill_page2.json"]
ALL = [*DAILY, WHOLE, LEGACY, *DETAIL, SUMMARY, ENGLISH, PUSHED, PUSHED_ENGLISH, FOCUS, DIRTY, RESAVED, *PAGES]


def sample(name: str) -> tuple[str, bytes]:
    return name, (FOLDER / name).read_bytes()


def plainly(name: str) -> tuple[str, bytes]:
    """Return a sample as the oracle can read it: it knows but one encoding, and no blank line in front."""
    content = (FOLDER / name).read_bytes()
    return name, content.decode("gb18030").encode() if "gb18030" in name else content.replace(
        b"\xef\xbb\xbf\r\n", b"\xef\xbb\xbf"
    )


def entered(*names: str) -> SmallLedger:
    return read_here(map(sample, names), hints=HINTS)


def outstanding(ledger: SmallLedger) -> Decimal:
    return sum((row.outstanding or Decimal(0) for row in ledger.rows), Decimal(0))


@pytest.mark.parametrize(
    ("names", "lines", "everything", "model_studio"),
    [
        ([DETAIL[0]], 16, "170.4593912", "170.149385"),
        ([DETAIL[1]], 14, "170.259761", "170.259761"),
        (DETAIL, 19, "170.6423912", "170.332385"),
        ([SUMMARY], 18, "170.332385", "170.332385"),
        ([ENGLISH], 14, "33.239304", "32.455004"),
        ([LEGACY], 14, "33.9827362", "33.67273"),
        ([DAILY[0]], 2, "3.1236", "3.1236"),
        ([DAILY[1]], 3, "0.18844", "0.18844"),
        ([WHOLE], 5, "3.31204", "3.31204"),
        ([*DAILY, WHOLE], 5, "3.31204", "3.31204"),
        ([PUSHED], 11, "9.05946", "9.05946"),
        ([PUSHED_ENGLISH], 10, "29.3350067", "29.3350067"),
        ([FOCUS], 11, "163.739476", "163.739476"),
        ([RESAVED], 10, "15.67273", "15.67273"),
        (PAGES, 12, "30.861335", "30.861335"),
    ],
)
def test_each_sample_says_what_it_should(names: Sequence[str], lines: int, everything: str, model_studio: str) -> None:
    ledger = entered(*names)
    assert ledger.lines == lines
    assert (ledger.total(), ledger.total("sfm")) == (Decimal(everything), Decimal(model_studio))


def test_a_dirty_export_counts_every_line_once_and_no_line_of_totals() -> None:
    ledger = entered(DIRTY)
    assert ledger.lines == 10
    assert ledger.total("sfm", month="2026-09") == Decimal("1238.800069")
    assert ledger.total("sfm", month="2026-08") == Decimal("9.99")
    assert ledger.total(month="2026-09") == Decimal("1239.110069")


@pytest.mark.parametrize(
    ("names", "owed"), [([PUSHED], "7.95946"), ([PUSHED_ENGLISH], "4.0417267"), (PAGES, "26.266135"), ([FOCUS], "0")]
)
def test_what_is_outstanding_is_kept_where_bills_tell_it(names: Sequence[str], owed: str) -> None:
    assert outstanding(entered(*names)) == Decimal(owed)


@pytest.mark.parametrize(
    ("names", "subscription"),
    [
        ([DETAIL[0]], "62.5"), ([SUMMARY], "62.5"), ([ENGLISH], "25"), ([PUSHED_ENGLISH], "25"), ([PUSHED], "0"),
        ([FOCUS], "100"), ([LEGACY], "0"), ([RESAVED], "0"), (PAGES, "0"),
    ],
)  # fmt: skip
def test_subscription_money_is_told_from_pay_as_you_go(names: Sequence[str], subscription: str) -> None:
    ledger = entered(*names)
    assert sum((row.billed_cost for row in ledger.rows if row.charge.is_subscription), Decimal(0)) == Decimal(subscription)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("owed", "paid", "told"),
    [
        ("3", "0", "3"),
        ("0", "5", "0"),
        ("0", "", None),
        ("0.00", "0", None),
        ("", "5", None),
        ("-", "5", None),
        ("-1", "0", "-1"),
    ],
)
def test_nothing_outstanding_though_nothing_was_paid_says_nothing(
    owed: str, paid: str, told: str | None, line_end: str
) -> None:
    """The fast way reads the first line ends, the careful way the second."""
    header = "账期,账号ID,产品Code,账单开始时间,账单类型,消费类型,应付金额,现金支付,欠费金额"
    line = f"2026-09,{CHINA},sfm,2026-09-14 01:00:00,后付费账单,后付费,5,{paid},{owed}"
    file = f"{CHINA}_InstanceDetail_20260914.csv", line_end.join([header, line, ""]).encode()
    ledger = read_here([file], hints=HINTS)
    found = [(row.billed_cost, row.outstanding) for row in ledger.rows]
    assert found == [(Decimal(5), None if told is None else Decimal(told))]
    assert ledger.unsettled() == unsettled([file], PLAIN)


def test_the_day_summary_is_never_added_to_the_detail() -> None:
    ledger = entered(*DETAIL, SUMMARY)
    assert (ledger.lines, ledger.total("sfm")) == (37, Decimal("170.332385"))
    assert ledger.total() == Decimal("170.6423912")


@pytest.mark.parametrize("name", ["api_get_fund_account_available_amount.json", "api_query_account_balance_intl.json"])
def test_an_answer_about_the_balance_is_no_bill(name: str) -> None:
    with pytest.raises(UnreadableBillError, match="contains a balance, not bills"):
        entered(name)


def test_a_refusal_of_the_api_is_no_bill_and_says_what_it_says() -> None:
    with pytest.raises(UnreadableBillError, match="an error of the API: 'NotApplicable'"):
        entered("api_error_wrong_site.json")


def test_all_samples_together_give_one_truth_in_two_hundred_random_orders_with_repeats() -> None:
    expected = month_to_date(map(plainly, ALL), PLAIN, ["sfm"])
    dice = Random(20260915)  # noqa: S311 -- the same orders every time
    copies = Copies(HINTS)
    for _ in range(200):
        names = ALL + dice.choices(ALL, k=dice.randrange(6))
        dice.shuffle(names)
        ledger = copies.entered(map(sample, names))
        assert ledger.sums(["sfm"]) == expected
        assert ledger.total("sfm", account=CHINA, month="2026-09") == Decimal("1238.800069")
        assert ledger.total("sfm", account=CHINA, month="2026-08") == Decimal("33.82373")
        assert ledger.total("sfm", account=INTERNATIONAL, month="2026-09") == Decimal("32.455004")


@pytest.mark.parametrize("name", ALL)
def test_no_model_studio_code_of_a_sample_is_of_an_unnamed_category(name: str) -> None:
    codes = {(row.commodity, row.item) for row in entered(name).rows if row.product == "sfm" and row.commodity + row.item}
    assert not [code for code in codes if category_of(*code) is Category.OTHER]


def _spend_sums(rows: Sequence[SpendRow], workspace: str | None) -> list[SpendSum]:
    mine = [row for row in rows if workspace in {None, row.workspace} and row.product == "sfm"]
    return [
        SpendSum({one: getattr(row, one.value) for one in TELLING}, row.currency, row.billed_cost, row.lines) for row in mine
    ]


def _named(sums: Sequence[SpendSum], scope: BudgetScope) -> tuple[Decimal, Decimal]:
    """Return how much bills name by key, workspace or commodity, and how much of that a mail about the scope names, too."""
    watch = Watch(scope, "Team", sums[0].currency, None, (), ())
    facts = replace(SAMPLES["threshold"].facts, course=Course(splitting_of(watch, Names(), ("sfm",)).of(sums)))
    wording = Wording(Language.EN, ZONE)
    mail = " ".join(wording.text(notice(Rule.THRESHOLD_REACHED, facts)).split("Where it went")[1].split("Daily")[0].split())
    known = named = Decimal(0)
    for one in sums:
        values = one.values
        workspace = "" if scope.workspace else values[Dimension.WORKSPACE]
        tells = [value for value in (values[Dimension.API_KEY], workspace, values[Dimension.COMMODITY]) if value]
        if tells:
            category = text_in(Language.EN, "categories", category_of(values[Dimension.COMMODITY], values[Dimension.ITEM]))
            known += one.amount
            named += one.amount if any(value in mail for value in (*tells, category)) else 0
    return known, named


@pytest.mark.parametrize("names", [[name] for name in ALL] + [DETAIL, PAGES])
def test_a_mail_names_who_or_what_spent_at_least_80_percent_wherever_the_bill_names_it(names: Sequence[str]) -> None:
    rows = entered(*names).rows
    for workspace in {None, *(row.workspace for row in rows)}:
        sums = _spend_sums(rows, workspace)
        if sum(one.amount for one in sums) > 0:
            known, named = _named(sums, BudgetScope(AccountId(CHINA), workspace))
            assert named >= known * 8 / 10


@pytest.mark.parametrize(("workspaces", "keys", "models"), [(40, 3, 2), (1, 200, 1), (1, 200, 60), (60, 1, 60), (3, 40, 9)])
def test_a_mail_names_it_however_many_there_are(workspaces: int, keys: int, models: int) -> None:
    (usual,) = (row for row in entered(DETAIL[1]).rows[:1])
    rows = [
        usual._replace(
            workspace=WorkspaceId(f"llm-{number % workspaces:04d}"), api_key=f"{number % keys:07d}",
            model=f"qwen-{number % models:03d}", billed_cost=Decimal(number % 7 + 1),
        )
        for number in range(workspaces * keys)
    ]  # fmt: skip
    for workspace in (None, WorkspaceId("llm-0000")):
        known, named = _named(_spend_sums(rows, workspace), BudgetScope(AccountId(CHINA), workspace))
        assert named >= known * 8 / 10
