"""What the names of bill files tell, in every form in which the provider's console and its pushes give them."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from spendwatch.bills.names import Told, told_by, told_by_part, without_part
from spendwatch.domain.statement import AccountId, Kind
from store_builders import CHINA

UID = "1000000000000001"
SNAPSHOT, DELTA, AGGREGATE = Kind.SNAPSHOT, Kind.DELTA, Kind.AGGREGATE


def moment(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA) if text else None


@pytest.mark.parametrize(
    ("name", "kind", "exported"),
    [
        # Exports from the console: the digits are the moment of the export.
        (f"{UID}-20260516104506_consumedetailbillv2.csv", None, "20260516104506"),
        (f"{UID}-20260516104506_consumedetailbillv2_2025-12.csv", None, "20260516104506"),
        (f"{UID}-20260516104506_consumedetailbillv2_1778899506000.csv", None, "20260516104506"),
        (f"{UID}_consumedetailbillv2_1778899506123.csv", None, "20260516104506"),
        (f"{UID}-20260516104506_consumedetailbillv2daysummary.csv", AGGREGATE, "20260516104506"),
        (f"{UID}-20260903120501_instanceconsumeday.csv", None, "20260903120501"),
        (f"{UID}-20260903120501_instanceconsumeday_202608.csv", None, "20260903120501"),
        (f"{UID}-20260516104506_consumedetailbillv2.zip", None, "20260516104506"),
        (f"{UID}-20260516104506_consumedetailbillv2.xlsx", None, "20260516104506"),
        # Pushes of the first API: a day's own lines, or the month so far; objects may lack an extension.
        (f"{UID}_BillingItemDetail_20260802", DELTA, "20260803000000"),
        (f"{UID}_BillingItemDetail_20260802.csv", DELTA, "20260803000000"),
        (f"{UID}_BillingItemDetail_20260831.zip", DELTA, "20260901000000"),
        (f"{UID}_BillingItemDetail_202608.csv", SNAPSHOT, ""),
        (f"{UID}_InstanceDetail_20260802.csv", DELTA, "20260803000000"),
        (f"{UID}_InstanceDetail_202608", SNAPSHOT, ""),
        (f"{UID}_InstanceDetailMonthly_202608.csv", SNAPSHOT, ""),
        (f"{UID}_BillingItemDetailMonthly_202608.csv", SNAPSHOT, ""),
        (f"{UID}_SplitItemDetailDaily_202608.csv", SNAPSHOT, ""),
        (f"{UID}_MonthBill_202608.pdf", None, ""),
        # Pushes of the second API: always complete, named by the month or by the day that they tell of.
        (f"{UID}_2688801000001_consumeDetailBillV2_20190312", SNAPSHOT, "20190313000000"),
        (f"{UID}_2688801000001_consumeDetailBillV2_201903.zip", SNAPSHOT, ""),
        (f"{UID}_2688801000001_splitDetailBillV2_202608.zip", SNAPSHOT, ""),
        (f"{UID}_2688801000001_costDetailBillV2_20260831.zip", SNAPSHOT, "20260901000000"),
        (f"{UID}_2688801000001_focus_202608.csv", SNAPSHOT, ""),
        (f"{UID}_2688801000001_BillingItemDetail_202608.csv", SNAPSHOT, ""),
        (f"{UID}_focus_202609.csv", SNAPSHOT, ""),
        # In the folder of a push, which is named by the day that it tells of.
        (f"bills/2026-09-15/{UID}_InstanceDetailMonthly_202609.csv", SNAPSHOT, "20260916000000"),
        (f"20260915/x/{UID}_2688801000001_consumeDetailBillV2_202609.zip", SNAPSHOT, "20260916000000"),
        (f"20260915121314/{UID}_focus_202609.csv", SNAPSHOT, "20260915121314"),
        (f"20260914/20260915/{UID}_focus_202609.csv", SNAPSHOT, "20260916000000"),
        # The folder of one run, and around it one that is named by the days that are exported.
        ("corp/20261101-20261130/202611150907/aaaa1111-0000-0000-0000-000000000001/corp.csv", None, "20261115090700"),
        ("corp/20261101-20261130/94a015c6-1d05-46a7-83c4-dc4bf5e16b1f/corp.csv", None, ""),
        ("corp/2026-11-01_2026-11-30/corp.csv", None, ""),
        ("corp/202611159907/corp.csv", None, ""),
        # The file's own name goes before that of its folder.
        (f"20260920/{UID}-20260916080000_consumedetailbillv2.csv", None, "20260916080000"),
        (f"20260920/{UID}_BillingItemDetail_20260802.csv", DELTA, "20260803000000"),
        # No moment there is.
        (f"{UID}-20269915093012_consumedetailbillv2.csv", None, ""),
        (f"{UID}_BillingItemDetail_20260832.csv", DELTA, ""),
        (f"2026-13-01/{UID}_focus_202609.csv", SNAPSHOT, ""),
    ],
)
def test_the_name_tells_whose_bill_it_is_when_it_was_written_and_how_it_relates(
    name: str, kind: Kind | None, exported: str
) -> None:
    for written in (name, name.upper(), name.lower()):
        told = told_by(written)
        assert (told.account, told.kind, told.exported_at) == (UID if UID in name else None, kind, moment(exported))
        assert (told.part, told.day) == (0, None)
        assert told.has_whole_month == (kind is SNAPSHOT)


@pytest.mark.parametrize(
    "name", ["bill.csv", "账单 (1).csv", "export.zip", "", "a/b/", ".csv", "20260915", "x.tar.gz", "١٢٣.csv"]
)
def test_a_name_of_another_habit_tells_nothing(name: str) -> None:
    assert told_by(name) == Told()


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("123456789012-20260915093012_x.csv", "123456789012"),
        ("12345678901_x.csv", None),
        ("1" * 32 + "_x.csv", "1" * 32),
        ("1" * 33 + "_x.csv", None),
        ("20260915093012_x.csv", None),
        ("2026091509301234_x.csv", "2026091509301234"),
        (f"bill of {UID}.csv", None),
        (f"{UID}/x.csv", None),
    ],
)
def test_an_account_begins_the_name_and_is_no_moment(name: str, account: str | None) -> None:
    assert told_by(name).account == account


@pytest.mark.parametrize(
    ("name", "selection"),
    [
        (f"{UID}_SplitItemDetailDaily_202608.csv", "splititemdetail"),
        (f"{UID}_26888_splitDetailBillV2_202608.csv", "splitdetailbillv2"),
        (f"{UID}_26888_costDetailBillV2_202608.csv", "costdetailbillv2"),
        (f"{UID}_26888_consumeDetailBillV2_202608.csv", ""),
        (f"{UID}_BillingItemDetail_202608.csv", ""),
    ],
)
def test_bills_that_tell_the_whole_money_once_more_are_told_apart(name: str, selection: str) -> None:
    assert told_by(name).selection == selection


@pytest.mark.parametrize(
    ("name", "part", "stem"),
    [
        (f"{UID}_consumeDetailBillV2_20260915_1.zip", 1, f"{UID}_consumedetailbillv2_20260915"),
        (f"{UID}_consumeDetailBillV2_20260915_part2.zip", 2, f"{UID}_consumedetailbillv2_20260915"),
        (f"{UID}_BillingItemDetail_202608-part_12.csv.gz", 12, f"{UID}_billingitemdetail_202608"),
        (f"{UID}-20260516104506_consumedetailbillv2_3.csv", 3, f"{UID}-20260516104506_consumedetailbillv2"),
        (f"a/b/{UID}_bill_12345.csv", 12345, f"a/b/{UID}_bill"),
        ("corp/20261101-20261130/94a015c6/part_0_0001.csv", 1, "corp/20261101-20261130/94a015c6/"),
        ("corp/part_12_0003.csv.gz", 120003, "corp/"),
        ("data/BILLING_PERIOD=2026-11/corp-focus-00002.csv.gz", 2, "data/billing_period=2026-11/corp-focus"),
        (f"{UID}_bill_123456.csv", 0, f"{UID}_bill_123456.csv"),
        (f"{UID}_bill (1).csv", 0, f"{UID}_bill (1).csv"),
        (f"{UID}_bill.2.csv", 0, f"{UID}_bill.2.csv"),
        (f"{UID}_bill-again2.csv", 0, f"{UID}_bill-again2.csv"),
        (f"{UID}_consumedetailbillv2_2025-12.csv", 0, f"{UID}_consumedetailbillv2_2025-12.csv"),
        (f"{UID}_InstanceDetail_20260914.csv", 0, f"{UID}_instancedetail_20260914.csv"),
    ],
)
def test_parts_of_one_statement_have_a_number_and_the_rest_in_common(name: str, part: int, stem: str) -> None:
    assert (told_by(name).part, without_part(name)) == (part, stem)


@pytest.mark.parametrize(
    "name", ["bill_2.csv", "focus-2.csv", "a/sept_part2.csv", "20260915_2.csv", f"{UID}_x-2.csv", "a/part_2.csv"]
)
def test_exports_that_people_number_are_no_parts_unless_they_came_in_one_archive(name: str) -> None:
    assert told_by(name).part == 0
    assert told_by_part("bills.zip", name).part == 2


@pytest.mark.parametrize(
    ("name", "day"),
    [
        (f"{UID}_DescribeInstanceBill_20260902_20260903120000.json", date(2026, 9, 2)),
        (f"{UID}_DescribeInstanceBill_20260932_20260903120000.json", None),
        (f"{UID}_DescribeInstanceBill_20260902_20260903120000-again2.json", None),
        (f"{UID}_DescribeInstanceBill_20260902.json", None),
    ],
)
def test_answers_that_we_asked_for_ourselves_are_about_a_day(name: str, day: date | None) -> None:
    assert told_by(name).day == day


def test_what_the_name_of_a_member_does_not_tell_its_archive_tells() -> None:
    archive = f"{UID}_2688801000001_consumeDetailBillV2_20260914_2.zip"
    own = told_by_part(archive, "明细.csv")
    assert own == told_by(archive)
    member = "inner/5000000000000003-20260915093012_consumedetailbillv2_1.csv"
    both = told_by_part(archive, member)
    assert (both.account, both.exported_at, both.part) == (AccountId("5000000000000003"), moment("20260915093012"), 1)
    assert both.kind is SNAPSHOT
    assert told_by_part(member, member) == told_by(member)
