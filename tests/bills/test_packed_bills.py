"""Bills that come packed, in parts, in other encodings: entered, they say what they say plainly."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from bill_builder import ACCOUNT, a_bill, a_line
from many_layouts import Charge, NamedFile, a_month, answers, every_file, focus, instance_detail, legacy
from oracle import Hints, month_to_date
from small_ledger import SmallLedger, read_here
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.period import PROVIDER_ZONE
from spendwatch.domain.statement import AccountId, Kind, ReadingHints
from xlsx_builder import a_spreadsheet
from zip_builder import a_member, a_zip

HINTS = ReadingHints({AccountId(ACCOUNT): Currency("CNY")})
PLAIN = Hints({ACCOUNT: "CNY"})
DATA = Path(__file__).parent.parent / "data" / "bills"
DAILY = [f"{ACCOUNT}_BillingItemDetail_2026080{day}.csv" for day in (2, 3)]
DAY = date(2026, 9, 1)


def entered(*files: NamedFile) -> SmallLedger:
    return read_here(files, hints=HINTS)


def zipped(*files: NamedFile) -> bytes:
    return a_zip(*(a_member(name, content) for name, content in files))


def sample(name: str) -> NamedFile:
    return name, (DATA / name).read_bytes()


def in_parts(file: NamedFile, dice: Random, most: int = 4) -> list[NamedFile]:
    """Return the table cut into numbered parts, each with the header."""
    name, content = file
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    bounds = sorted(dice.randrange(len(rows) + 1) for _ in range(dice.randrange(most)))
    cuts = zip([0, *bounds], [*bounds, len(rows)], strict=True)
    return [(f"{name[:-4]}_{number}.csv", _table([header, *rows[a:b]])) for number, (a, b) in enumerate(cuts, start=1)]


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def wrapped(file: NamedFile, dice: Random) -> NamedFile:
    """Return the file in some form in which the console, a push or a person may hand it on."""
    name, content = file
    stem = name.rpartition(".")[0]
    text = content.decode("utf-8-sig")
    forms = [
        file,
        (f"{name}.gz", gzip.compress(content)),
        (f"{stem}.zip", zipped((name, content))),
        (f"{stem}.zip", zipped((f"a/b/{name.rpartition('/')[2]}", content))),
        (name, text.encode("utf-16")),
    ]
    if name.endswith(".csv"):
        rows = list(csv.reader(io.StringIO(text)))
        forms += [
            (name, text.encode("gb18030")),
            (name, text.replace("\n", "\r\n").encode()),
            (f"{stem}.xlsx", a_spreadsheet({"Sheet1": rows})),
        ]
    return dice.choice(forms)


@pytest.mark.parametrize("seed", range(25))
def test_random_months_in_random_wrappings_equal_the_oracle(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 -- the same months every time
    files = every_file(a_month(dice), dice)
    files = dice.sample(files, min(len(files), 12))
    wrappings = [wrapped(file, dice) for file in files]
    dice.shuffle(wrappings)
    assert entered(*wrappings, *wrappings[:2]).sums() == month_to_date(files, PLAIN)


@pytest.mark.parametrize("seed", range(25))
def test_a_statement_in_parts_says_what_it_says_in_one_piece(seed: int) -> None:
    """Also where lines have no ids, and where the next export cuts the lines up otherwise."""
    dice = Random(seed)  # noqa: S311 -- the same months every time
    exports = [file for file in every_file(a_month(dice, most=9), dice) if file[0].startswith(f"{ACCOUNT}-2026")]
    whole = dice.sample(exports, 6)
    files: list[NamedFile] = []
    for file in whole:
        parts = in_parts(file, dice)
        files += parts if dice.random() < 0.5 else [(f"{file[0][:-4]}.zip", zipped(*parts))]
    dice.shuffle(files)
    assert entered(*files, *files[:3]).sums() == month_to_date(whole, PLAIN)


@pytest.mark.parametrize("seed", range(10))
def test_a_file_beside_numbered_parts_is_one_more_of_them_or_the_whole_under_another_name(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 -- the same months every time
    exports = [file for file in every_file(a_month(dice, most=9), dice) if file[0].startswith(f"{ACCOUNT}-2026")]
    for whole in dice.sample(exports, 4):
        name, content = whole
        parts = in_parts(whole, dice)
        said = month_to_date([whole], PLAIN)
        for files in ([whole, *parts], [*parts, whole], [*parts[1:], whole, parts[0]], [(name, parts[0][1]), *parts[1:]]):
            assert entered(*files).sums() == said
        changed = f"{name[:-4]}_9.csv", content.replace(b"\n", b"\r\n")
        assert entered(whole, changed).sums() == entered(changed, whole).sums() == said


def test_a_zip_of_several_statements_is_each_of_them() -> None:
    members = [*map(sample, DAILY), sample(f"{ACCOUNT}_BillingItemDetail_202608.csv")]
    ledger = entered(("august.zip", zipped(*members)))
    assert (ledger.total(), ledger.lines) == (Decimal("3.31204"), 5)
    assert ledger.sums() == entered(*members).sums()
    assert ledger.digests == entered(*members).digests


def test_members_that_say_the_same_to_the_letter_count_once() -> None:
    name, content = a_bill([a_line(amount="1.5"), a_line(amount="2")])
    statement = SmallLedger().enter_here("x.zip", zipped((name, content), (f"copy of {name}", content)))
    assert statement.lines == 2
    assert "1 member of the archive is exactly the same as another one; one of each counts" in statement.remarks


def test_the_name_of_the_archive_tells_what_its_members_names_do_not() -> None:
    charges = [Charge(1, DAY, Decimal(5)), Charge(2, DAY, Decimal(5))]
    _, content = legacy(charges, "", keyed=False)
    archive = zipped(("bills/明细.csv", content))
    statement = SmallLedger().enter_here(f"{ACCOUNT}_BillingItemDetail_20260901.zip", archive)
    assert (statement.kind, statement.exported_at is not None) == (Kind.DELTA, True)
    _, content = focus(charges[:1], "")
    statement = SmallLedger().enter_here(f"20260902/{ACCOUNT}_focus_202609.zip", zipped(("1.csv", content)))
    assert statement.kind is Kind.SNAPSHOT


def test_parts_of_a_complete_statement_take_away_what_none_of_them_has() -> None:
    first = [Charge(number, DAY, Decimal(number)) for number in (1, 2, 4, 8)]
    older = focus(first, f"{ACCOUNT}-20260902080000_focus_202609.csv")
    newer = focus(first[1:], f"{ACCOUNT}-20260903080000_focus_202609.csv")
    parts = in_parts(newer, Random(3))  # noqa: S311 -- the same cuts every time
    assert len(parts) > 1
    for files in ([older, *parts], [*parts, older], [(f"{newer[0][:-4]}.zip", zipped(*parts)), older]):
        assert entered(*files).total() == 14


def test_a_refusal_names_the_member_of_the_archive_that_it_is_about() -> None:
    name, content = a_bill([a_line(amount="1")])
    _, bad = a_bill([a_line(amount="one")])
    with pytest.raises(UnreadableBillError, match=r"bad\.csv': not an amount: 'one'") as refused:
        SmallLedger().enter_here(
            "x.zip", zipped((name, content), (f"{ACCOUNT}-20260916080000_consumedetailbillv2_bad.csv", bad))
        )
    assert refused.value.refusals[0].line == 2
    with pytest.raises(UnreadableBillError, match=r"b\.csv': the header matches no known layout"):
        SmallLedger().enter_here("x.zip", zipped((name, content), ("b.csv", b"a,b,c,d,e,f\n1,2,3,4,5,6\n")))
    with pytest.raises(UnreadableBillError, match=r"c\.json': not valid JSON"):
        SmallLedger().enter_here("x.zip", zipped((name, content), ("c.json", b"[")))


def test_the_only_member_of_an_archive_is_as_good_as_the_file_itself() -> None:
    name, content = a_bill([a_line(amount="one")])
    with pytest.raises(UnreadableBillError, match=r"^line 2, column"):
        SmallLedger().enter_here("x.zip", zipped((name, content)))


def test_answers_that_say_that_a_day_has_become_empty_take_its_lines_away() -> None:
    charges = [Charge(1, DAY, Decimal(5)), Charge(2, DAY, Decimal(7))]
    name = f"{ACCOUNT}_DescribeInstanceBill_20260901_2026090"
    told = answers(charges, f"{name}2080000.json")
    data = f'{{"AccountID": "{ACCOUNT}", "BillingCycle": "2026-09", "TotalCount": 0, "NextToken": "", "Items": []}}'
    empty = f"{name}3080000.json", f'[{{"Code": "Success", "Success": true, "Data": {data}}}]'.encode()
    again = answers(charges[:1], f"{name}4080000.json")
    for files in ([told, empty], [empty, told], [told, empty, told]):
        assert entered(*files).total() == 0
    for files in ([told, empty, again], [again, empty, told], [empty, again]):
        assert entered(*files).total() == 5
    other = answers([Charge(3, date(2026, 9, 2), Decimal(1))], f"{ACCOUNT}_DescribeInstanceBill_20260902_20260903080000.json")
    assert entered(told, other, empty).total() == 1
    stranger = empty[0], empty[1].replace(ACCOUNT.encode(), b"9999999999999999")
    with pytest.raises(UnreadableBillError, match="a bill of account 9999999999999999; configured are"):
        entered(stranger)


def _uncut(number: int, day: int, amount: str) -> Charge:
    """Return a charge for the same thing as all others of its day."""
    return Charge(number, date(2026, 9, day), Decimal(amount))


_UNDATED: list[Callable[[Sequence[Charge], str], NamedFile]] = [
    lambda charges, part: legacy(charges, f"{ACCOUNT}_BillingItemDetailMonthly_202609{part}.csv", keyed=False),
    lambda charges, part: focus(charges, f"{ACCOUNT}_focus_202609{part}.csv"),
    lambda charges, part: instance_detail(charges, f"{ACCOUNT}_InstanceDetailMonthly_202609{part}.csv"),
]


@pytest.mark.parametrize("written", _UNDATED, ids=["billingitemdetail", "focus", "instancedetail"])
def test_parts_without_a_time_add_up_also_where_the_cut_goes_through_what_is_known_together(
    written: Callable[[Sequence[Charge], str], NamedFile],
) -> None:
    first = written([_uncut(1, 10, "1"), _uncut(2, 12, "3")], "_1")
    second = written([_uncut(3, 12, "5"), _uncut(4, 20, "1")], "_2")
    zips = [(name.replace(".csv", ".zip"), zipped((name, content))) for name, content in (first, second)]
    for files in ((first, second), (second, first), tuple(zips), (zips[1], first, zips[0], second)):
        assert entered(*files).total() == Decimal(10)
    assert month_to_date([first, second], PLAIN) == entered(second, first).sums()


@pytest.mark.parametrize("written", _UNDATED, ids=["billingitemdetail", "focus", "instancedetail"])
def test_the_next_push_in_parts_without_a_time_may_be_cut_elsewhere(
    written: Callable[[Sequence[Charge], str], NamedFile],
) -> None:
    lines = [_uncut(1, 10, "1"), _uncut(2, 12, "3"), _uncut(3, 12, "5"), _uncut(4, 20, "1"), _uncut(5, 21, "2")]
    before = [written(lines[:2], "_1"), written(lines[2:4], "_2")]
    after = [written(lines[:1], "_1"), written(lines[1:], "_2")]
    for files in permutations([*before, *after]):
        assert entered(*files).sums() == month_to_date(files, PLAIN)
        if all(files.index(old) < files.index(new) for old, new in zip(before, after, strict=True)):
            assert entered(*files).total() == Decimal(12)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_numbered_parts_of_an_export_are_overwritten_under_the_same_names(suffix: str) -> None:
    """A charge was withdrawn meanwhile, and the cut between the parts has moved."""
    lines = [_uncut(1, 3, "100"), _uncut(2, 4, "50"), _uncut(3, 4, "9.99"), _uncut(4, 4, "7.25"), _uncut(5, 5, "2.75")]

    def part(number: int, charges: Sequence[Charge]) -> NamedFile:
        name, content = focus(charges, f"data/BILLING_PERIOD=2026-09/corp-focus-0000{number}.csv{suffix}")
        return name, gzip.compress(content, mtime=0) if suffix else content

    before = [part(1, lines[:3]), part(2, lines[3:])]
    after = [part(1, [*lines[:2], lines[3]]), part(2, [lines[4], _uncut(6, 6, "8")])]
    for files in ([*before, *after], [*before[::-1], *after[::-1]], [*before, *after, *before, *after]):
        assert entered(*files).total() == Decimal(168)
    plainly = [
        (name.removesuffix(".gz"), content if not suffix else gzip.decompress(content)) for name, content in (*before, *after)
    ]
    assert month_to_date(plainly, PLAIN) == entered(*before, *after).sums()


def test_the_parts_of_one_run_add_up_and_a_later_run_takes_their_place() -> None:
    charges = [_uncut(number, number, f"{number}") for number in range(1, 7)]
    runs = [
        [focus(some, f"corp/20260901-20260930/{run}/guid/part_{at}_0001.csv") for at, some in enumerate(parts)]
        for run, parts in (("202609150307", (charges[:3], charges[3:])), ("202609150907", (charges[:2], charges[3:])))
    ]
    for files in ([*runs[0]], [*runs[0][::-1]]):
        assert entered(*files).total() == Decimal(21)
    assert entered(*runs[1]).total() == Decimal(18)


@pytest.mark.parametrize("seed", range(60))
def test_months_in_parts_without_a_time_equal_the_oracle(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 -- the same months every time
    written = dice.choice(_UNDATED)
    charges = [_uncut(number, dice.randint(1, 9), f"{dice.randint(1, 10**6)}e-4") for number in range(dice.randint(2, 30))]
    charges = [replace(one, amount=one.amount.quantize(Decimal("0.0001"))) for one in sorted(charges, key=lambda one: one.day)]
    pushes = []
    for until in (len(charges), dice.randint(1, len(charges))):
        cut = dice.randint(0, until)
        parts = enumerate((charges[:cut], charges[cut:until]), 1)
        pushes.append([written(part, f"_{number}") for number, part in parts if part])
    for files in (pushes[0] * 2, pushes[0] + pushes[1]):
        dice.shuffle(files)
        assert entered(*files).sums() == month_to_date(files, PLAIN)
    assert entered(*pushes[0]).total() == sum(one.amount for one in charges)


@pytest.mark.parametrize(
    ("one", "other", "counts"), [("42", "46", "48"), ("46", "-46", "48"), ("-3", "-2", "0"), ("-3", "1", "3")]
)
def test_of_two_complete_files_that_nothing_tells_apart_in_age_the_dearer_one_counts(one: str, other: str, counts: str) -> None:
    name = f"{ACCOUNT}_focus_202609.csv"
    files = [focus([_uncut(1, 29, "2"), _uncut(2, 30, amount)], name) for amount in (one, other)]
    for order in (files, files[::-1]):
        assert entered(*order).total() == Decimal(counts)
    assert month_to_date(files, PLAIN) == entered(*files).sums()


def test_what_is_told_by_whole_days_reaches_as_far_as_the_day_that_is_told_last() -> None:
    name, content = focus([_uncut(1, 14, "2")], f"{ACCOUNT}_focus_202609.csv")
    hourly = content.replace(b"2026-09-15T00:00:00Z", b"2026-09-14T10:00:00Z")
    for told, day, hour in ((content, 14, 0), (hourly, 14, 10)):
        assert SmallLedger().enter_here(name, told).data_until == datetime(2026, 9, day, hour, tzinfo=PROVIDER_ZONE)
