"""Unpacks gzip files and zip archives into numbered files; names of members never become part of a path."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path

from spendwatch.bills.unpacking.file_types import HEAD, Form, Opened, Part, is_text_bill, recognised
from spendwatch.bills.unpacking.limits import Meter
from spendwatch.bills.unpacking.zip_archive import PIECE, Member, ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable

_LITTER = re.compile(r"(.*[/\\])?(__MACOSX[/\\].*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.IGNORECASE | re.DOTALL)
"""What operating systems leave in archives."""

_BILL_ENDS = (".csv", ".json")
_MANY = 5
"""How many names are listed one by one."""


def unpacked_gzip(file: FileIO, name: str, folder: Path, meter: Meter, progress: Callable[[float], None]) -> Opened:
    """Return the one bill in a gzip file."""
    path = folder / "part-1"
    _write(_gunzipped(file, progress), path, meter)
    head = _head(path)
    if not head:
        raise UnreadableBillError(Refusal("the gzip archive is empty"))
    content = recognised(head)
    if content.form is not Form.TEXT:
        where = "an archive in an archive" if content.is_archive else "in the gzip archive"
        raise UnreadableBillError(Refusal(f"{where}: {content.what}", accepts="one csv or json in a gzip file"))
    return Opened((Part(re.sub(r"(?i)\.gz(ip)?$", "", name), path),))


def _gunzipped(file: FileIO, progress: Callable[[float], None]) -> Iterator[bytes]:
    """Yield what is packed in a gzip file, all its members after each other; the sum of each is checked at its end."""
    size = file.seek(0, 2)
    file.seek(0)
    try:
        with gzip.open(file) as unpacked:
            while piece := unpacked.read(PIECE // 8):
                yield piece
                progress(file.tell() / size)
    except EOFError as error:
        raise UnreadableBillError(Refusal("the gzip archive is cut off")) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableBillError(Refusal(f"the gzip archive is damaged ({error})")) from error


def unpacked_zip(archive: ZipArchive, folder: Path, meter: Meter, progress: Callable[[float], None]) -> Opened:
    """Return the bills in a zip archive. Every member is unpacked and checked before one is believed."""
    members = _worthwhile(archive.members)
    size, done = sum(member.size for member in members), 0
    parts, aside = [], []
    for number, member in enumerate(members, start=1):
        path = folder / f"part-{number}"
        _write(_told(archive.pieces(member), done, size, progress), path, meter)
        done += member.size
        head = _head(path)
        if head and _is_bill(member, head):
            parts.append(Part(member.name, path))
            continue
        path.unlink()
        if head:
            aside.append(member.name)
    if not parts:
        msg = "no csv or json in the zip archive"
        raise UnreadableBillError(Refusal(f"{msg}, only {_listed(aside)}" if aside else msg))
    remarks = (f"ignored in the zip archive, because they are not bills: {_listed(aside)}",) if aside else ()
    return Opened(tuple(sorted(parts, key=lambda part: part.name)), remarks)


def _worthwhile(members: Sequence[Member]) -> list[Member]:
    """Return the members without folders and litter; two of one name raise `UnreadableBillError`."""
    found = [one for one in members if not one.name.endswith(("/", "\\")) and not _LITTER.fullmatch(one.name)]
    name, times = next(iter(Counter(one.name for one in found).most_common(1)), ("", 0))
    if times > 1:
        reason = f"the zip archive has {times} members with the same name; which of them counts is unknown"
        raise UnreadableBillError(Refusal(reason, value=name))
    return found


def _is_bill(member: Member, head: bytes) -> bool:
    """Return whether the member is a bill. What is called as one and is none, or hides more files, refuses the archive."""
    content = recognised(head)
    if content.is_archive:
        reason = f"an archive in an archive: the member {printable(member.name)} is {content.what}"
        raise UnreadableBillError(Refusal(reason, accepts="csv or json in the zip archive"))
    if not member.name.lower().endswith(_BILL_ENDS):
        return is_text_bill(head)
    if content.form is not Form.TEXT:
        raise UnreadableBillError(Refusal(f"the archive's member {printable(member.name)} is {content.what}"))
    return True


def _write(pieces: Iterable[bytes], path: Path, meter: Meter) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            meter.count(len(piece))
            file.write(piece)


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD)


def _told(pieces: Iterable[bytes], done: int, size: int, progress: Callable[[float], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(min(1.0, done / max(1, size)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(map(printable, names[:_MANY])) + more
