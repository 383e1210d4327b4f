"""Which layout a header is, with renamed, moved, missing and further columns; and what is no charge, whatever the layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from bill_builder import ACCOUNT, a_bill, a_line
from many_layouts import Charge, NamedFile, detail, english, focus, instance_detail, legacy, summary
from oracle import Hints, month_to_date
from small_ledger import SmallLedger, read_here
from spendwatch.bills.header import Expected, Header, find_header, is_header
from spendwatch.bills.layouts import ALL_LAYOUTS, LAYOUTS
from spendwatch.bills.layouts.layout import Field, Layout, normalised
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, ReadingHints

DATA = Path(__file__).parent.parent / "data" / "bills"
HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})
PLAIN = Hints({ACCOUNT: "CNY"})
BY_NAME = {layout.name: layout for layout in LAYOUTS}
DETAIL, SUMMARY = "consumedetailbillv2", "consumedetailbillv2daysummary"

SAMPLES = {
    "1000000000000001-20260915093012_consumedetailbillv2.csv": DETAIL,
    "1000000000000001-20260916080000_consumedetailbillv2daysummary.csv": SUMMARY,
    "5000000000000003-20260915101500_consumedetailbillv2.csv": "consumedetailbillv2-en",
    "1000000000000001-20260903120501_instanceconsumeday_202608.csv": "billingitemdetail",
    "1000000000000001_BillingItemDetail_202608.csv": "billingitemdetail",
    "edge_dirty_legacy_zh.csv": "billingitemdetail",
    "1000000000000001_InstanceDetail_20260914.csv": "instancedetail",
    "5000000000000003_InstanceDetail_20260914.csv": "instancedetail-en",
    "1000000000000001_focus_202609.csv": "focus",
}
"""The samples whose headers stand in the provider's documents or in real bills, and what they are."""


