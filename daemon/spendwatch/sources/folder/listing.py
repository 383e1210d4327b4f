"""The candidates in a drop folder, the oldest first. Files that cannot be bills are skipped and reported once."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.failure import Failure
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import spelled
from spendwatch.sources.files.originals import OddFileError, folder_at, oddity, plain_file
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import Once, Skipped, reason_of
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree
from spendwatch.sources.folder.settling import Looks
from spendwatch.sources.memory import SourceMemory

MOST_WATCHED = 100_000
"""Files of one folder that are kept in mind; further ones wait until those are gone."""

_FOLDER = "folder"
"""The key under which it is remembered which folder was there."""

IsSettled = Callable[[str, Identity], bool]


@dataclass(slots=True, eq=False)
class Listing:
    """Looks at a folder, and at those below it if they may hold bills, too."""

    looks: Looks
    """Where is noted what there is."""
    skipped: Skipped
    once: Once
    deep: bool
    is_settled: IsSettled
    """Tells which files are done with, and stay where they are: they are no candidates."""
    others: Callable[[], Iterable[Path]] = tuple
    """Tells which are none either."""

    def look(self, path: Path, folder: int) -> SourceUnavailableError | None:
        """List the open folder. Returns what to report after the files found have been processed."""
        shut = () if self.deep else _below(path, self.others())
        tree = Tree(folder, deep=self.deep, shut=(*Shelf, *shut), missed=self.skipped.tell)
        try:
            self.looks.renew(self._oldest_first(tree))
        except OSError as error:
            msg = f"the folder {path} cannot be read: {error.strerror}"
            raise SourceUnavailableError(msg) from error
        self.skipped.forget_but(self.looks.names)
        if not tree.is_cut:
            return None
        return SourceUnavailableError(f"the folder {path} has more than {MOST_FOLDERS} folders below it: not all are read")

    def _oldest_first(self, tree: Tree) -> Iterator[tuple[str, Identity]]:
        """Return the candidates, the oldest first, those that are out of the game last."""
        found = heapq.nsmallest(MOST_WATCHED + 1, self._candidates(tree))
        if len(found) > MOST_WATCHED:
            self.once.tell("folder_crowded", watched=MOST_WATCHED)
        return ((name, identity) for _, _, name, identity in found[:MOST_WATCHED])

    def _candidates(self, tree: Tree) -> Iterator[tuple[bool, int, str, Identity]]:
        others = _files_of(self.others())
        for name, seen in tree.files():
            if (seen.st_dev, seen.st_ino) in others:
                continue
            if odd := oddity(seen):
                self.skipped.tell(name, odd)
            elif seen.st_size:
                identity = Identity.of(seen)
                if not self.is_settled(name, identity):
                    yield self.looks.is_retired(name, identity), seen.st_mtime_ns, name, identity


class Presence:
    """Notices that a folder is no longer the one that it was, as when a mount went away and its empty mount point shows."""

    def __init__(self, source: SourceName, path: Path, memory: SourceMemory, *, move: bool) -> None:
        """Know the folder by our archive in it, or, where nothing is moved, by not being empty; also after a restart."""
        self._source = source
        self._path = path
        self._memory = memory
        self._marks = tuple(Shelf) if move else ()
        self._was_there = False

    def require(self, folder: int) -> None:
        """Raise `SourceUnavailableError` if what was in the open folder, also before a restart, is all gone."""
        if self.note(folder):
            return
        self._was_there = self._was_there or self._is_remembered()
        if self._was_there:
            what, mark = ("done/ and rejected/ are", "mkdir done") if self._marks else ("all that was there is", "touch .keep")
            msg = f"{what} gone from {self._path}: mount it again; if it is empty on purpose, say so there: {mark}"
            raise SourceUnavailableError(msg, Failure.GONE)

    def require_at(self, path: Path) -> None:
        """Do the same with the folder at that path."""
        with folder_at(path) as folder:
            self.require(folder)

    def note(self, folder: int) -> bool:
        """Remember an entry that identifies the open folder later; return whether there is one."""
        with os.scandir(folder) as entries:
            is_there = any(not self._marks or entry.name in self._marks for entry in entries)
        if is_there and not self._was_there:
            self._was_there = True
            if not self._is_remembered():
                self._memory.remember(self._source, {_FOLDER: spelled(str(self._path))})
        return is_there

    def _is_remembered(self) -> bool:
        return self._memory.recall(self._source).get(_FOLDER) == (spelled(str(self._path)), "")


def waiting(
    source: SourceName, path: Path, *, deep: bool, others: Iterable[Path] = ()
) -> tuple[list[str], SourceUnavailableError | None]:
    """Return the names of all files that lie there and could be bills, settled or not, and what else cannot be read."""
    known, skipped = _files_of(others), Skipped(source)
    with folder_at(path) as folder:
        shut = () if deep else _below(path, others)
        tree = Tree(folder, deep=deep, shut=(*Shelf, *shut), missed=skipped.tell)
        found = ((name, seen) for name, seen in tree.files() if (seen.st_dev, seen.st_ino) not in known)
        names = [name for name, seen in found if (seen.st_size or oddity(seen)) and _is_readable(folder, name, skipped)]
        return sorted(names), skipped.trouble


def _is_readable(folder: int, name: str, skipped: Skipped) -> bool:
    try:
        with plain_file(folder, name):
            return True
    except OddFileError as error:
        skipped.tell(name, str(error))
    except OSError as error:
        skipped.tell(name, reason_of(error))
    return False


def _below(path: Path, others: Iterable[Path]) -> Iterator[str]:
    """Yield the names in the folder by which one comes to the others that lie below it."""
    real = Path(os.path.realpath(path))
    places = (Path(os.path.realpath(other)) for other in others)
    return (place.relative_to(real).parts[0] for place in places if real in place.parents)


def _files_of(paths: Iterable[Path]) -> frozenset[tuple[int, int]]:
    """Return the identities of these files, however a path spells them; missing files are left out."""
    found = []
    for path in paths:
        with suppress(OSError):
            seen = path.stat(follow_symlinks=False)
            found.append((seen.st_dev, seen.st_ino))
    return frozenset(found)
