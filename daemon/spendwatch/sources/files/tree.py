"""A folder and its sub-folders: each is opened relative to its open parent, never by a path or through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

from spendwatch.sources.files.naming import MANY, is_temporary, twins
from spendwatch.sources.files.skipped import NOT_RECURSIVE, reason_of

DEEPEST = 16
"""Folders are entered down to this level below the first."""
MOST_FOLDERS = 100_000
"""Folders that one look enters."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})
_GONE = _NO_FOLDER | {errno.ENOENT}


class Place(NamedTuple):
    """A name in a folder that is held open until the end of a `with` block."""

    folder: int
    name: str

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the folder."""
        os.close(self.folder)


@contextmanager
def kept_open(descriptor: int) -> Iterator[int]:
    """Give what is open already, and close it at the end of the `with` block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def enter(folder: int, name: str) -> int:
    """Open the folder of that name; a link to one is none."""
    return os.open(name, _FOLDER, dir_fd=folder)


def find(folder: int, name: str) -> Place:
    """Go where the name leads, its parts joined by `/`; `FileNotFoundError` when a part of the way is no folder (any more)."""
    *way, last = name.split("/")
    here = os.dup(folder)
    for step in way:
        here = _step(here, step)
    return Place(here, last)


def make_way(folder: int, name: str) -> tuple[Place, str]:
    """Go where the name leads and make the folders that are missing. Returns also the way, as it begins the names there.

    Where something else has a folder's name already, a twin of it is made.
    """
    *way, last = name.split("/")
    here, taken = os.dup(folder), ""
    for step in way:
        with kept_open(here):
            below, called = _made(here, step)
        here, taken = below, f"{taken}{called}/"
    return Place(here, last), taken


def make_folder(folder: int, name: str) -> None:
    """Make a folder, unless the name is taken, for the eyes that may see the one above."""
    with suppress(FileExistsError):
        os.mkdir(name, stat.S_IMODE(os.fstat(folder).st_mode) & 0o777, dir_fd=folder)


def _step(here: int, name: str) -> int:
    try:
        return enter(here, name)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
        raise
    finally:
        os.close(here)


def _made(folder: int, wanted: str) -> tuple[int, str]:
    for name in twins(wanted):
        make_folder(folder, name)
        try:
            return enter(folder, name), name
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
    msg = f"{MANY} files of this name already"
    raise FileExistsError(errno.EEXIST, msg)


class Tree:
    """One look at a folder and, if it is deep, at those below it. Holds one folder a level open, and no list of anything."""

    def __init__(self, folder: int, *, deep: bool, shut: Collection[str], missed: Callable[[str, str], None]) -> None:
        """Look at an open folder; those below it that are called `shut` are not entered, nor any unless it is deep.

        `missed` hears what cannot be seen and why; a folder's name ends with `/`.
        """
        self._folder = folder
        self._is_deep = deep
        self._shut = frozenset(shut)
        # Where capitals do not count, a folder may be called otherwise than we call it.
        self._same = frozenset(filter(None, (_whom(folder, name) for name in shut)))
        self._missed = missed
        self._entered = 0
        self.is_cut = False
        """Whether there were more folders than one look enters."""

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield everything that is no folder, with its name below the first one, parts joined by `/`."""
        return self._files(self._folder, "", 0)

    def _files(self, folder: int, above: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_temporary(entry.name):
                    continue
                name = above + entry.name
                try:
                    seen = None if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._missed(name, reason_of(error))
                    continue
                if seen is not None:
                    yield name, seen
                elif depth or entry.name not in self._shut:
                    yield from self._below(Place(folder, entry.name), name, depth + 1)

    def _below(self, place: Place, name: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
        if depth > DEEPEST:
            self._missed(f"{name}/", f"more than {DEEPEST} folders deep")
            return
        try:
            folder = enter(place.folder, place.name)
        except OSError as error:
            if error.errno not in _GONE:
                self._missed(f"{name}/", reason_of(error))
            return
        try:
            if not self._is_deep:
                self._pass_over(folder, name)
            elif self._may_look_into(folder, depth):
                yield from self._files(folder, f"{name}/", depth)
        except OSError as error:
            self._missed(f"{name}/", reason_of(error))
        finally:
            os.close(folder)

    def _pass_over(self, folder: int, name: str) -> None:
        """Say that a folder is not looked into, if it holds anything."""
        with os.scandir(folder) as entries:
            if _who(os.fstat(folder)) not in self._same and not all(is_temporary(entry.name) for entry in entries):
                self._missed(f"{name}/", NOT_RECURSIVE)

    def _may_look_into(self, folder: int, depth: int) -> bool:
        if depth == 1 and _who(os.fstat(folder)) in self._same:
            return False
        self.is_cut = self.is_cut or self._entered >= MOST_FOLDERS
        self._entered += 1
        return not self.is_cut


def _who(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino


def _whom(folder: int, name: str) -> tuple[int, int] | None:
    try:
        return _who(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return None
