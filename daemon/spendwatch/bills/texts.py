"""The texts that a bill file consists of, each as UTF-8, with its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spendwatch.bills.checksum_scan import digest_of
from spendwatch.bills.header import is_header
from spendwatch.bills.names import Told, told_by_part
from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.encodings import HEAD, made_utf_8
from spendwatch.domain.errors import UnreadableBillError, printable


@dataclass(frozen=True, slots=True)
class Text:
    """One text: a table of lines, or answers of the API."""

    name: str
    """The name of the member of an archive, or of the file itself."""
    path: Path
    """Where it stands as UTF-8."""
    head: bytes
    """Its first lines."""
    told: Told
    """The facts in the names of the text and of the file that it came in."""
    is_member: bool
    """Whether it is one of several in its file."""

    def refused(self, error: UnreadableBillError) -> UnreadableBillError:
        """Return the refusals, each naming the member of the archive that it is about."""
        if not self.is_member:
            return error
        refusals = (replace(one, reason=f"{printable(self.name)}: {one.reason}") for one in error.refusals)
        return UnreadableBillError(*refusals, digest=error.digest)


def texts_of(path: Path, *, name: str, folder: Path, progress: Callable[[float], None]) -> tuple[list[Text], list[str]]:
    """Return the texts of the file, and what the operator should know about how they came; the folder is ours alone.

    `UnreadableBillError` if one of them cannot be read.
    """
    found = opened(path, name=name, folder=folder, progress=progress)
    distinct = {digest_of(part.path): part for part in found.parts} if len(found.parts) > 1 else {"": found.parts[0]}
    remarks = list(found.remarks)
    if twice := len(found.parts) - len(distinct):
        members = "1 member of the archive is" if twice == 1 else f"{twice} members of the archive are"
        remarks.append(f"{members} exactly the same as another one; one of each counts")
    texts = []
    for part in distinct.values():
        told = told_by_part(name, part.name)
        text, remark = _decoded(Text(part.name, part.path, b"", told, is_member=len(distinct) > 1), folder)
        texts.append(text)
        remarks.append(remark)
    return texts, list(dict.fromkeys(filter(None, remarks)))


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file: those in which its header is looked for."""
    with path.open("rb") as file:
        return file.read(HEAD)


def _decoded(text: Text, folder: Path) -> tuple[Text, str]:
    try:
        path, remark = made_utf_8(text.path, folder, is_header)
    except UnreadableBillError as error:
        raise text.refused(error) from error
    if path != text.path and text.is_member:
        text.path.unlink()  # room on the disk: what it says stands elsewhere now
    return replace(text, path=path, head=head_of(path)), remark
