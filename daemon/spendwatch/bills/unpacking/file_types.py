"""The types of files, detected by their first bytes and never by their names, and what a file consists of."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

HEAD = 4096
"""How many bytes are looked at."""

_FEW = 64
"""One control character among so many bytes is a mistake in a text; more of them make it none."""

_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_COMMAS = 4
"""The header of a bill has more columns than a sentence has commas. Other signs are refused where the bill is read."""

_SIGNS = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"\x89PNG\r\n", "an image"),
    (0, b"\xff\xd8\xff", "an image"),
    (0, b"GIF8", "an image"),
    (8, b"WEBP", "an image"),
    (0, b"II*\0", "an image"),
    (0, b"MM\0*", "an image"),
)
_ARCHIVES = (
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (0, b"\x04\x22\x4d\x18", "an lz4 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (4, b"1AY&SY", "a bzip2 archive"),
    (257, b"ustar", "a tar archive"),
)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WEB_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|meta|script)\b", re.IGNORECASE)


class Form(StrEnum):
    """In which form a file may come."""

    TEXT = "text"
    GZIP = "gzip"
    ZIP = "zip"
    OTHER_ARCHIVE = "other archive"
    OTHER = "other"


class Content(NamedTuple):
    """What a file is."""

    form: Form
    what: str
    """In words, with its article."""
    accepts: str = "csv or json as it is, or packed as zip, gzip or xlsx"
    """What to bring instead."""

    @property
    def is_archive(self) -> bool:
        """Whether there may be another file in it."""
        return self.form in {Form.GZIP, Form.ZIP, Form.OTHER_ARCHIVE}


class Part(NamedTuple):
    """A text bill, csv or json, in whatever encoding it came."""

    name: str
    """The member's name, folders included; the file's own where it is no archive. Nobody has checked it."""
    path: Path


class Opened(NamedTuple):
    """The text bills of one bill file, in the order of their names; at least one."""

    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()
    """What the operator should know, though it is no reason to refuse."""


def recognised(head: bytes) -> Content:
    """Return what a file with these first bytes is."""
    if head.startswith(b"\x1f\x8b"):
        return Content(Form.GZIP, "a gzip archive")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return Content(Form.ZIP, "a zip archive")
    if head.startswith(_OLD_EXCEL):
        return Content(Form.OTHER, "an old Excel workbook (.xls), or one with a password", "xlsx without a password, or csv")
    for signs, form in ((_SIGNS, Form.OTHER), (_ARCHIVES, Form.OTHER_ARCHIVE)):
        for at, sign, what in signs:
            if head.startswith(sign, at):
                return Content(form, what)
    return _text_or_not(head)


def is_text_bill(head: bytes) -> bool:
    """Return whether these are the first bytes of csv or json, and not of some other text."""
    if recognised(head).form is not Form.TEXT:
        return False
    text = head.decode("utf-16", "replace") if head.startswith(_UTF_16) else head.decode("latin-1")
    first = next((line for line in text.removeprefix("ï»¿").splitlines() if line.strip()), "")
    return first.lstrip().startswith(("{", "[")) or any(first.count(sign) >= _COMMAS for sign in ",;\t")


def _text_or_not(head: bytes) -> Content:
    if head.startswith(_UTF_32):
        return Content(Form.OTHER, "UTF-32 text", "UTF-8, UTF-16 with a byte-order mark, or GB18030")
    text = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith(_UTF_16):
        text = head.decode("utf-16", "replace").encode()
    if len(text) - len(text.translate(None, _CONTROLS)) > len(text) // _FEW:
        return Content(Form.OTHER, "not text")
    start = text.lstrip()
    if _WEB_PAGE.match(start):
        return Content(Form.OTHER, "a web page, not a bill: was the download behind a login?")
    if start.startswith(b"<"):
        return Content(Form.OTHER, "XML, not a bill: perhaps the error that a download ended with")
    return Content(Form.TEXT, "text")
