"""Bill files that end too early, at any byte: each waits, is refused, or is a smaller statement that the whole one replaces.

`pytest -s` prints how many bytes of each form do what.
"""

from __future__ import annotations

import gzip
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from csv import reader as csv_reader
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from random import Random

import pytest

from bill_builder import ACCOUNT
from drop_folder import Inbox
from many_layouts import Charge, NamedFile, detail, english, focus, instance_detail, legacy, pushed_detail
from oracle import Hints, Sums, month_to_date
from small_ledger import SmallLedger, read_here
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, ReadingHints
from spendwatch.sources.files.naming import endings
from spendwatch.sources.files.originals import ends_like
from verdicts import Bench
from xlsx_builder import a_spreadsheet
from zip_builder import a_member, a_zip

FOLDER = Path(__file__).parent.parent / "data" / "bills"
CURRENCIES = {ACCOUNT: "CNY", "5000000000000003": "USD"}
HINTS = ReadingHints({AccountId(account): Currency(code) for account, code in CURRENCIES.items()}, account=AccountId(ACCOUNT))
PLAIN = Hints(CURRENCIES, ACCOUNT)
BILLS = sorted(path.name for path in FOLDER.iterdir() if path.stat().st_size)
WHOLE = f"{ACCOUNT}_BillingItemDetail_202608.csv"
PAGES = ("api_describe_instance_bill_page1.json", "api_describe_instance_bill_page2.json")
NO_BILLS = {name for name in BILLS if name.startswith("api_") and name not in PAGES}


class Fate(StrEnum):
    """What becomes of a file that ends there."""

    WAITS = "waits"
    """The drop folder waits for the rest."""
    REFUSED = "refused"
    SMALLER = "smaller"
    """It is a statement with fewer lines."""
    COMPLETE = "complete"
    """Nothing that counts is missing."""


@dataclass(frozen=True)
class Form:
    """A file, and the bills that it is made of, as plain text."""

    file: NamedFile
    bills: tuple[str, ...]


def sample(name: str) -> NamedFile:
    return name, (FOLDER / name).read_bytes()


def plainly(name: str) -> NamedFile:
    """Return a sample as the oracle can read it."""
    _, content = sample(name)
    return name, content.decode("gb18030").encode() if "gb18030" in name else content


def _forms() -> Iterator[tuple[str, Form]]:
    yield from ((name, Form(sample(name), (name,))) for name in BILLS)
    name, content = sample(WHOLE)
    stem, text = name[:-4], content.decode("utf-8-sig")
    packed = {
        f"{name}.gz": gzip.compress(content, mtime=0),
        f"{stem}.zip": a_zip(a_member(f"bills/{name}", content)),
        f"{stem}.xlsx": a_spreadsheet({"账单明细": list(csv_reader(io.StringIO(text)))}),
    }
    yield from ((packed_name, Form((packed_name, bytes_), (name,))) for packed_name, bytes_ in packed.items())
    yield "GB18030", Form((name, text.encode("gb18030")), (name,))
    yield "UTF-16", Form((name, b"\xff\xfe" + text.encode("utf-16-le")), (name,))
    lines = b"".join(b"".join(sample(page)[1].splitlines()) + b"\n" for page in PAGES)
    yield "a page a line", Form(("answers.json", lines), PAGES)


FORMS: Mapping[str, Form] = dict(_forms())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), HINTS)


@cache
def everything() -> Sums:
    """Return what all samples say together."""
    return month_to_date([plainly(name) for name in BILLS if name not in NO_BILLS], PLAIN)


@cache
def others(bills: tuple[str, ...]) -> SmallLedger:
    """Return a ledger of all samples but these."""
    return read_here([sample(name) for name in BILLS if name not in {*bills, *NO_BILLS}], hints=HINTS)


def waiting(name: str, content: bytes, folder: Path) -> Iterator[bool]:
    """Yield for each length, the longest first, whether the drop folder waits for more of a file that is so long."""
    path = folder / "file"
    path.write_bytes(content)
    expected = endings(name)
    file = os.open(path, os.O_RDWR)
    try:
        for length in range(len(content), 0, -1):
            os.ftruncate(file, length)
            yield bool(expected) and not ends_like(file, expected)
    finally:
        os.close(file)


def fate(form: Form, length: int, bench: Bench) -> Fate:
    """Return what the reader makes of the file that ends there; a smaller statement must leave nothing wrong behind."""
    name, content = form.file
    cut = content[:length]
    found = bench.sums(name, cut)
    if isinstance(found, UnreadableBillError):
        return Fate.REFUSED
    ledger = _joined(form.bills)
    assert bench.bill
    ledger.enter_bill(bench.bill)
    is_complete = ledger.sums() == everything() and found == bench.sums(name, content)
    if not is_complete:
        ledger.enter_here(name, content, hints=HINTS)
        assert ledger.sums() == everything(), f"{name} at byte {length}"
    return Fate.COMPLETE if is_complete else Fate.SMALLER


def _joined(bills: tuple[str, ...]) -> SmallLedger:
    base = others(bills)
    return SmallLedger(base.statements, dict(base.contents), dict(base.ids), dict(base.days))


def cuts(form: Form, folder: Path) -> Iterator[tuple[int, bool]]:
    """Yield each length but the whole, and whether the folder waits there."""
    name, content = form.file
    lengths = range(len(content), 0, -1)
    found = zip(lengths, waiting(name, content, folder), strict=True)
    return ((length, waits) for length, waits in found if length < len(content))


