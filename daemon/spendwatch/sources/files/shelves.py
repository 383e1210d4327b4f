"""Our own folders `done/` and `rejected/`: files move there without overwriting anything. Never opens a bill."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from enum import StrEnum

from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import MANY, reason_name, twins
from spendwatch.sources.files.tree import Place, enter, find, kept_open, make_folder, make_way

_OURS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Shelf(StrEnum):
    """Which of them."""

    DONE = "done"
    REJECTED = "rejected"


def put_away(folder: int, name: str, identity: Identity, shelf: Shelf) -> str | None:
    """Move the file onto the shelf and return its name there, or None when the name is no longer that very file.

    A file from a folder below goes to the same place below the shelf.
    """
    try:
        found = find(folder, name)
    except FileNotFoundError:
        return None
    with found as source:
        if _look(source) != identity:
            return None
        target, way = _way_on(folder, shelf, name)
        with target:
            final = _move(source, target, identity)
            if not _is_there(Place(target.folder, final), identity):
                # Replaced between the check and the move: this one is not read yet, so it goes back.
                _move(Place(target.folder, final), source, None)
                return None
            with contextlib.suppress(OSError):  # some file systems cannot; a move undone by a power cut is only done again
                os.fsync(target.folder)
    return way + final


def lay_beside(folder: int, shelf: Shelf, final: str, why: str) -> None:
    """Write the reason into a text file beside what lies on the shelf."""
    with find(folder, f"{shelf}/{final}") as place:
        _, descriptor = _reserve(place.folder, reason_name(place.name))
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(why if why.endswith("\n") else f"{why}\n")


def bring_back(folder: int, shelf: Shelf, final: str, name: str) -> str:
    """Move a file from the shelf back into the folder, and return its name there."""
    with find(folder, f"{shelf}/{final}") as source:
        if shelf is Shelf.REJECTED:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(reason_name(source.name), dir_fd=source.folder)
        target, way = make_way(folder, name)
        with target:
            return way + _move(source, target, None)


def seen_on(folder: int, shelf: Shelf, final: str) -> Identity | None:
    """Return what lies on the shelf under that name, if anything does."""
    try:
        with find(folder, f"{shelf}/{final}") as place:
            return _look(place)
    except OSError:
        return None


def _way_on(folder: int, shelf: Shelf, name: str) -> tuple[Place, str]:
    make_folder(folder, shelf)
    with kept_open(enter(folder, shelf)) as opened:
        return make_way(opened, name)


def _look(place: Place) -> Identity | None:
    try:
        return Identity.of(os.stat(place.name, dir_fd=place.folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _is_there(place: Place, identity: Identity) -> bool:
    found = _look(place)
    return found is not None and found.is_same_file(identity)


def _move(source: Place, target: Place, identity: Identity | None) -> str:
    final, placeholder = _reserve(target.folder, target.name)
    os.close(placeholder)
    try:
        os.rename(source.name, final, src_dir_fd=source.folder, dst_dir_fd=target.folder)
    except OSError:
        # Network file systems report errors for renames that took place: look before believing.
        arrived = Place(target.folder, final)
        if identity is None or not _is_there(arrived, identity) or _look(source) is not None:
            _remove_placeholder(arrived)
            raise
    return final


def _reserve(folder: int, wanted: str) -> tuple[str, int]:
    """Take the first free name by creating an empty file: a rename onto our own placeholder overwrites no other file.

    An empty file of that name is a placeholder too: of a process that was killed before its rename.
    """
    for name in twins(wanted):
        with contextlib.suppress(FileExistsError):
            return name, os.open(name, _OURS | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
        with contextlib.suppress(OSError):
            left = os.open(name, _OURS | os.O_NONBLOCK, dir_fd=folder)
            seen = os.fstat(left)
            if stat.S_ISREG(seen.st_mode) and not seen.st_size:
                return name, left
            os.close(left)
    msg = f"{MANY} files of this name already"
    raise FileExistsError(errno.EEXIST, msg)


def _remove_placeholder(place: Place) -> None:
    with contextlib.suppress(OSError):
        if os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_size == 0:
            os.unlink(place.name, dir_fd=place.folder)
