"""Finds out the encoding of a text bill, and converts what is not UTF-8.

Nearly everything can be decoded as GB18030, so this proves nothing: the header must also be a known one.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from itertools import chain
from pathlib import Path

from spendwatch.bills.unpacking.limits import Meter
from spendwatch.domain.errors import Refusal, UnreadableBillError

HEAD = 1024 * 1024
"""So much of a file decides about its encoding and its header, and is always checked strictly."""

ACCEPTED = "UTF-8, UTF-16 with a byte-order mark, or GB18030"

PIECE = 1024 * 1024
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_WINDOWS = {ord(char): byte for byte in range(0x80, 0xA0) if (char := bytes([byte]).decode("cp1252", "ignore"))}
"""Windows' Western characters by the bytes that they stand for; all others have their byte's number."""

IsHeader = Callable[[str], bool]


def made_utf_8(path: Path, folder: Path, is_header: IsHeader) -> tuple[Path, str]:
    """Return where the text stands as UTF-8, and what the operator should know about that; anything else is refused.

    `is_header` tells whether a line, without its line break, is the header of a bill; it is asked about the first line that is
    not blank.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(HEAD)
        if encoding := _UTF_16.get(head[:2]):
            file.seek(len(codecs.BOM_UTF16))
            return _written(_transcoded(file, encoding, "UTF-16"), path, folder), "the bill came as UTF-16"
        wrong = _undecodable_line(head)
        if wrong:
            _check_gb18030(head, is_header, wrong)
            file.seek(0)
            return _written(_transcoded(file, "gb18030", "GB18030"), path, folder), "the bill came as GB18030"
        start, end = first_line(head)
        repaired = _repaired(head[start:end].decode("utf-8", "replace"), is_header)
        if repaired is None:
            return path, ""
        file.seek(end)
        pieces = chain((head[:start], repaired.encode()), iter(lambda: file.read(PIECE), b""))
        remark = "the bill's header was garbled, its UTF-8 taken for another encoding"
        return _written(pieces, path, folder), remark


def _undecodable_line(head: bytes) -> int:
    """Return the first line that is not UTF-8, or 0. A character that the end of the head cuts in two is none."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError as error:
        return 1 + head.count(b"\n", 0, error.start)
    return 0


def _check_gb18030(head: bytes, is_header: IsHeader, wrong: int) -> None:
    """Raise `UnreadableBillError` unless the head is GB18030 beyond doubt."""
    start, end = first_line(head)
    try:
        is_known = is_header(head[start:end].decode("gb18030").lstrip("\ufeff"))
    except UnicodeDecodeError:
        is_known = False
    if not is_known:
        reason = "neither UTF-8 nor GB18030 with a known header"
        raise UnreadableBillError(Refusal(reason, line=wrong, accepts=ACCEPTED))
    # A header of plain letters is the same in both, and one alone may have been re-saved: the other lines have a say, too.
    foreign = [line for line in head.split(b"\n")[:-1] if not line.isascii()]
    if sum(map(_is_utf_8, foreign)) * 2 > len(foreign):
        raise UnreadableBillError(Refusal("not UTF-8, though most other lines are", line=wrong, accepts=ACCEPTED))


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def first_line(head: bytes) -> tuple[int, int]:
    """Return where the first line that is not blank starts and ends, without a byte-order mark and its line break."""
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    while start < len(head):
        end = head.find(b"\n", start)
        end = len(head) if end < 0 else end
        if head[start:end].strip():
            return start, start + len(head[start:end].rstrip(b"\r"))
        start = end + 1
    return len(head), len(head)


def _repaired(line: str, is_header: IsHeader) -> str | None:
    """Return the header that became this line when its UTF-8 was taken for something else, if one did."""
    if line.isascii() or is_header(line):
        return None
    for text, mistaken in ((line, "gb18030"), (line.translate(_WINDOWS), "latin-1")):
        try:
            header = text.encode(mistaken).decode("utf-8").lstrip("\ufeff")
        except UnicodeError:
            continue
        if is_header(header):
            return header
    return None


def _transcoded(file: FileIO, encoding: str, called: str) -> Iterator[bytes]:
    """Yield the rest of the file as UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, piece = 1, b" "
    while piece:
        piece = file.read(PIECE)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(encoding).count("\n")
            raise UnreadableBillError(Refusal(f"not {called}", line=line, accepts=ACCEPTED)) from error
        line += text.count("\n")
        yield text.encode()


def _written(pieces: Iterable[bytes], path: Path, folder: Path) -> Path:
    target = folder / f"text-{path.name}"
    Meter(path, folder).write(pieces, target)
    return target
