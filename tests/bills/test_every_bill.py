"""Random months in all layouts, late, repeated, filtered, corrected, in any order: always what the oracle says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from bill_builder import ACCOUNT
from many_layouts import (
    OWNERS,
    Charge,
    Month,
    NamedFile,
    a_month,
    answers,
    detail,
    english,
    every_file,
    focus,
    instance_detail,
    legacy,
    pushed_detail,
    summary,
)
from oracle import Hints, month_to_date, naive_sum, spend_by_day, unsettled
from real_ledger import RealLedger
from small_ledger import Copies, SmallLedger, read_here
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.money import Currency, exact_sum
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, ReadingHints
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database
from xlsx_builder import zipped

CNY = {ACCOUNT: "CNY"}
HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})
PLAIN = Hints(CNY)
SEPTEMBER = "2026-09"


def dice_of(seed: int) -> Random:
    return Random(seed)  # noqa: S311 -- the same months every time


def entered(files: Sequence[NamedFile]) -> SmallLedger:
    return read_here(files, hints=HINTS)


def shuffled(files: Sequence[NamedFile], dice: Random) -> list[NamedFile]:
    """Return the files in another order, some of them several times."""
    repeated = [*files, *dice.choices(files, k=dice.randrange(4))] if files else []
    dice.shuffle(repeated)
    return repeated


def check(seed: int, most: int) -> tuple[Decimal, Decimal]:
    """Enter some files of a random month in several orders; return what is right and what a naive sum says."""
    dice = dice_of(seed)
    files = every_file(a_month(dice, may_move=True, owners=OWNERS), dice)
    files = dice.sample(files, min(len(files), dice.randrange(1, most)))
    expected, by_day, owed = month_to_date(files, PLAIN), spend_by_day(files, PLAIN), unsettled(files, PLAIN)
    copies = Copies(HINTS)
    for _ in range(2):
        order = shuffled(files, dice)
        ledger = copies.entered(order)
        assert ledger.sums() == expected, [name for name, _ in order]
        assert ledger.sums_by_day() == by_day, [name for name, _ in order]
        assert ledger.unsettled() == owed, [name for name, _ in order]
    right = exact_sum(amount for key, amount in expected.items() if key[2] == "sfm")
    return right, naive_sum(files, PLAIN, product="sfm")


@pytest.mark.parametrize("block", range(4))
def test_random_months_in_any_order_equal_the_oracle(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        check(seed, most=16)


@pytest.mark.parametrize("block", range(4))
def test_what_is_removed_is_as_if_it_had_never_come(block: int) -> None:
    for seed in range(block * 10, block * 10 + 10):
        dice = dice_of(seed)
        files = dice.sample(every_file(a_month(dice, may_move=True, owners=OWNERS), dice), 10)
        ledger, kept = entered(files), dice.sample(files, 5)
        others = {one.identity for one in entered(kept).statements}
        for one in ledger.statements:
            if one.identity not in others:
                ledger.remove(one.identity)
        assert ledger.sums() == month_to_date(kept, PLAIN), [name for name, _ in kept]
        ledger.enter_here(*files[0], hints=HINTS)
        assert ledger.sums() == month_to_date([*kept, files[0]], PLAIN)


@pytest.mark.long
@pytest.mark.parametrize("block", range(100))
def test_many_more_random_months_equal_the_oracle(block: int) -> None:
    for seed in range(10_000 + block * 30, 10_000 + block * 30 + 30):
        check(seed, most=30)


def test_a_naive_sum_is_wrong_nearly_always_and_by_how_much() -> None:
    found = [check(seed, most=16) for seed in range(5000, 5030)]
    wrong = [(naive, right) for right, naive in found if naive != right]
    too_much = sorted(naive / right for naive, right in wrong if right > 0)
    middle, worst = too_much[len(too_much) // 2], too_much[-1]
    sums = f"{sum(naive for naive, _ in wrong):,.2f} instead of {sum(right for _, right in wrong):,.2f}"
    print(
        f"\nA naive sum over all lines of all files is wrong in {len(wrong)} of {len(found)} folders of random bills: in the "
        f"middle one it shows {middle:.1f} times what was spent, in the worst {worst:.1f} times; over all of them {sums}."
    )
    assert len(wrong) > 25
    assert middle > 2


def of_sfm(charges: Sequence[Charge]) -> Decimal:
    return exact_sum(charge.amount for charge in charges if charge.product == "sfm")


def _push(layout: str, month: Month, day: date) -> NamedFile:
    """Return the complete statement that is pushed that day, into a folder of its own where its name does not tell the day."""
    seen, folder = month.until(day), f"{day:%Y%m%d}"
    match layout:
        case "detail":
            return pushed_detail(seen, day)
        case "instance detail":
            return instance_detail(seen, f"{folder}/{ACCOUNT}_InstanceDetailMonthly_202609.csv")
        case _:
            return focus(seen, f"{folder}/{ACCOUNT}_focus_202609.csv")


@pytest.mark.parametrize("layout", ["detail", "instance detail", "focus"])
@pytest.mark.parametrize("seed", range(6))
def test_thirty_pushes_of_a_month_to_date_say_what_the_last_one_says(layout: str, seed: int) -> None:
    dice = dice_of(seed)
    month = a_month(dice, days=12)
    pushes = [_push(layout, month, day) for day in sorted(month.views)]
    for order in (pushes, pushes[::-1], shuffled(pushes, dice)):
        assert entered(order).total("sfm") == of_sfm(month.final)


def _told(layout: str, month: Month, day: date) -> NamedFile:
    """Return what is exported, or pushed of a day."""
    seen, fresh, stamp = month.until(day), month.generated_on(day), f"{day:%Y%m%d}120000"
    match layout:
        case "detail":
            return detail(seen, stamp)
        case "english":
            return english(seen, stamp)
        case "summary":
            return summary(seen, stamp)
        case "daily pushes":
            return legacy(fresh, f"{ACCOUNT}_BillingItemDetail_{day:%Y%m%d}.csv")
        case _:
            return instance_detail(fresh, f"{ACCOUNT}_InstanceDetail_{day:%Y%m%d}.csv")


@pytest.mark.parametrize("layout", ["detail", "english", "summary", "daily pushes", "daily pushes without keys"])
@pytest.mark.parametrize("seed", range(6))
def test_exports_and_daily_pushes_add_up_to_all_that_was_ever_told(layout: str, seed: int) -> None:
    dice = dice_of(seed)
    month = unchanging(a_month(dice, days=12, may_vanish=False))
    files = [_told(layout, month, day) for day in sorted(month.views)]
    for order in (files, files[::-1], shuffled(files, dice)):
        assert entered(order).total("sfm") == of_sfm(month.final)


def unchanging(month: Month) -> Month:
    """Return the month as if every charge had come as it is in the end: daily pushes never tell of a change."""
    final = {charge.number: charge for charge in month.final}
    return Month({day: tuple(final[charge.number] for charge in seen) for day, seen in month.views.items()})


def test_answers_of_the_api_replace_the_day_they_are_about_and_no_other() -> None:
    first, second = date(2026, 9, 1), date(2026, 9, 2)
    before = [Charge(1, first, Decimal(5)), Charge(2, first, Decimal(7))]
    files = [
        answers(before, f"{ACCOUNT}_DescribeInstanceBill_20260901_20260902080000.json"),
        answers([Charge(3, second, Decimal(11))], f"{ACCOUNT}_DescribeInstanceBill_20260902_20260903080000.json"),
        answers(before[:1], f"{ACCOUNT}_DescribeInstanceBill_20260901_20260904080000.json"),
    ]
    for order in (files, files[::-1], [files[2], files[0], files[1], files[0]]):
        assert entered(order).total() == 16


def test_a_shorter_complete_export_leaves_the_days_that_it_does_not_speak_of() -> None:
    charges = [Charge(day, date(2026, 9, day), Decimal(10)) for day in range(1, 10)]
    corrected = [replace(charges[0], amount=Decimal(7)), *charges[2:5]]
    files = [focus(charges, "20260910/focus.csv"), focus(corrected, "20260912/focus.csv")]
    for order in (files, files[::-1]):
        assert entered(order).total() == 77
    assert month_to_date(files, PLAIN) == entered(files).sums()


def test_complete_exports_of_two_owners_leave_each_other_alone_and_a_later_one_of_both_replaces_them() -> None:
    charges = [
        Charge(day, date(2026, 9, day), Decimal(10) ** day, owner="alpha" if day % 2 else "beta") for day in (1, 2, 3, 4)
    ]
    of_alpha, of_beta = (
        focus([one for one in charges if one.owner == owner], f"{owner}/focus.csv") for owner in ("alpha", "beta")
    )
    archive = "focus.zip", zipped(dict([of_alpha, of_beta]))
    both = focus([charges[0], charges[3]], "20260930/focus.csv")
    for order in ([of_alpha, of_beta], [of_beta, of_alpha], [archive], [of_alpha, archive]):
        assert entered(order).total() == 11110
    for order in ([of_alpha, of_beta, both], [both, of_beta, of_alpha], [of_beta, both, archive]):
        assert entered(order).total() == 10010
    assert month_to_date([of_alpha, both, of_beta], PLAIN) == entered([of_alpha, both, of_beta]).sums()


def test_of_equally_new_bills_a_line_that_has_moved_counts_on_the_later_day_in_any_order() -> None:
    days = [
        Charge(1, date(2026, 9, 5), Decimal(3)),
        Charge(1, date(2026, 9, 12), Decimal(3)),
        Charge(2, date(2026, 9, 20), Decimal(1)),
    ]
    files = [detail([charge], "20260921120000") for charge in days]
    for order in permutations(files):
        ledger = entered(order)
        assert [key.day.day for key in sorted(ledger.days)] == [12, 20]
        assert ledger.sums_by_day() == spend_by_day(order, PLAIN)


def test_the_only_line_of_a_day_that_has_moved_is_back_where_the_bill_that_moved_it_is_removed(
    database: Database, tmp_path: Path, shared_reader: ReadingProcess
) -> None:
    days = [Charge(1, date(2026, 9, 5), Decimal(3)), Charge(1, date(2026, 9, 12), Decimal(3))]
    files = [detail([charge], f"202609{21 + at}120000") for at, charge in enumerate(days)]
    in_memory, real = entered(files), RealLedger(database, shared_reader, tmp_path, HINTS)
    in_memory.remove(in_memory.statements[-1].identity)
    assert in_memory.sums_by_day() == spend_by_day(files[:1], PLAIN)
    for name, content in files:
        real.enter(name, content)
    # Another bill of the month, and the day is still known to be empty for the other's sake.
    real.enter(*detail([Charge(2, date(2026, 9, 20), Decimal(1))], "20260923120000"))
    assert [one.day.day for one in real.ledger.totals(BillingPeriod(2026, 9))] == [12, 20]
    series = real.ledger.held([key.month for key in in_memory.days])
    assert {key.day.day for key in series.linked} == {5, 12}


def test_a_month_as_a_whole_and_its_days_are_the_same_money() -> None:
    charges = [Charge(day, date(2026, 9, day), Decimal(day)) for day in (1, 2, 3)]
    days = [answers([charge], f"day{charge.number}.json") for charge in charges]
    name, content = answers(charges, "month.json")
    month = name, re.sub(rb'"BillingDate": "[^"]*", ', b"", content)
    for order in ([month, *days], [*days, month], [days[0], month, *days[1:]]):
        assert entered(order).total() == 6
    assert entered([days[0], month]).total() == 6
    assert month_to_date([month, *days[:2]], PLAIN) == entered([*days[:2], month]).sums()


def _under_two_names() -> list[NamedFile]:
    """Return an export with a charge that vanishes, the complete push without it, and exports of the same bytes as the push."""
    first, second, third = (Charge(day, date(2026, 9, day), Decimal(10) ** day) for day in (1, 2, 4))
    before = detail([first, second], "20260903235900")
    push, content = pushed_detail([first, third], date(2026, 9, 4))
    earlier, later = (f"{ACCOUNT}-{stamp}_consumedetailbillv2.csv" for stamp in ("20260903120000", "20260905113901"))
    return [before, (push, content), (earlier, content), (later, content)]


@pytest.mark.parametrize("seed", range(12))
def test_the_same_bytes_under_names_that_mean_several_things_are_one_truth_in_any_order(
    seed: int, empty_ledger: Path, tmp_path: Path, shared_reader: ReadingProcess
) -> None:
    files = _under_two_names()
    assert _of_september(files) == 10_010
    ledger = RealLedger(open_database(str(shutil.copy(empty_ledger, tmp_path / "ledger.db"))), shared_reader, tmp_path, HINTS)
    for name, content in shuffled(files, dice_of(seed)):
        ledger.enter(name, content)
    assert ledger.by_workspace(BillingPeriod(2026, 9)) == {"llm-a": 10_010}
    # What is on record suffices to build it again.
    contents = {sha256(content).hexdigest(): content for _, content in files}
    rebuilt = [(one.name, contents[one.digest]) for one in ledger.ledger.statements()]
    ledger.database.close()
    assert _of_september(rebuilt) == 10_010


def test_what_a_bill_takes_away_is_remarked_and_a_trifle_is_not(
    empty_ledger: Path, tmp_path: Path, shared_reader: ReadingProcess
) -> None:
    ledger = RealLedger(open_database(str(shutil.copy(empty_ledger, tmp_path / "ledger.db"))), shared_reader, tmp_path, HINTS)
    charges = [Charge(day, date(2026, 9, day), Decimal(amount)) for day, amount in ((1, "5"), (2, "7.5"), (3, "0.9"), (4, "2"))]
    assert ledger.enter(*focus(charges, "20260905/focus.csv")).remarks == ()
    receipt = ledger.enter(*focus([charges[0], *charges[2:]], "20260906/focus.csv"))
    assert (receipt.gone, receipt.lost_lines) == (1, 1)
    (remark,) = receipt.remarks
    assert remark.startswith("1 line of CNY 7.50 no longer counts: this newer bill does not contain it")
    # Less than one unit, and a charge that was corrected on its day, go without.
    assert ledger.enter(*focus([charges[0], charges[3]], "20260907/focus.csv")).remarks == ()
    corrected = [replace(charges[0], amount=Decimal("4.2")), charges[3]]
    assert ledger.enter(*focus(corrected, "20260908/focus.csv")).remarks == ()
    # A line that has moved to another day is not lost.
    name, content = detail([Charge(1, date(2026, 9, 1), Decimal(9))], "20260910120000")
    ledger.enter(name, content)
    moved = ledger.enter(*detail([Charge(1, date(2026, 9, 2), Decimal(9))], "20260911120000"))
    assert (moved.new, moved.gone, moved.remarks) == (1, 1, ())
    ledger.database.close()


def _of_september(files: Sequence[NamedFile]) -> Decimal:
    told = month_to_date(files, PLAIN, ["sfm"])
    return exact_sum(amount for key, amount in told.items() if key[1:3] == (SEPTEMBER, "sfm"))
