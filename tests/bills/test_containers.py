"""Whatever form a bill file comes in, it is turned into text bills, or refused with the reason; never half of it."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.file_types import Opened, recognised
from spendwatch.bills.unpacking.limits import LIMITS, Limits, shown
from spendwatch.bills.unpacking.zip_archive import ZipArchive
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from zip_builder import ENCRYPTED, STORED, UTF_8, BuiltMember, a_member, a_zip, zeros

BILL = "账单明细ID,金额,日期,币种,产品\nid-1,1.25,2026-09-12,CNY,sfm\nid-2,2.50,2026-09-13,CNY,sfm\n".encode()
OTHER = "账单明细ID,金额,日期,币种,产品\nid-3,3.75,2026-09-14,CNY,sfm\n".encode()
JSON = b'{"Data": {"Items": []}}\n'
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
MIB = 1024 * 1024


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def opened_here(content: bytes, place: Path, *, name: str = "bill.csv", limits: Limits = LIMITS) -> Opened:
    """Open a file with this content; all that is written must be in the folder."""
    path, folder = place / "file", place / "folder"
    path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    try:
        return opened(path, name=name, folder=folder, limits=limits)
    finally:
        assert sorted(item.name for item in place.iterdir()) == ["file", "folder"]
        assert path.read_bytes() == content


def texts(content: bytes, place: Path, *, name: str = "bill.csv") -> dict[str, bytes]:
    return {part.name: part.path.read_bytes() for part in opened_here(content, place, name=name).parts}


def refusal(content: bytes, place: Path, *, name: str = "bill.csv", limits: Limits = LIMITS) -> str:
    with pytest.raises(UnreadableBillError) as refused:
        opened_here(content, place, name=name, limits=limits)
    (one,) = refused.value.refusals
    return str(one)


# -- as it is --


@pytest.mark.parametrize(
    "content", [BILL, b"\xef\xbb\xbf" + BILL, BILL.decode().encode("gb18030"), BILL.decode().encode("utf-16"), JSON]
)
def test_a_text_is_one_part_that_stays_where_it_is(content: bytes, place: Path) -> None:
    found = opened_here(content, place, name="bill.zip")
    (part,) = found.parts
    assert (part.name, part.path, found.remarks) == ("bill.zip", place / "file", ())
    assert not list((place / "folder").iterdir())


def test_of_a_text_only_the_first_bytes_are_looked_at(place: Path) -> None:
    path = place / "file"
    path.write_bytes(BILL * 100)
    os.truncate(path, 50 * 1024**3)
    started = time.thread_time()
    opened(path, name="bill.csv", folder=place)
    assert time.thread_time() - started < 0.1


def test_a_stray_nul_is_left_to_the_reader_who_can_name_its_line(place: Path) -> None:
    assert opened_here(BILL * 5 + b"\0\n", place).parts


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an old Excel workbook (.xls), or one with a password"),
        (PDF, "a PDF document"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (PAGE, "a web page, not a bill: was the download behind a login?"),
        (b"\xef\xbb\xbf<html>", "a web page, not a bill: was the download behind a login?"),
        ("<html>".encode("utf-16"), "a web page, not a bill: was the download behind a login?"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
            "XML, not a bill: perhaps the error that a download ended with",
        ),
        (b"Rar!\x1a\x07\x01\x00" + bytes(8), "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "a zstd archive"),
        (b"\x04\x22\x4d\x18\x64\x40", "an lz4 archive"),
        (bz2.compress(BILL), "a bzip2 archive"),
        (lzma.compress(BILL), "an xz archive"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (b"GIF89a", "an image"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "an image"),
        (b"II*\0", "an image"),
        (b"MM\0*", "an image"),
        (BILL.decode().encode("utf-32"), "UTF-32 text"),
        (bytes(range(256)) * 8, "not text"),
        (BILL.decode().encode("utf-16-le"), "not text"),
        (b"\x7fELF\x02\x01\x01" + bytes(57), "not text"),
    ],
)
def test_what_is_plainly_something_else_is_refused_by_what_it_is(content: bytes, what: str, place: Path) -> None:
    assert refusal(content, place).startswith(f"{what} (accepted: ")


def test_a_tar_archive_is_refused_by_what_it_is(place: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("bill.csv"))
    assert refusal(packed.getvalue(), place).startswith("a tar archive")


def test_a_file_of_hardly_any_bytes_is_refused(place: Path) -> None:
    assert refusal(b"", place) == "the file is empty"
    assert refusal(b"PK\x03", place) == "the file has only 3 bytes"


# -- gzip --


def test_a_gzip_file_is_unpacked_whatever_it_is_called(place: Path) -> None:
    assert texts(gzip.compress(BILL), place, name="bill.csv.GZ") == {"bill.csv": BILL}
    assert texts(gzip.compress(JSON), place, name="bill.csv") == {"bill.csv": JSON}


def test_a_gzip_file_of_several_members_is_their_texts_after_each_other(place: Path) -> None:
    content = gzip.compress(BILL) + gzip.compress(b"") + gzip.compress(b"id-3,1,2026-09-14,CNY,sfm\n") + bytes(512)
    assert list(texts(content, place).values()) == [BILL + b"id-3,1,2026-09-14,CNY,sfm\n"]


def test_a_gzip_file_with_large_content_is_unpacked_whole(place: Path) -> None:
    dice = random.Random(1)  # noqa: S311 -- the same every time
    content = BILL + b"".join(b"%d,%d,2026-09-12,CNY,sfm\n" % (at, dice.getrandbits(300)) for at in range(40_000))
    assert list(texts(gzip.compress(content), place).values()) == [content]
    assert list(texts(gzip.compress(BILL + bytes(b"," * 5 * MIB)), place).values()) == [BILL + b"," * 5 * MIB]


def test_a_gzip_file_of_very_many_members_takes_no_longer_than_its_length(place: Path) -> None:
    started = time.thread_time()
    assert list(texts(gzip.compress(b"") * 200_000 + gzip.compress(BILL), place).values()) == [BILL]
    assert time.thread_time() - started < 5


def test_a_gzip_file_that_is_cut_off_anywhere_is_refused(place: Path) -> None:
    content = gzip.compress(BILL) + gzip.compress(OTHER)
    whole = len(gzip.compress(BILL))
    for cut in range(4, len(content)):
        if cut != whole:
            assert refusal(content[:cut], place).startswith("the gzip archive is ")


def test_a_gzip_file_with_one_wrong_byte_gives_the_same_text_or_is_refused(place: Path) -> None:
    content = gzip.compress(BILL)
    for at in range(4, len(content)):
        damaged = content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]
        with suppress(UnreadableBillError):
            assert list(texts(damaged, place).values()) == [BILL]


@pytest.mark.parametrize("at", [-8, -4])
def test_the_sums_at_the_end_of_a_gzip_file_count(at: int, place: Path) -> None:
    content = bytearray(gzip.compress(BILL))
    content[at] ^= 1
    assert refusal(bytes(content), place).startswith("the gzip archive is damaged (")


def test_what_follows_a_gzip_file_must_be_gzip(place: Path) -> None:
    assert refusal(gzip.compress(BILL) + b"garbage", place) == "the gzip archive is damaged (Not a gzipped file (b'ga'))"


def test_a_gzip_file_must_hold_one_text(place: Path) -> None:
    accepted = "(accepted: one csv or json in a gzip file)"
    assert refusal(gzip.compress(b""), place) == "the gzip archive is empty"
    assert refusal(gzip.compress(PDF), place) == f"in the gzip archive: a PDF document {accepted}"
    assert refusal(gzip.compress(gzip.compress(BILL)), place) == f"an archive in an archive: a gzip archive {accepted}"
    assert (
        refusal(gzip.compress(a_zip(a_member("a.csv", BILL))), place) == f"an archive in an archive: a zip archive {accepted}"
    )


# -- zip --


def test_a_zip_archive_gives_its_bills_in_the_order_of_their_names(place: Path) -> None:
    content = a_zip(
        a_member("b/2.csv", OTHER), a_member("b/", b""), a_member("b/1.csv", BILL, method=STORED), a_member("a.json", JSON)
    )
    found = texts(content, place)
    assert list(found) == ["a.json", "b/1.csv", "b/2.csv"]
    assert list(found.values()) == [JSON, BILL, OTHER]


def test_archives_of_an_ordinary_program_are_read(place: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("账单")
        archive.writestr("账单/九月.csv", BILL)
        with archive.open("账单/十月.csv", "w", force_zip64=True) as member:
            member.write(OTHER)
        archive.comment = "九月的账单".encode()
    assert texts(packed.getvalue(), place) == {"账单/九月.csv": BILL, "账单/十月.csv": OTHER}


def test_an_archive_that_was_written_to_a_pipe_is_read(place: Path) -> None:
    pieces: list[bytes] = []

    class Pipe:
        def write(self, piece: bytes) -> int:
            pieces.append(bytes(piece))
            return len(piece)

        def flush(self) -> None:
            pass

        def close(self) -> None:
            pass

    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", BILL)
        archive.writestr("b.csv", OTHER)
    assert texts(b"".join(pieces), place) == {"a.csv": BILL, "b.csv": OTHER}


def test_archives_of_the_large_kind_are_read(place: Path) -> None:
    large = replace(a_member("a.csv", BILL), is_large=True)
    assert texts(a_zip(large, a_member("b.csv", OTHER), is_large=True), place) == {"a.csv": BILL, "b.csv": OTHER}
    assert texts(a_zip(large), place) == {"a.csv": BILL}


def test_litter_and_empty_members_are_left_aside_without_a_word(place: Path) -> None:
    litter = ["__MACOSX/._a.csv", "x/__MACOSX/b.csv", ".DS_Store", "x/.DS_Store", "Thumbs.db", "x\\thumbs.db", "desktop.ini"]
    members = [a_member(name, b"\0\5\x16\7" * 9) for name in litter]
    found = opened_here(a_zip(*members, a_member("empty.csv", b""), a_member("a.csv", BILL)), place)
    assert [part.name for part in found.parts] == ["a.csv"]
    assert found.remarks == ()


def test_other_members_are_left_aside_with_a_remark(place: Path) -> None:
    others = [
        a_member("readme.txt", b"Dear customer,\nthe bill is in the csv.\n"),
        a_member("x/bill.pdf", PDF),
        a_member("LICENSE", b"MIT\n"),
    ]
    found = opened_here(a_zip(*others, a_member("a.csv", BILL)), place)
    assert [part.name for part in found.parts] == ["a.csv"]
    assert found.remarks == ("ignored in the zip archive, because they are not bills: 'readme.txt', 'x/bill.pdf', 'LICENSE'",)
    assert [path.name for path in (place / "folder").iterdir()] == ["part-4"]


def test_of_many_other_members_some_are_named(place: Path) -> None:
    others = [a_member(f"{number}.txt", b"note\n") for number in range(9)]
    (remark,) = opened_here(a_zip(*others, a_member("a.csv", BILL)), place).remarks
    assert remark.endswith("'0.txt', '1.txt', '2.txt', '3.txt', '4.txt' and 4 more")


@pytest.mark.parametrize("name", ["bill.txt", "bill", "20260912.dat"])
@pytest.mark.parametrize(
    "content", [BILL, BILL.decode().encode("gb18030"), BILL.decode().encode("utf-16"), b"\xef\xbb\xbf\n" + BILL, JSON, b" [1]"]
)
def test_a_bill_is_a_bill_whatever_its_name(name: str, content: bytes, place: Path) -> None:
    assert texts(a_zip(a_member(name, content)), place) == {name: content}


def test_a_member_that_is_called_a_bill_must_be_one(place: Path) -> None:
    told = refusal(a_zip(a_member("a.csv", BILL), a_member("b.CSV", PAGE)), place)
    assert told == "the archive's member 'b.CSV' is a web page, not a bill: was the download behind a login?"
    assert texts(a_zip(a_member("a.csv", b"short\n")), place) == {"a.csv": b"short\n"}


def test_an_archive_without_a_bill_is_refused(place: Path) -> None:
    assert refusal(a_zip(a_member("note.txt", b"hello\n")), place) == "no csv or json in the zip archive, only 'note.txt'"
    assert refusal(a_zip(a_member("x/", b""), a_member("empty.csv", b"")), place) == "no csv or json in the zip archive"
    assert refusal(a_zip(), place) == "no csv or json in the zip archive"


@pytest.mark.parametrize(
    ("sign", "what"),
    [
        ("content.xml", "an OpenDocument file"),
        ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
        ("word/document.xml", "a Word document"),
    ],
)
def test_other_files_of_offices_are_refused_by_what_they_are(sign: str, what: str, place: Path) -> None:
    assert refusal(a_zip(a_member(sign, b"<x/>")), place) == f"{what} (accepted: xlsx or csv)"


@pytest.mark.parametrize(
    ("inner", "what"),
    [
        (gzip.compress(BILL), "a gzip archive"),
        (a_zip(a_member("a.csv", BILL)), "a zip archive"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
    ],
)
def test_an_archive_in_an_archive_is_refused(inner: bytes, what: str, place: Path) -> None:
    told = refusal(a_zip(a_member("a.csv", BILL), a_member("inner", inner)), place)
    assert told == f"an archive in an archive: the member 'inner' is {what} (accepted: csv or json in the zip archive)"


def test_names_are_read_as_they_were_written(place: Path) -> None:
    names = {"九月.csv".encode("gb18030"): "九月.csv", "十月.csv".encode(): "十月.csv", b"\x81\x20\xe1.csv": "ü ß.csv"}
    for raw, name in names.items():
        assert list(texts(a_zip(a_member(raw, BILL, flags=0)), place)) == [name]
    assert list(texts(a_zip(a_member("九月.csv", BILL)), place)) == ["九月.csv"]


HOSTILE_NAMES = [
    "/etc/passwd.csv",
    "../../up.csv",
    "C:\\x.csv",
    "a\0b.csv",
    "\u202ecsv.exe.csv",
    "-rf.csv",
    "\n.csv",
    "~.csv",
    "x" * 60_000 + ".csv",
    "%s%n.csv",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_only_text(name: str, place: Path) -> None:
    found = opened_here(a_zip(a_member(name, BILL)), place)
    assert [(part.name, part.path.name) for part in found.parts] == [(name, "part-1")]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_told_on_one_short_line_without_tricks(name: str, place: Path) -> None:
    told = refusal(a_zip(replace(a_member(name, BILL), crc=1)), place)
    assert told.isprintable()
    assert len(told) < 200


# -- what is wrong with zips --


def test_a_zip_archive_that_is_cut_off_anywhere_is_refused(place: Path) -> None:
    content = a_zip(a_member("a.csv", BILL), a_member("b.csv", OTHER, method=STORED))
    for cut in range(4, len(content)):
        assert refusal(content[:cut], place) == "the zip archive is cut off or damaged: its directory cannot be followed"


def test_a_large_zip_archive_that_is_cut_off_anywhere_is_refused(place: Path) -> None:
    content = a_zip(replace(a_member("a.csv", BILL), is_large=True), is_large=True)
    for cut in range(4, len(content)):
        assert "cut off" in refusal(content[:cut], place)


def test_a_zip_archive_with_one_wrong_byte_gives_the_same_bills_or_is_refused(place: Path) -> None:
    right = {"a.csv": BILL, "b.csv": OTHER}
    content = a_zip(a_member("a.csv", BILL), a_member("b.csv", OTHER, method=STORED))
    for at in range(len(content)):
        for flip in (0x01, 0x80):
            damaged = content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
            with suppress(UnreadableBillError):
                assert texts(damaged, place) == right


WHOLE = a_member("x.csv", BILL)
BAD_MEMBERS = [
    ("is encrypted (accepted: an archive without a password)", replace(WHOLE, flags=UTF_8 | ENCRYPTED)),
    ("is damaged: its CRC is wrong", replace(WHOLE, crc=zlib.crc32(BILL) ^ 1)),
    ("is damaged: its CRC is wrong", replace(WHOLE, packed=WHOLE.packed[:-9])),
    (f"is damaged: it has {len(BILL)} bytes, and should have {2**40}", replace(WHOLE, size=2**40, is_large=True)),
    ("is damaged: it is not at the place given in the directory", replace(WHOLE, local_name=b"y.csv")),
    ("is damaged (invalid block type)", replace(WHOLE, packed=b"\xff" * 20)),
]


@pytest.mark.parametrize(("how", "member"), BAD_MEMBERS)
def test_one_bad_member_refuses_the_archive(how: str, member: BuiltMember, place: Path) -> None:
    assert refusal(a_zip(a_member("a.csv", BILL), member), place) == f"the archive's member 'x.csv' {how}"


@pytest.mark.parametrize("size", [0, 1, len(BILL) - 1])
def test_a_member_that_is_longer_than_the_directory_says_is_not_cut_to_that_length(size: int, place: Path) -> None:
    told = refusal(a_zip(a_member("a.csv", BILL), replace(a_member("x.csv", BILL), size=size)), place)
    assert told == "the archive's member 'x.csv' is damaged: its CRC is wrong"


@pytest.mark.parametrize(
    ("method", "how"),
    [(1, "unknown"), (9, "Deflate64, as Windows packs large files"), (12, "bzip2"), (14, "LZMA"), (93, "zstd"), (99, "AES")],
)
def test_an_unusual_way_of_packing_is_refused_by_its_name(method: int, how: str, place: Path) -> None:
    told = refusal(a_zip(replace(a_member("x.csv", BILL), method=method)), place)
    assert told.startswith(
        f"the archive's member 'x.csv' is packed by method {method} ({how}) (accepted: a zip with stored or deflated members"
    )


def test_two_members_of_one_name_are_refused(place: Path) -> None:
    told = refusal(a_zip(a_member("a.csv", BILL), a_member("b.csv", OTHER), a_member("a.csv", OTHER)), place)
    assert told == "the zip archive has 2 members with the same name; which of them counts is unknown: 'a.csv'"


def test_a_part_of_an_archive_in_several_parts_is_refused(place: Path) -> None:
    told = "one part of a zip archive in several parts (.z01): join them, or pack it as one"
    assert refusal(a_zip(a_member("a.csv", BILL), disk=1), place) == told
    assert refusal(a_zip(a_member("a.csv", BILL), disk=1, is_large=True), place) == told
    assert "cut off" in refusal(b"PK\x07\x08" + a_zip(a_member("a.csv", BILL))[:100], place)


def test_members_that_overlap_are_refused(place: Path) -> None:
    inner = a_zip(a_member("b.csv", OTHER, method=STORED))
    inner = inner[: inner.index(b"PK\x01\x02")]
    outer = a_member("a.csv", BILL + inner, method=STORED)
    within = replace(a_member("b.csv", OTHER, method=STORED), at=30 + len("a.csv") + len(BILL))
    told = "the zip archive is damaged or malicious: its members overlap"
    assert refusal(a_zip(outer, within), place) == told
    assert refusal(a_zip(replace(outer, packed_size=len(outer.packed) + 500)), place) == told
    assert refusal(a_zip(a_member("a.csv", BILL), replace(a_member("a.csv", BILL), at=0)), place) == told


@pytest.mark.parametrize("at", [1, 10_000, 2**31, 2**32 - 2, 2**62, 2**63, 2**64 - 1])
def test_a_member_that_lies_elsewhere_is_refused(at: int, place: Path) -> None:
    assert "damaged" in refusal(a_zip(replace(a_member("a.csv", BILL), at=at, is_large=at >= 2**32)), place)


@pytest.mark.parametrize("count", [0, 2, 900])
def test_a_directory_of_another_length_than_it_says_is_refused(count: int, place: Path) -> None:
    assert "cut off or damaged" in refusal(a_zip(a_member("a.csv", BILL), count=count), place)


def test_bytes_that_belong_to_nobody_do_not_matter(place: Path) -> None:
    assert texts(a_zip(a_member("a.csv", BILL), between=b"PK\x01\x02 nobody's"), place) == {"a.csv": BILL}


# -- limits --


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (1024 * MIB, "unpacks to more than 8 MiB, the maximum"),
        (10, "the archive's member 'bomb.csv' is damaged: its CRC is wrong"),
    ],
)
def test_a_bomb_is_refused_by_what_comes_out_of_it_whatever_it_says(size: int, told: str, place: Path) -> None:
    bomb = BuiltMember(b"bomb.csv", zeros(1024), size, 0)
    assert refusal(a_zip(bomb), place, limits=LIMITS._replace(unpacked=8 * MIB)) == told
    assert sum(path.stat().st_size for path in (place / "folder").iterdir()) <= 8 * MIB


@pytest.mark.parametrize("mebibytes", [1024, 10 * 1024])
@pytest.mark.parametrize("form", ["zip", "gzip"])
def test_bombs_take_bounded_memory_and_time(mebibytes: int, form: str, place: Path) -> None:
    packed = zeros(mebibytes)
    content = (
        a_zip(BuiltMember(b"bomb.csv", packed, mebibytes * MIB, 0, is_large=True))
        if form == "zip"
        else b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed
    )
    (place / "bomb").write_bytes(content)
    (place / "folder").mkdir()
    script = textwrap.dedent("""
        import resource, sys, time
        from pathlib import Path
        from spendwatch.bills.unpacking.containers import opened
        from spendwatch.bills.unpacking.limits import Limits
        from spendwatch.domain.errors import UnreadableBillError
        resource.setrlimit(resource.RLIMIT_DATA, (64 * 1024 * 1024, 64 * 1024 * 1024))
        try:
            opened(Path("bomb"), name="bomb", folder=Path("folder"), limits=Limits(unpacked=64 * 1024 * 1024))
        except UnreadableBillError as error:
            print(error)
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(line for line in status if line.startswith("VmHWM")).split()[1])
        print(time.process_time())
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=True)
    told, peak, took = done.stdout.splitlines()
    assert told == "unpacks to more than 64 MiB, the maximum"
    assert int(peak) < 64 * 1024
    assert float(took) < 20


