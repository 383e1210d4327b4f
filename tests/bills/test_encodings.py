"""Whatever encoding a text bill comes in, it is read as what it says, or refused with the line; it is never garbled."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import random
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bill_builder import a_bill, a_line
from small_ledger import NO_HINTS, SmallLedger
from spendwatch.bills.unpacking import encodings
from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.encodings import HEAD, made_utf_8
from spendwatch.domain.errors import UnreadableBillError
from zip_builder import STORED, a_member, a_zip

HEADER = "标识信息/账单明细ID,产品信息/产品名称,应付信息/应付金额（含税）"
PLAIN_HEADER = "BillingDate,ProductName,PretaxAmount"
ROWS = "id-1,大模型服务平台百炼,1.25\nid-2,“通义千问”，€ 𠮷,2.50\n"
TEXT = f"{HEADER}\n{ROWS}"
ACCEPTED = "(accepted: UTF-8, UTF-16 with a byte-order mark, or GB18030)"
UNKNOWN = f"neither UTF-8 nor GB18030 with a known header {ACCEPTED}"
MIB = 1024 * 1024


def is_header(line: str) -> bool:
    return line in {HEADER, PLAIN_HEADER}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def made_utf8(content: bytes, place: Path) -> tuple[bytes, str]:
    """Return the content as UTF-8, and the remark; all that is written must be in the folder."""
    path, folder = place / "file", place / "folder"
    path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    try:
        found, remark = made_utf_8(path, folder, is_header)
        assert found == path or found.parent == folder
        return found.read_bytes(), remark
    finally:
        assert sorted(item.name for item in place.iterdir()) == ["file", "folder"]
        assert path.read_bytes() == content


def refusal(content: bytes, place: Path) -> str:
    with pytest.raises(UnreadableBillError) as refused:
        made_utf8(content, place)
    (one,) = refused.value.refusals
    return str(one)


def rows(count: int) -> str:
    """Return so many lines of a bill."""
    return a_bill([a_line(line_id=f"id-{n}") for n in range(count)])[1].decode("utf-8-sig").partition("\n")[2]


def reading(lines: str, wrong: bytes = b"") -> str:
    """Return why a bill in GB18030 with these lines, and something wrong behind them, is refused; empty if it is not."""
    name, bill = a_bill([])
    content = (bill.decode("utf-8-sig") + lines).encode("gb18030") + wrong
    try:
        SmallLedger().enter_here(name, content)
    except UnreadableBillError as refused:
        return str(refused.refusals[0])
    return ""


# -- UTF-8 --


@pytest.mark.parametrize(
    "content", [TEXT, f"\ufeff{TEXT}", f"\n \r\n{TEXT}", "no header\n", f"{PLAIN_HEADER}\nx,é,1\n", "", '{"a": "é"}']
)
def test_utf_8_stays_where_it_is(content: str, place: Path) -> None:
    assert made_utf8(content.encode(), place) == (content.encode(), "")
    assert not list((place / "folder").iterdir())


def test_a_character_that_the_end_of_the_head_cuts_in_two_does_no_harm(place: Path) -> None:
    for shift in range(4):
        content = (HEADER + "," * (HEAD - len(HEADER.encode()) - shift) + "𠮷" * 9 + "\n").encode()
        assert made_utf8(content, place) == (content, "")


def test_utf_8_with_a_wrong_byte_is_refused_with_its_line(place: Path) -> None:
    content = TEXT.encode() + b"id-3,\xff,1\n"
    assert refusal(content, place) == f"line 4: {UNKNOWN}"
    assert refusal(content[:-3] + b"\n" + TEXT.encode(), place) == f"line 4: {UNKNOWN}"


def test_utf_8_with_a_wrong_byte_and_a_header_of_plain_letters_is_not_taken_for_gb18030(place: Path) -> None:
    rows = ROWS.replace("“通义千问”", "通义千问").encode()
    content = f"{PLAIN_HEADER}\n".encode() + rows + "id-3,百炼,1\n".encode("gb18030")
    assert refusal(content, place) == f"line 4: not UTF-8, though most other lines are {ACCEPTED}"


def test_a_header_in_gb18030_above_lines_in_utf_8_is_refused(place: Path) -> None:
    content = f"{HEADER}\n".encode("gb18030") + "id-1,百炼,1.25\nid-2,千问,2\n".encode()
    assert refusal(content, place) == f"line 1: not UTF-8, though most other lines are {ACCEPTED}"


# -- GB18030 --


@pytest.mark.parametrize("start", ["", "\n", "\r\n \n", "\ufeff"])
def test_gb18030_is_known_by_the_header(start: str, place: Path) -> None:
    content = start + TEXT.replace("\n", "\r\n")
    assert made_utf8(content.encode("gb18030"), place) == (content.encode(), "the bill came as GB18030")


def test_gb18030_under_a_header_of_plain_letters_is_known_by_most_lines(place: Path) -> None:
    content = f"{PLAIN_HEADER}\n{ROWS}"
    assert made_utf8(content.encode("gb18030"), place) == (content.encode(), "the bill came as GB18030")


def test_what_merely_could_be_gb18030_is_refused(place: Path) -> None:
    assert refusal("编号,金额\n1,2\n".encode("gb18030"), place) == f"line 1: {UNKNOWN}"
    assert refusal("編號,金額\n1,2\n".encode("big5"), place) == f"line 1: {UNKNOWN}"
    assert refusal(TEXT.encode("cp932", "ignore"), place) == f"line 1: {UNKNOWN}"
    assert refusal(b"\x80\x80,\n", place) == f"line 1: {UNKNOWN}"


@pytest.mark.parametrize("wrong", [b"\xff", b"\x80", b"\xba,", b"\x81\x30\x81,", b"\xfe\x39\xfe\x39"])
def test_a_byte_that_is_wrong_later_in_gb18030_is_refused_with_its_line(wrong: bytes) -> None:
    lines = rows(2)
    assert reading(lines) == ""
    assert reading(lines, b"id-3," + wrong + b",1\n" + lines.encode("gb18030")) == f"line 4: not GB18030 {ACCEPTED}"
    assert reading(lines, b"id-3,\xba") == f"line 4: not GB18030 {ACCEPTED}"


def test_a_wrong_byte_in_the_last_of_many_pieces_is_refused_with_its_line() -> None:
    assert reading(rows(20_000), b"id-4,\xff,1\n") == f"line 20002: not GB18030 {ACCEPTED}"


@pytest.mark.parametrize("is_careful", [False, True])
def test_much_gb18030_is_the_same_as_little(monkeypatch: pytest.MonkeyPatch, is_careful: bool) -> None:  # noqa: FBT001 -- a case
    dice = random.Random(18030)  # noqa: S311 -- the same every time
    rare = "€𠮷ḿ︐龴\ue5e5\ue78dē\u0080é｢\U0010ffff"
    lines = [a_line(line_id=f"{n}", model="".join(dice.choices(rare, k=n % 9))) for n in range(5_000)]
    name, content = a_bill([*lines, a_line(amount="1,234.5")] if is_careful else lines)
    monkeypatch.setattr(encodings, "PIECE", 9_973)
    plain, ledger = SmallLedger(), SmallLedger()
    plain.enter_here(name, content)
    ledger.enter_here(name, content.decode("utf-8-sig").encode("gb18030"))
    assert ledger.digests == plain.digests


def test_a_long_line_is_read_up_to_a_limit() -> None:
    name, content = a_bill([a_line(tags="模型" * 2 * MIB)])
    SmallLedger().enter_here(name, content.decode("utf-8-sig").encode("gb18030"))
    assert reading("id-3," + "模型" * 9 * MIB) == "line 2: not valid CSV: field larger than field limit (16777216)"


# -- UTF-16 --


@pytest.mark.parametrize(("mark", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")])
def test_utf_16_is_known_by_its_mark(mark: bytes, encoding: str, place: Path) -> None:
    assert made_utf8(mark + TEXT.encode(encoding), place) == (TEXT.encode(), "the bill came as UTF-16")
    long = TEXT + "id-3,𠮷𠮷𠮷,1\n" * 200_000
    assert made_utf8(mark + long.encode(encoding), place)[0] == long.encode()


def test_much_text_takes_little_memory(place: Path) -> None:
    with (place / "file").open("wb") as file:
        file.write(TEXT.encode("utf-16"))
        for _ in range(150):
            file.write("id-3,大模型服务平台百炼,1.25\n".encode("utf-16-le") * 20_000)
    (place / "folder").mkdir()
    script = textwrap.dedent("""
        from pathlib import Path
        from spendwatch.bills.unpacking.encodings import made_utf_8
        made_utf_8(Path("file"), Path("folder"), lambda line: line.startswith("标识信息"))
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(line for line in status if line.startswith("VmHWM")).split()[1])
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=True)
    assert (place / "file").stat().st_size > 110 * MIB
    assert int(done.stdout) < 60 * 1024


