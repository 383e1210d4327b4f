"""Opens the files of a folder safely, new ones and archived ones. Never parses them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.skipped import HARD_LINK, LINK, reason_of
from spendwatch.sources.files.tree import find, kept_open

_TAIL = 64
"""Bytes at the end of a file in which its last character is looked for."""


class Offered(NamedTuple):
    """A file of the folder, as it was when it had settled."""

    name: str
    """Below the folder, its parts joined by `/`."""
    identity: Identity
    seen_at: datetime
    descriptor: int
    """It is open, so that nothing takes its place while it is read."""


class OddFileError(Exception):
    """A thing in the folder that we do not read; the message says why."""


@contextlib.contextmanager
def folder_at(path: Path) -> Iterator[int]:
    """Hold the drop folder open, or raise `SourceUnavailableError`. Nothing is created: a missing folder is reported."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        msg = f"the folder {path} cannot be read: {error.strerror}"
        raise SourceUnavailableError(msg) from error
    with kept_open(folder):
        yield folder


def oddity(seen: os.stat_result) -> str:
    """Return why such a thing is not read, or an empty text for a plain file with one name."""
    if stat.S_ISLNK(seen.st_mode):
        return LINK
    if not stat.S_ISREG(seen.st_mode):
        return "not a regular file"
    # A hard link may lead to a file that its maker could not read: we must not read it for them.
    return f"{HARD_LINK}: the file has {seen.st_nlink} names" if seen.st_nlink > 1 else ""


@contextlib.contextmanager
def plain_file(folder: int, name: str) -> Iterator[int]:
    """Hold a regular file open that has just this one name; `OddFileError` for all else. Never waits, never follows."""
    with find(folder, name) as place:
        original = os.open(
            place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=place.folder
        )
    with kept_open(original):
        if odd := oddity(os.fstat(original)):
            raise OddFileError(odd)
        yield original


def path_of(original: int) -> Path:
    """Return a path that leads to an open file, whatever its name leads to by now, for the reading process, too."""
    return Path(f"/proc/{os.getpid()}/fd/{original}")


def ends_like(original: int, endings: tuple[bytes, ...]) -> bool:
    """Return whether the file ends with one of these, blanks behind it left aside."""
    tail = os.pread(original, _TAIL, max(0, os.fstat(original).st_size - _TAIL))
    return tail.endswith(endings) or tail.rstrip().endswith(endings)


class KeptOriginal(NamedTuple):
    """An original, or a folder of them, that should be readable."""

    name: str
    """As the ledger has it, unless another of that name was there before; a folder's ends with `/`."""
    path: Path | None
    """Where it is open, until the next is asked for; None if it cannot be read."""
    trouble: str = ""
    """Why it cannot be read."""


@contextlib.contextmanager
def opened(folder: int, place: str, name: str) -> Iterator[KeptOriginal]:
    """Hold a kept original open."""
    with contextlib.ExitStack() as stack:
        try:
            found = KeptOriginal(readable(name), path_of(stack.enter_context(plain_file(folder, place))))
        except OddFileError as error:
            found = KeptOriginal(readable(name), None, str(error))
        except OSError as error:
            found = KeptOriginal(readable(name), None, reason_of(error))
        yield found