def test_a_gibibyte_of_zeros_is_no_bill(place: Path) -> None:
    told = refusal(a_zip(BuiltMember(b"bomb.csv", zeros(1024), 1024 * MIB, 0)), place)
    assert told.endswith("unpack to more than 250 times as much: not plausible for a bill")


def test_little_text_may_be_packed_as_well_as_it_likes(place: Path) -> None:
    content = BILL + b"id-9,0.000000,2026-09-12,CNY,sfm\n" * 100_000
    packed = gzip.compress(content)
    assert len(content) > 250 * len(packed)
    assert list(texts(packed, place).values()) == [content]
    told = refusal(packed, place, limits=LIMITS._replace(unquestioned=MIB))
    assert told == f"its {shown(len(packed))} unpack to more than 250 times as much: not plausible for a bill"


def test_the_limit_counts_all_members_together(place: Path) -> None:
    members = [a_member(f"{number}.csv", BILL + b"," * MIB) for number in range(5)]
    assert refusal(a_zip(*members), place, limits=LIMITS._replace(unpacked=4 * MIB)).startswith("unpacks to more than 4 MiB")


def test_a_hundred_thousand_members_are_refused_at_once(place: Path) -> None:
    head = a_zip(a_member("0", b""))
    entry = head[head.index(b"PK\x01\x02") : head.index(b"PK\x05\x06")]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.csv", BILL)
    assert (
        refusal(packed.getvalue(), place, limits=LIMITS._replace(members=2))
        == "the zip archive has 3 members; at most 2 are taken"
    )
    many = a_zip(a_member("0.csv", BILL), is_large=True, between=entry * 100_000, count=100_000)
    started = time.thread_time()
    assert refusal(many, place) == "the zip archive has 100000 members; at most 1000 are taken"
    assert time.thread_time() - started < 1


