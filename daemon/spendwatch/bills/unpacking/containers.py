"""Converts a bill file of any format to one or several text bills: copied, unpacked, or exported from a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable
from io import FileIO
from pathlib import Path

from spendwatch.bills.unpacking.archives import unpacked_gzip, unpacked_zip
from spendwatch.bills.unpacking.file_types import HEAD, Form, Opened, Part, recognised
from spendwatch.bills.unpacking.limits import LIMITS, Limits, Meter
from spendwatch.bills.unpacking.spreadsheet import written_out
from spendwatch.bills.unpacking.workbook import WORKBOOK
from spendwatch.bills.unpacking.zip_archive import ZipArchive
from spendwatch.domain.errors import Refusal, UnreadableBillError

__all__ = ["Opened", "Part", "opened"]

_OTHER_OFFICE = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint presentation",
}
_SHORTEST = 4
"""Fewer bytes are no bill, and too few to recognize a format."""


def _tell_nobody(_share: float) -> None:
    pass


def opened(
    path: Path,
    *,
    name: str,
    folder: Path,
    limits: Limits = LIMITS,
    progress: Callable[[float], None] = _tell_nobody,
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
        content = recognised(head)
        match content.form:
            case Form.TEXT:
                return Opened((Part(name, path),))
            case Form.GZIP:
                return unpacked_gzip(file, name, folder, _meter(path, folder, limits), progress)
            case Form.ZIP:
                return _unzipped(file, name, folder, _meter(path, folder, limits), progress)
            case Form.OTHER_ARCHIVE | Form.OTHER:
                raise UnreadableBillError(Refusal(content.what, accepts=content.accepts))


def _unzipped(file: FileIO, name: str, folder: Path, meter: Meter, progress: Callable[[float], None]) -> Opened:
    archive = ZipArchive(file, meter.limits)
    names = {member.name for member in archive.members}
    if WORKBOOK in names:
        return written_out(archive, name, folder, meter, progress)
    for sign, what in _OTHER_OFFICE.items():
        if sign in names:
            raise UnreadableBillError(Refusal(what, accepts="xlsx or csv"))
    return unpacked_zip(archive, folder, meter, progress)


def _meter(path: Path, folder: Path, limits: Limits) -> Meter:
    return Meter(limits, folder, packed=path.stat().st_size)