@pytest.mark.parametrize("wrong", [b"\x00\xd8,\x00", b"\x00\xdc", b"\x00\xd8"])
def test_wrong_utf_16_is_refused_with_its_line(wrong: bytes, place: Path) -> None:
    start = codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")
    assert refusal(start + wrong, place) == f"line 4: not UTF-16 {ACCEPTED}"
    assert refusal(start + "x".encode("utf-16-le") * MIB + wrong, place) == f"line 4: not UTF-16 {ACCEPTED}"


def test_utf_16_that_is_cut_off_within_a_character_is_refused(place: Path) -> None:
    assert refusal(TEXT.encode("utf-16")[:-1], place) == f"line 3: not UTF-16 {ACCEPTED}"


# -- garbled headers --


def as_gb18030(text: str) -> str:
    return text.encode().decode("gb18030")


def as_western(text: str) -> str:
    """As browsers and spreadsheets do: Windows' Western encoding, with its five gaps filled."""
    return "".join(
        bytes((byte,)).decode("cp1252") if byte not in b"\x81\x8d\x8f\x90\x9d" else chr(byte) for byte in text.encode()
    )


def as_latin_1(text: str) -> str:
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("garble", [as_western, as_latin_1, as_gb18030])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n", "\ufeff \r\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_garbled_header_is_repaired(garble: Callable[[str], str], start: str, end: str, place: Path) -> None:
    content = start + garble(HEADER) + end + ROWS
    told = "the bill's header was garbled, its UTF-8 taken for another encoding"
    assert made_utf8(content.encode(), place) == ((start + HEADER + end + ROWS).encode(), told)