def test_a_directory_that_is_long_for_its_members_is_refused(place: Path) -> None:
    told = refusal(a_zip(a_member("x" * 5000 + ".csv", BILL)), place, limits=LIMITS._replace(members=2))
    assert told == "the directory of the zip archive is 4.932 KiB long; at most 2 KiB are taken"


def test_too_little_room_is_not_the_bills_fault(place: Path) -> None:
    full = LIMITS._replace(free=2**60)
    told = r"too little disk space to unpack the bill: .* are free, 1.074e\+09 GiB must stay free"
    with pytest.raises(ReaderFailedError, match=told):
        opened_here(a_zip(BuiltMember(b"large.csv", zeros(100), 100 * MIB, 0)), place, limits=full)
    assert opened_here(gzip.compress(BILL), place, limits=full).parts


def test_a_disk_that_cannot_be_read_is_not_the_bills_fault(place: Path) -> None:
    path = place / "bill.zip"
    path.write_bytes(a_zip(a_member("a.csv", BILL)))

    class Disk(io.FileIO):
        is_broken = False

        def read(self, size: int | None = -1, /) -> bytes:
            if self.is_broken:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size) or b""

    with Disk(path) as file:
        archive = ZipArchive(file, LIMITS)
        file.is_broken = True
        with pytest.raises(OSError, match="Input/output error"):
            list(archive.pieces(archive.members[0]))