def header_line(names: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def found(names: Sequence[str], *told: str, layout: str = "") -> Header:
    return find_header(header_line(names), Expected(told, layout))


def refusal(names: Sequence[str], *told: str, layout: str = "") -> str:
    with pytest.raises(UnreadableBillError) as refused:
        found(names, *told, layout=layout)
    return str(refused.value.refusals[0])


def sample_header(name: str) -> list[str]:
    lines = (DATA / name).read_bytes().decode("utf-8-sig").splitlines()
    return next(row for row in csv.reader(lines) if row)


def full_header(layout: Layout) -> list[str]:
    """Return every column that a layout knows, under its first name."""
    return [names[0] for field, names in layout.columns.items() if field not in layout.absent]


@pytest.mark.parametrize(("name", "layout"), SAMPLES.items())
def test_each_sample_is_known(name: str, layout: str) -> None:
    assert found(sample_header(name), name).layout.name == layout
    if layout != SUMMARY:
        # As we know its columns, a summary has ids as the detail has: only its name tells.
        assert found(sample_header(name), "bill.csv").layout.name == layout


@pytest.mark.parametrize("name", SAMPLES)
def test_columns_may_stand_anywhere_among_any_others(name: str) -> None:
    header = sample_header(name)
    dice = Random(name)  # noqa: S311 -- the same orders every time
    layout = found(header, name).layout
    for _ in range(20):
        names = [*header, "备注", "x_Own", "新/列"]
        dice.shuffle(names)
        again = found(names, name)
        assert again.layout is layout
        for field, place in again.places.items():
            assert normalised(names[place]) in [normalised(known) for known in layout.columns[field]]


@pytest.mark.parametrize("name", SAMPLES)
def test_names_are_known_in_whatever_way_they_are_written(name: str) -> None:
    header = sample_header(name)
    places = found(header, name).places
    variants = [
        [f" {cell}\t" for cell in header],
        [cell.upper() for cell in header],
        [cell.lower() for cell in header],
        [cell.replace("（", "(").replace("）", ")") for cell in header],
        [cell.rpartition("/")[2] if "信息/" in cell or "Details/" in cell else cell for cell in header],
        [f"\ufeff{cell}" for cell in header],
        [cell.replace("ID", "ＩＤ") for cell in header],
        [f"{cell[:1]} {cell[1:]}" for cell in header],
    ]
    for variant in variants:
        assert found(variant, name).places == places, variant[:3]


@pytest.mark.parametrize(
    ("layout", "charge", "trade", "commodity", "kind"),
    [
        ("instancedetail-en", "SubscriptionOrder", "Subscription", "", "subscription"),
        ("instancedetail-en", "SubscriptionOrder", "PayAsYouGo", "", "subscription"),
        ("instancedetail-en", "PayAsYouGoBill", "PayAsYouGo", "sfm_tokenplanteams_dp_cn", "usage"),
        ("instancedetail-en", "Refund", "Subscription", "", "subscription_refund"),
        ("instancedetail-en", "Refund", "PayAsYouGo", "", "refund"),
        ("describeinstancebill", "Refund", "Subscription", "", "subscription_refund"),
        ("describeinstancebill", "Adjustment", "Subscription", "", "subscription_adjustment"),
        ("describeinstancebill", "Adjustment", "PayAsYouGo", "sfm_tokenplanteams_dp_cn", "adjustment"),
        ("instancedetail", "退款", "预付费", "", "subscription_refund"),
        ("instancedetail", "退款", "后付费", "sfm_codingplan_public_cn", "refund"),
        ("consumedetailbillv2-en", "Subscription Upfront Fee", "", "", "subscription"),
        ("consumedetailbillv2-en", "Subscription Refund Fee", "", "", "subscription_refund"),
        ("consumedetailbillv2-en", "Subscription Pay-As-You-Go", "", "sfm_GenAI_spn_cn", "usage"),
        ("consumedetailbillv2-en", "Subscription Coverage", "", "", "usage"),
        ("consumedetailbillv2-en", "Rounding Adjustment", "", "", "rounding"),
        ("focus", "Purchase", "", "", "subscription"),
        ("focus", "Purchase", "Correction", "", "subscription_refund"),
        ("focus", "Usage", "Correction", "sfm_GenAI_spn_cn", "refund"),
        # Where nothing else says how it is paid: nobody pays for a plan as it is used.
        ("billingitemdetail", "退款", "", "sfm_inference_public_cn", "refund"),
        ("billingitemdetail", "退款", "", "sfm_codingplan_public_cn", "subscription_refund"),
        ("billingitemdetail", "", "", "sfm_tokenplanteams_dp_cn", "subscription"),
        ("focus", "Credit", "", "sfm_GenAI_spn_cn", "subscription_refund"),
        ("consumedetailbillv2", "", "", "sfm_inference_public_cn", "other"),
    ],
)
def test_what_is_paid_when_ordered_is_told_from_what_is_paid_as_it_is_used(
    layout: str, charge: str, trade: str, commodity: str, kind: str
) -> None:
    by_name = {one.name: one for one in ALL_LAYOUTS}
    found = by_name[layout].charge_kind(charge, trade, commodity)
    assert found == kind
    assert found.is_subscription == kind.startswith("subscription")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_found_by_all_that_it_knows_and_by_no_more_than_it_needs(layout: Layout) -> None:
    everything = full_header(layout)
    assert found(everything, *layout.marks).layout is layout
    needed = [layout.columns[group[0]][0] for group in layout.signature]
    assert found(needed, *layout.marks).layout is layout
    for left_out in needed:
        with pytest.raises(UnreadableBillError, match=r"the header matches no known layout; the nearest, .*, needs also: "):
            find_header(header_line([name for name in needed if name != left_out]), layouts=[layout])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_other_name_of_a_column_is_as_good_as_the_first(layout: Layout) -> None:
    for field, names in layout.columns.items():
        if field in layout.absent:
            continue
        for name in names:
            header = [name if known == names[0] else known for known in full_header(layout)]
            assert found(header, *layout.marks).places[field] == header.index(name)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_of_several_names_of_one_column_the_first_counts(layout: Layout) -> None:
    for field, names in layout.columns.items():
        if len(names) > 1 and field not in layout.absent:
            header = [*names[::-1], *(known for known in full_header(layout) if known != names[0])]
            assert header[found(header, *layout.marks).places[field]] == names[0]


@pytest.mark.parametrize(
    ("names", "layout", "field", "name"),
    [
        # As they were renamed over the years, with and without blanks.
        (["账单月份", "应付金额", "资产/资源实例ID"], "billingitemdetail", Field.INSTANCE, "资产/资源实例ID"),
        (["账单月份", "应付金额", "实例 ID（出账粒度）"], "billingitemdetail", Field.INSTANCE, "实例 ID（出账粒度）"),
        (["账单月份", "应付金额", "实例ID"], "billingitemdetail", Field.INSTANCE, "实例ID"),
        (["账期", "应付金额", "资产id", " 优惠类型"], "billingitemdetail", Field.INSTANCE, "资产id"),
        (["账单周期", "应付金额", "标签"], "billingitemdetail", Field.TAGS, "标签"),
        (["账务日期", "应付金额"], "billingitemdetail", Field.DAY, "账务日期"),
        (["账单月份", "扣费时间", "应付金额", "产品code"], "billingitemdetail", Field.TIME, "扣费时间"),
        (["Billing Cycle", "Pretax Amount", "Instance ID"], "instancedetail-en", Field.INSTANCE, "Instance ID"),
        (["BillingCycle", "PretaxAmount", "Instance ID (Billing Granularity)"], "instancedetail-en", Field.INSTANCE,
         "Instance ID (Billing Granularity)"),
        (["BillingCycle", "PretaxAmount", "Asset/Resource instance ID", "Instance Tag"], "instancedetail-en", Field.INSTANCE,
         "Asset/Resource instance ID"),
        (["BilledCost", "BillingPeriodStart", "X_InstanceID"], "focus", Field.INSTANCE, "X_InstanceID"),
        (["BilledCost", "BillingPeriodStart", "ResourceId", "ServiceProviderName", "HostProviderName"], "focus", Field.INSTANCE,
         "ResourceId"),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_older_and_newer_names(names: list[str], layout: str, field: Field, name: str) -> None:
    header = found(names)
    assert (header.layout.name, names[header.places[field]]) == (layout, name)


def test_a_name_that_is_part_of_another_is_not_taken_for_it() -> None:
    header = found(["账单月份", "优惠券优惠金额", "应付金额（含税）合计", "应付金额", "优惠金额"])
    assert header.cells[header.places[Field.BILLED_COST]] == "应付金额"
    assert "the header matches no known layout" in refusal(["账单月份", "账单日期", "资源购买账号ID", "应付金额合计"])


BOTH = ["账单明细ID", "账单日期", "应付金额（含税）"]
"""A detail without its times, and a summary that has ids, too: nothing in it tells which."""


def test_a_header_that_fits_two_layouts_is_told_apart_by_the_name_of_the_file_or_of_what_it_came_in() -> None:
    for name, layout in ((f"{ACCOUNT}-20260915093012_{DETAIL}.csv", DETAIL), (f"{ACCOUNT}-x_{SUMMARY}.csv", SUMMARY)):
        assert found(BOTH, name).layout.name == layout
        assert found(BOTH, name.upper()).layout.name == layout
        assert found(BOTH, "1.csv", f"{name[:-4]}.zip").layout.name == layout
        assert found(BOTH, name, f"the other is {SUMMARY}.zip").layout.name == layout


def test_without_a_telling_name_it_is_refused_with_what_would_tell() -> None:
    told = refusal(BOTH, "export.csv")
    assert told == (
        f"line 1: the header matches several layouts: {DETAIL}, {SUMMARY} (accepted: export it with 账单信息/消费时间 or "
        "账单信息/服务开始时间, or keep the file's own name, or set `layout` of its source in the configuration)"
    )


def test_the_configuration_decides_before_the_name_does() -> None:
    assert found(BOTH, f"{DETAIL}.csv", layout=SUMMARY).layout.name == SUMMARY
    told = refusal(["BilledCost", "BillingPeriodStart"], layout=DETAIL)
    assert told.startswith(f"line 1: the header matches no known layout; the nearest, {DETAIL}, needs also: ")
    assert refusal(BOTH, layout="x") == (f"no layout is called 'x' (accepted: {', '.join(layout.name for layout in LAYOUTS)})")


@pytest.mark.parametrize(
    ("names", "nearest", "trouble"),
    [
        (["BilledCost", "BillingAccountId", "ChargePeriodStart", "Tags"], "focus", "needs also: BillingPeriodStart"),
        (["BillingCycle", "RecordID", "NickName", "Item"], "instancedetail-en", "needs also: PretaxAmount"),
        (["账期", "账号ID", "订单号/账单号", "应付", "账单开始时间"], "instancedetail", "needs also: 应付金额, 欠费金额"),
        (["BillingDetails/BillingMonth", "FeeDetails/GrossAmount", "ProductDetails/ProductCode"], "consumedetailbillv2-en",
         "needs also: PayableDetails/TaxExclusivePayableAmount"),
        (["账单信息/账单日期", "账单信息/消费时间", "应付信息/应付金额（含税）"], DETAIL, "needs also: 标识信息/账单明细ID"),
        (["账单月份", "账单日期", "应付金额", "欠费金额"], "billingitemdetail", "has no: 欠费金额"),
    ],
)  # fmt: skip
def test_the_nearest_layout_is_told_and_what_it_lacks(names: list[str], nearest: str, trouble: str) -> None:
    assert refusal(names) == f"line 1: the header matches no known layout; the nearest, {nearest}, {trouble}"


def test_a_header_without_a_known_column_has_no_nearest_layout() -> None:
    told = "the bill as exported, with commas: do not save it from a spreadsheet"
    assert refusal(["a", "b", "c"]) == f"line 1: the header matches no known layout, and no column of any (accepted: {told})"


@pytest.mark.parametrize(("sign", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_cells_that_something_else_than_commas_separates_are_named(layout: Layout, sign: str, called: str) -> None:
    with pytest.raises(UnreadableBillError, match=f"the cells are separated by {called}, not by commas"):
        find_header(f"{sign.join(full_header(layout))}\r\n".encode())


_INVOICE = ["BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargeCategory"]


@pytest.mark.parametrize(
    ("names", "dataset"),
    [
        ([*_INVOICE, "InvoiceDetailId", "InvoiceIssuerName"], "InvoiceDetail"),
        (["BillingPeriodStart", "BillingPeriodEnd", "BillingPeriodStatus", "InvoiceIssuerName"], "BillingPeriod"),
        (["BillingCurrency", "ContractCommitmentId", "ContractCommitmentCost", "ContractId"], "ContractCommitment"),
    ],
)
def test_another_dataset_of_focus_is_no_bill_and_is_called_by_its_name(names: list[str], dataset: str) -> None:
    told = f"the FOCUS dataset {dataset}, which has no charges by service and period (accepted: the FOCUS dataset CostAndUsage)"
    assert refusal(names) == f"line 1: {told}"
    for column in ("ChargePeriodStart", "ServiceName"):
        assert found([*_INVOICE, *names[-2:], column]).layout.name == "focus"


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_column_that_is_read_must_not_stand_twice(layout: Layout) -> None:
    header = full_header(layout)
    for name in header:
        assert "the header has this column more than once" in refusal([*header, name], *layout.marks)
        assert "the header has this column more than once" in refusal([f" {name} ", *header], *layout.marks)


@pytest.mark.parametrize("layout", ALL_LAYOUTS, ids=lambda layout: layout.name)
def test_a_header_is_told_from_a_line_of_values(layout: Layout) -> None:
    assert is_header(header_line(full_header(layout)).decode())
    assert not is_header("1000000000000001,2026-09,sfm,CNY,1.25\n")
    assert not is_header('"unclosed\n')


def test_the_header_is_the_first_line_that_is_not_blank() -> None:
    line = header_line([*BOTH, "消费时间"])
    for before in (b"", b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\r\n \t\n"):
        header = find_header(before + line + b"x")
        assert (header.lines, header.size) == (1 + before.count(b"\n"), len(before + line))


DAY = date(2026, 9, 3)
CHARGES = [Charge(1, DAY, Decimal(5)), Charge(2, DAY, Decimal("4.5"), workspace="llm-b")]
STAMP = "20260904120000"
FILES = [
    detail(CHARGES, STAMP),
    summary(CHARGES, STAMP),
    english(CHARGES, STAMP),
    legacy(CHARGES, f"{ACCOUNT}-{STAMP}_instanceconsumeday.csv"),
    legacy(CHARGES, f"{ACCOUNT}-{STAMP}_instanceconsumeday.csv", keyed=False),
    instance_detail(CHARGES, f"{ACCOUNT}_InstanceDetail_20260903.csv"),
    focus(CHARGES, f"20260903/{ACCOUNT}_focus_202609.csv"),
]
MONTHS = ("账单信息/账单月份", "账单月份", "账期", "BillingDetails/BillingMonth", "BillingPeriodStart")


def with_total(file: NamedFile, word: str, column: int, amount: str) -> NamedFile:
    """Return the file with a line at its end that sums up the others: it bears the word, the month and the amounts."""
    name, content = file
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    layout = find_header(content, Expected((name,)))
    told = {header.index(month): rows[0][header.index(month)] for month in MONTHS if month in header}
    told |= {layout.places[field]: amount for field in (Field.BILLED_COST, Field.LIST_COST) if field in layout.places}
    cells = [told.get(place, "") for place in range(len(header))]
    cells[column] = word
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows, cells])
    return name, text.getvalue().encode()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file[0])
def test_a_line_of_totals_is_no_charge_wherever_it_says_so_and_though_it_bears_the_month(file: NamedFile) -> None:
    header = find_header(file[1], Expected((file[0],)))
    amounts = {header.places.get(field) for field in (Field.BILLED_COST, Field.OUTSTANDING)}
    places = [("合计", place) for place in sorted({0, *header.places.values()} - amounts)]
    for word, place in (*places, ("总计：", 1), ("Total", 1), ("GRAND TOTAL", 1), ("小计", 1)):
        totalled = with_total(file, word, place, "9.5")
        assert read_here([totalled], hints=HINTS).total() == Decimal("9.5"), (word, header.cells[place])
        assert sum(month_to_date([totalled], PLAIN).values()) == Decimal("9.5")


def test_a_total_that_is_not_what_the_lines_add_up_to_is_remarked() -> None:
    remark = "line 4 shows a total of 10, but the amounts add up to 9.5"
    for amount, remarks in (("9.5", ()), ("9.50", ()), ("10.00", (remark,)), ("9", ()), ("8", (remark.replace("10", "8"),))):
        statement = SmallLedger().enter_here(*with_total(FILES[2], "Total", 0, amount), hints=HINTS)
        assert tuple(one for one in statement.remarks if one.startswith("line")) == remarks


@pytest.mark.parametrize(
    "told",
    ["2026-09-03T00:00:00Z", "2026-09-03", "2026/9/3 1:00", "20260903", "20260903 01:00:00", "2026-09-03 25:99:99"],
)
def test_a_day_that_only_a_time_tells_is_understood(told: str) -> None:
    name, content = FILES[-1]
    ledger = read_here([(name, content.replace(b"2026-09-03T00:00:00Z", told.encode()))], hints=HINTS)
    assert {key.day for key in ledger.days} == {DAY}


@pytest.mark.parametrize("told", ["2026-09-031T00:00:00Z", "2026-09-03x", "2026-09-3100:00", "20260931 00:00"])
def test_a_day_that_a_time_tells_wrongly_is_refused_with_the_column_of_the_time(told: str) -> None:
    name, content = FILES[-1]
    with pytest.raises(UnreadableBillError, match="line 2, column ChargePeriodStart: not a billing date"):
        read_here([(name, content.replace(b"2026-09-03T00:00:00Z", told.encode()))], hints=HINTS)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["fast", "careful"])
def test_an_order_tells_when_it_ends_and_a_line_where_it_was_used(line_end: bytes) -> None:
    plan = a_line(charge="订阅预付费用", trade="新购", commodity="sfm_codingplan_public_cn", until="2026-10-12 00:00:00")
    short = a_line(charge="订阅预付费用", trade="新购", commodity="sfm_GenAI_spn_cn")
    refund = a_line(charge="退款", trade="订阅", until="2026-10-12 00:00:00", amount="-5")
    usage = a_line(until="2026-10-12 00:00:00", cells={"资源信息/地域Code": "", "资源信息/地域": ""})
    name, content = a_bill([plan, short, refund, usage])
    rows = read_here([(name, content.replace(b"\n", line_end))], hints=HINTS).rows
    assert sorted((row.charge.value, row.ends, row.region) for row in rows) == [
        ("subscription", "", "cn-beijing"),
        ("subscription", "2026-10-12 00:00", "cn-beijing"),
        ("subscription_refund", "", "cn-beijing"),
        ("usage", "", ""),
    ]