def test_a_header_that_was_garbled_together_with_its_byte_order_mark_is_repaired(place: Path) -> None:
    content = as_western(f"\ufeff{HEADER}") + f"\n{ROWS}"
    assert made_utf8(content.encode(), place)[0] == TEXT.encode()


def test_a_header_of_which_something_was_lost_is_left_to_the_reader(place: Path) -> None:
    content = f"{as_western(HEADER)[:-1]}?\n{ROWS}".encode()
    assert made_utf8(content, place) == (content, "")


# -- one bill in every wrapping --


def wrappings(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield the text in every form that a bill file may have."""
    encodings = {
        "utf-8": text.encode(),
        "marked utf-8": codecs.BOM_UTF8 + text.encode(),
        "utf-16": codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        "utf-16 the other way round": codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        "gb18030": text.encode("gb18030"),
    }
    for encoding, content in encodings.items():
        yield encoding, content
        yield f"{encoding} in gzip", gzip.compress(content)
        yield f"{encoding} in zip", a_zip(a_member("bill.csv", content))
        yield f"{encoding} in a folder of a zip", a_zip(a_member("x/", b""), a_member("x/bill.csv", content, method=STORED))


def unwrapped(content: bytes, place: Path) -> bytes:
    path = place / "file"
    path.write_bytes(content)
    (part,) = opened(path, name="bill.csv", folder=place).parts
    found, _ = made_utf_8(part.path, place, is_header)
    return found.read_bytes().removeprefix(codecs.BOM_UTF8)


def test_a_bill_says_the_same_in_every_wrapping() -> None:
    name, content = a_bill(
        [a_line(amount="1.25", model="通义千问-𠮷"), a_line(amount="-0.0000000001"), a_line(amount="12345678901.5")]
    )
    text = content.decode("utf-8-sig")
    plain = SmallLedger()
    plain.enter_here(name, content, hints=NO_HINTS)
    for wrapping, packed in wrappings(text):
        ledger = SmallLedger()
        ledger.enter_here(name, packed)
        assert ledger.sums() == plain.sums(), wrapping
        assert ledger.digests == plain.digests, wrapping


@settings(max_examples=60)
@given(st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), max_size=6))
def test_any_rows_come_out_of_every_wrapping_as_they_went_in_or_not_at_all(rows: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([HEADER.split(","), *rows])
    text = written.getvalue()
    for _, packed in wrappings(text):
        with tempfile.TemporaryDirectory() as place, suppress(UnreadableBillError):
            assert unwrapped(packed, Path(place)) == text.encode()


STARTS = [codecs.BOM_UTF16_LE, codecs.BOM_UTF8, f"{HEADER}\n".encode("gb18030"), f"{PLAIN_HEADER}\n".encode()]


@given(st.builds(bytes.__add__, st.sampled_from([b"", *STARTS]), st.binary(max_size=300)))
def test_any_bytes_are_read_as_what_they_are_or_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place, suppress(UnreadableBillError):
        assert made_utf8(content, Path(place))[0].decode("utf-8") is not None
    with suppress(UnreadableBillError):
        SmallLedger().enter_here("bill.csv", content)