def test_progress_is_told_up_to_the_end(place: Path) -> None:
    for content in (gzip.compress(BILL), a_zip(a_member("a.csv", BILL), a_member("b.csv", OTHER))):
        shares: list[float] = []
        (place / "file").write_bytes(content)
        opened(place / "file", name="x", folder=place, progress=shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == 1


# -- anything --


def open_or_refuse(content: bytes) -> None:
    """Open it, and read all that was found; a refusal says why."""
    with tempfile.TemporaryDirectory() as place:
        told: list[str] = []
        try:
            told = [part.path.read_bytes().hex() or "empty" for part in opened_here(content, Path(place)).parts]
        except UnreadableBillError as error:
            told = [refusal.reason for refusal in error.refusals]
        assert told
        assert all(told)


SEEDS = (
    gzip.compress(BILL),
    a_zip(a_member("a.csv", BILL), a_member("b.csv", OTHER, method=STORED), a_member("c.txt", b"x")),
    a_zip(replace(a_member("a.csv", BILL), is_large=True), is_large=True),
)


@given(
    st.binary(max_size=600)
    | st.builds(
        bytes.__add__,
        st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"PK\x05\x06", b"\xff\xfe"]),
        st.binary(max_size=600),
    )
)
def test_any_bytes_are_opened_or_refused(content: bytes) -> None:
    open_or_refuse(content)


@settings(max_examples=400)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 3), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
)
def test_damaged_archives_are_opened_or_refused(seed: bytes, damages: list[tuple[int, int, bytes]]) -> None:
    for at, removed, added in damages:
        seed = seed[: at % len(seed)] + added + seed[at % len(seed) + removed :]
    open_or_refuse(seed)


def test_what_a_head_is_does_not_depend_on_where_a_character_is_cut() -> None:
    text = ("表头," * 3000).encode("utf-16")
    assert {recognised(text[:cut]).what for cut in range(4000, 4100)} == {"text"}
