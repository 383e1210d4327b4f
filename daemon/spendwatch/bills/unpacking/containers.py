"""Converts a bill file of any format to one or several text bills: left as it is, unpacked, or exported from a spreadsheet.

What is unpacked goes into numbered files; names of members never become part of a path.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from zipfile import ZipInfo

from spendwatch.bills.unpacking.file_types import HEAD, Form, Opened, Part, is_text_bill, recognised
from spendwatch.bills.unpacking.limits import LIMITS, Limits, Meter, tell_nobody
from spendwatch.bills.unpacking.spreadsheet import written_out
from spendwatch.bills.unpacking.workbook import WORKBOOK
from spendwatch.bills.unpacking.zip_archive import PIECE, ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable

_OTHER_OFFICE = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint presentation",
}
_SHORTEST = 4
"""Fewer bytes are no bill, and too few to recognize a format."""

_LITTER = re.compile(r"(.*[/\\])?(__MACOSX[/\\].*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.IGNORECASE | re.DOTALL)
"""What operating systems leave in archives."""

_BILL_ENDS = (".csv", ".json")
_MANY = 5
"""How many names are listed one by one."""


def opened(
    path: Path,
    *,
    name: str,
    folder: Path,
    limits: Limits = LIMITS,
    progress: Callable[[float], None] = tell_nobody,
) -> Opened:
    """Return the text bills that the file consists of, or raise `UnreadableBillError`; a text is left as it is.

    Whatever has to be written goes into `folder`. Too little room there raises `ReaderFailedError`.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(HEAD)
        if not head:
            raise UnreadableBillError(Refusal("the file is empty"))
        if len(head) < _SHORTEST:
            raise UnreadableBillError(Refusal(f"the file has only {len(head)} bytes"))
        content, meter = recognised(head), Meter(path, folder, limits, progress)
        match content.form:
            case Form.TEXT:
                return Opened((Part(name, path),))
            case Form.GZIP:
                return _gunzipped(file, name, folder, meter)
            case Form.ZIP:
                return _unzipped(file, name, folder, meter)
            case Form.OTHER_ARCHIVE | Form.OTHER:
                raise UnreadableBillError(Refusal(content.what, accepts=content.accepts))


def _gunzipped(file: FileIO, name: str, folder: Path, meter: Meter) -> Opened:
    """Return the one bill in a gzip file, all its members after each other; the sum of each is checked at its end."""
    size, path = file.seek(0, 2), folder / "part-1"
    file.seek(0)
    meter.share = lambda: file.tell() / size
    try:
        with gzip.open(file) as unpacked:
            meter.write(iter(lambda: unpacked.read(PIECE // 8), b""), path)
    except EOFError as error:
        raise UnreadableBillError(Refusal("the gzip archive is cut off")) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableBillError(Refusal(f"the gzip archive is damaged ({error})")) from error
    head = _head(path)
    if not head:
        raise UnreadableBillError(Refusal("the gzip archive is empty"))
    content = recognised(head)
    if content.form is not Form.TEXT:
        where = "an archive in an archive" if content.is_archive else "in the gzip archive"
        raise UnreadableBillError(Refusal(f"{where}: {content.what}", accepts="one csv or json in a gzip file"))
    return Opened((Part(re.sub(r"(?i)\.gz(ip)?$", "", name), path),))


def _unzipped(file: FileIO, name: str, folder: Path, meter: Meter) -> Opened:
    archive = ZipArchive(file, meter.limits)
    names = {member.filename for member in archive.members}
    size = max(1, sum(member.file_size for member in archive.members))
    meter.share = lambda: meter.unpacked / size
    if WORKBOOK in names:
        return written_out(archive, name, folder, meter)
    for sign, what in _OTHER_OFFICE.items():
        if sign in names:
            raise UnreadableBillError(Refusal(what, accepts="xlsx or csv"))
    return _unpacked_zip(archive, folder, meter)


def _unpacked_zip(archive: ZipArchive, folder: Path, meter: Meter) -> Opened:
    """Return the bills in a zip archive. Every member is unpacked and checked before one is believed."""
    parts, aside = [], []
    for number, member in enumerate(_worthwhile(archive.members), start=1):
        path = folder / f"part-{number}"
        meter.write(archive.pieces(member), path)
        head = _head(path)
        if head and _is_bill(member, head):
            parts.append(Part(member.filename, path))
            continue
        path.unlink()
        if head:
            aside.append(member.filename)
    if not parts:
        msg = "no csv or json in the zip archive"
        raise UnreadableBillError(Refusal(f"{msg}, only {_listed(aside)}" if aside else msg))
    remarks = (f"ignored in the zip archive, because they are not bills: {_listed(aside)}",) if aside else ()
    return Opened(tuple(sorted(parts, key=lambda part: part.name)), remarks)


def _worthwhile(members: Sequence[ZipInfo]) -> list[ZipInfo]:
    """Return the members without folders and litter; two of one name raise `UnreadableBillError`."""
    found = [one for one in members if not one.filename.endswith(("/", "\\")) and not _LITTER.fullmatch(one.filename)]
    name, times = next(iter(Counter(one.filename for one in found).most_common(1)), ("", 0))
    if times > 1:
        reason = f"the zip archive has {times} members with the same name; which of them counts is unknown"
        raise UnreadableBillError(Refusal(reason, value=name))
    return found


def _is_bill(member: ZipInfo, head: bytes) -> bool:
    """Return whether the member is a bill. What is called as one and is none, or hides more files, refuses the archive."""
    content = recognised(head)
    if content.is_archive:
        reason = f"an archive in an archive: the member {printable(member.filename)} is {content.what}"
        raise UnreadableBillError(Refusal(reason, accepts="csv or json in the zip archive"))
    if not member.filename.lower().endswith(_BILL_ENDS):
        return is_text_bill(head)
    if content.form is not Form.TEXT:
        raise UnreadableBillError(Refusal(f"the archive's member {printable(member.filename)} is {content.what}"))
    return True


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(map(printable, names[:_MANY])) + more
