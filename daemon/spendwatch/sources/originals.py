"""The files of a drop folder: opened without falling into a trap, moved without overwriting anything. Never reads them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.naming import extended, twin
from spendwatch.sources.spool import Identity

_TWINS = 10_000
_WHY = ".why.txt"


class Shelf(StrEnum):
    """Our own folders inside the drop folder."""

    DONE = "done"
    REJECTED = "rejected"


class OddFileError(Exception):
    """A thing in the folder that we do not read; the message says why."""


@contextlib.contextmanager
def folder_at(path: Path) -> Iterator[int]:
    """Hold the drop folder open, or raise `SourceUnavailableError`. Nothing is created: a missing folder is a fact to tell."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        msg = f"the folder {path} cannot be read: {error.strerror}"
        raise SourceUnavailableError(msg) from error
    try:
        yield folder
    finally:
        os.close(folder)


def oddity(seen: os.stat_result) -> str:
    """Return why such a thing is not read, or an empty text for a plain file with one name."""
    if stat.S_ISLNK(seen.st_mode):
        return "a symbolic link"
    if not stat.S_ISREG(seen.st_mode):
        return "not a regular file"
    # A hard link may lead to a file that its maker could not read: we must not read it for them.
    return f"a hard link: the file has {seen.st_nlink} names" if seen.st_nlink > 1 else ""


@contextlib.contextmanager
def plain_file(folder: int, name: str) -> Iterator[int]:
    """Hold a regular file open that has just this one name; `OddFileError` for all else. Never waits, never follows."""
    original = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
    try:
        if odd := oddity(os.fstat(original)):
            raise OddFileError(odd)
        yield original
    finally:
        os.close(original)


def ends_with_newline(original: int) -> bool:
    """Tell whether the last character is a newline, in UTF-8 and its like or in UTF-16."""
    tail = os.pread(original, 2, max(0, os.fstat(original).st_size - 2))
    return tail.endswith(b"\n") or tail == b"\n\x00"


def put_away(folder: int, name: str, identity: Identity, shelf: Shelf) -> str | None:
    """Move the file onto the shelf and return its name there, or None when the name is no longer that very file."""
    if _look(folder, name) != identity:
        return None
    with _shelf(folder, shelf) as target:
        final = _move(Place(folder, name), target, identity)
        if not _is_there(target, final, identity):
            # Replaced between the look and the move: nobody has read this one yet, so it goes back.
            _move(Place(target, final), folder, None, wanted=name)
            return None
        with contextlib.suppress(OSError):  # some file systems cannot; a move undone by a power cut is only done again
            os.fsync(target)
    return final


def lay_beside(folder: int, shelf: Shelf, final: str, why: str) -> None:
    """Write the reason into a text file beside what lies on the shelf."""
    with _shelf(folder, shelf) as target:
        _, descriptor = _reserve(target, extended(final, _WHY))
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(why if why.endswith("\n") else f"{why}\n")


def bring_back(folder: int, shelf: Shelf, final: str, name: str) -> str:
    """Move a file from the shelf back into the folder, and return its name there."""
    with _shelf(folder, shelf) as source:
        if shelf is Shelf.REJECTED:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(extended(final, _WHY), dir_fd=source)
        return _move(Place(source, final), folder, None, wanted=name)


def seen_on(folder: int, shelf: Shelf, final: str) -> Identity | None:
    """Return what lies on the shelf under that name, if anything does."""
    try:
        return _look(folder, f"{shelf}/{final}")
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """A name in an open folder."""

    folder: int
    name: str


@contextlib.contextmanager
def _shelf(folder: int, shelf: Shelf) -> Iterator[int]:
    with contextlib.suppress(FileExistsError):
        os.mkdir(shelf, stat.S_IMODE(os.fstat(folder).st_mode) & 0o777, dir_fd=folder)
    opened = os.open(shelf, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


def _look(folder: int, name: str) -> Identity | None:
    try:
        return Identity.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _is_there(folder: int, name: str, identity: Identity) -> bool:
    found = _look(folder, name)
    return found is not None and found.is_same_file(identity)


def _move(source: Place, target: int, identity: Identity | None, *, wanted: str | None = None) -> str:
    final, placeholder = _reserve(target, wanted or source.name)
    os.close(placeholder)
    try:
        os.rename(source.name, final, src_dir_fd=source.folder, dst_dir_fd=target)
    except OSError:
        # Network file systems report errors for renames that took place: look before believing.
        has_arrived = identity is not None and _is_there(target, final, identity) and _look(source.folder, source.name) is None
        if not has_arrived:
            _remove_placeholder(Place(target, final))
            raise
    return final


_OURS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def _reserve(folder: int, wanted: str) -> tuple[str, int]:
    """Take the first free name by creating an empty file: a rename onto our own placeholder overwrites nobody's file.

    An empty file of that name is a placeholder too: of a process that was killed before its rename.
    """
    for number in range(1, _TWINS):
        name = twin(wanted, number)
        with contextlib.suppress(FileExistsError):
            return name, os.open(name, _OURS | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
        with contextlib.suppress(OSError):
            left = os.open(name, _OURS | os.O_NONBLOCK, dir_fd=folder)
            seen = os.fstat(left)
            if stat.S_ISREG(seen.st_mode) and not seen.st_size:
                return name, left
            os.close(left)
    msg = f"{_TWINS} files of this name already"
    raise FileExistsError(errno.EEXIST, msg)


def _remove_placeholder(place: Place) -> None:
    with contextlib.suppress(OSError):
        if os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_size == 0:
            os.unlink(place.name, dir_fd=place.folder)