def row_ends(content: bytes) -> int:
    """Return how many lines of a csv end before the last one, the header's included."""
    rows = list(csv_reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    return len([row for row in rows if row]) - 1


def test_the_folder_itself_waits_just_there(tmp_path: Path) -> None:
    for number, name in enumerate((f"{ACCOUNT}_BillingItemDetail_20260802.csv", "api_get_fund_account_available_amount.json")):
        content, place = sample(name)[1], tmp_path / str(number)
        place.mkdir()
        inbox = Inbox(place, recursive=True)
        for length in range(1, len(content)):
            inbox.drop(f"{length}/{name}").write_bytes(content[:length])
        expected = {length for length, waits in cuts(Form((name, content), (name,)), place) if not waits}
        assert {int(file.name.partition("/")[0]) for file in inbox.settled()} == expected
        patient = inbox.look_after(10 * inbox.settle.total_seconds())
        assert len(patient) == min(1000, len(content) - 1 - len(expected))
        for file in patient:
            inbox.source.leave(file)  # each is open until then


@pytest.mark.parametrize("label", FORMS)
def test_what_the_folder_gives_at_once_is_refused_or_replaced_by_the_rest(label: str, bench: Bench, tmp_path: Path) -> None:
    form = FORMS[label]
    _, content = form.file
    fates = Counter(Fate.WAITS if waits else fate(form, length, bench) for length, waits in cuts(form, tmp_path))
    print(f"{label:58} {len(content):6} bytes:", ", ".join(f"{fates[one]:5} {one}" for one in Fate))
    if form.file[0].endswith(".csv"):
        assert fates[Fate.SMALLER] + fates[Fate.COMPLETE] == row_ends(plainly(form.bills[0])[1])
        # A blank line in front is none of a bill, and in UTF-16 a line break can be cut in two.
        assert fates[Fate.REFUSED] == {"edge_dirty_legacy_zh.csv": 1, "UTF-16": content.count(b"\n\0")}.get(label, 0)
    elif label != "a page a line":
        assert not fates[Fate.SMALLER]


def test_a_file_of_a_page_a_line_counts_the_pages_that_are_there(bench: Bench) -> None:
    form = FORMS["a page a line"]
    _, content = form.file
    assert fate(form, content.index(b"\n") + 1, bench) is Fate.SMALLER
    assert fate(form, content.index(b"\n"), bench) is Fate.SMALLER
    assert fate(form, len(content) - 1, bench) is Fate.COMPLETE


_DAY = date(2026, 9, 3)
_CHARGES = [Charge(number, _DAY, Decimal(amount)) for number, amount in enumerate((5, 4, -3, 2))]
"""All for the same thing: where no id tells them apart, only together are they known again."""
_STAMP = "20260904120000"
UNKEYED = f"{ACCOUNT}-{_STAMP}_instanceconsumeday.csv"


@pytest.mark.parametrize(
    "whole",
    [
        detail(_CHARGES, _STAMP),
        pushed_detail(_CHARGES, _DAY),
        english(_CHARGES, _STAMP),
        ("bill.csv", english(_CHARGES, _STAMP)[1]),
        legacy(_CHARGES, UNKEYED),
        legacy(_CHARGES, UNKEYED, keyed=False),
        legacy(_CHARGES, f"{ACCOUNT}_BillingItemDetail_20260903.csv", keyed=False),
        instance_detail(_CHARGES, f"{ACCOUNT}_InstanceDetail_20260903.csv"),
        instance_detail(_CHARGES, "bill.csv"),
        focus(_CHARGES, f"20260903/{ACCOUNT}_focus_202609.csv"),
    ],
)
def test_a_file_cut_off_before_a_refund_counts_no_more_than_the_whole_once_that_is_there(whole: NamedFile) -> None:
    name, content = whole
    lines = content.splitlines(keepends=True)
    for length in range(1, len(lines)):
        cut = name, b"".join(lines[:length])
        for files in ([cut, whole], [whole, cut], [cut, whole, cut]):
            assert read_here(files, hints=HINTS).total() == 8


def _is_looked_at(length: int, size: int, phase: int) -> bool:
    return length < 64 or length > size - 64 or length % 16 == phase


def _when_patience_is_over(content: bytes, length: int) -> set[Fate]:
    # Half a line break of Windows is one, too: the line before it is whole, if there is one.
    ends_line = content[length - 1 : length + 1] == b"\r\n" and content[:length].strip(b"\xef\xbb\xbf\r\n")
    return {Fate.SMALLER, Fate.COMPLETE} if ends_line else {Fate.REFUSED}


@pytest.mark.parametrize("label", FORMS)
def test_what_the_folder_would_wait_for_is_refused_when_its_patience_is_over(label: str, bench: Bench, tmp_path: Path) -> None:
    form = FORMS[label]
    _, content = form.file
    phase = Random(label).randrange(16)  # noqa: S311 -- the same bytes every time
    for length, waits in cuts(form, tmp_path):
        if waits and _is_looked_at(length, len(content), phase):
            assert fate(form, length, bench) in _when_patience_is_over(content, length), length


@pytest.mark.long
@pytest.mark.parametrize("label", FORMS)
def test_at_no_byte_at_all_is_taken_what_the_folder_would_wait_for(label: str, bench: Bench, tmp_path: Path) -> None:
    form = FORMS[label]
    for length, waits in cuts(form, tmp_path):
        if waits:
            assert fate(form, length, bench) in _when_patience_is_over(form.file[1], length), length
