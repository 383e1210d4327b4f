"""What a look at a drop folder finds: the candidates, the oldest first. What cannot be a bill is passed over, and told once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.sources.files.originals import folder_at, oddity
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import Once, Skipped
from spendwatch.sources.files.spool import Identity
from spendwatch.sources.files.tree import MOST_FOLDERS, Tree
from spendwatch.sources.folder.settling import Looks

MOST_WATCHED = 100_000
"""Files of one folder that are kept in mind; further ones wait until those are gone."""

IsSettled = Callable[[str, Identity], bool]


class Listing:
    """Looks at a folder, and at those below it if they may hold bills, too."""

    def __init__(
        self,
        looks: Looks,
        skipped: Skipped,
        once: Once,
        *,
        deep: bool,
        is_settled: IsSettled,
        others: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        """Note in `looks` what there is.

        Files that are settled already, and stay where they are, are none of it, and neither are those of `others`.
        """
        self._looks = looks
        self._skipped = skipped
        self._once = once
        self._deep = deep
        self._is_settled = is_settled
        self._others = others

    def look(self, path: Path, folder: int) -> SourceUnavailableError | None:
        """Look at the open folder. Returns what is to be told when the files found have had their turn."""
        tree = Tree(folder, deep=self._deep, shut=tuple(Shelf), missed=self._skipped.tell)
        try:
            self._looks.renew(self._oldest_first(tree))
        except OSError as error:
            msg = f"the folder {path} cannot be read: {error.strerror}"
            raise SourceUnavailableError(msg) from error
        self._skipped.forget_but(self._looks.names)
        if not tree.is_cut:
            return None
        return SourceUnavailableError(f"the folder {path} has more than {MOST_FOLDERS} folders below it: not all are looked at")

    def _oldest_first(self, tree: Tree) -> Iterator[tuple[str, Identity]]:
        """Return the candidates, the oldest first, those that are out of the game last."""
        found = heapq.nsmallest(MOST_WATCHED + 1, self._candidates(tree))
        if len(found) > MOST_WATCHED:
            self._once.tell("folder_crowded", watched=MOST_WATCHED)
        return ((name, identity) for _, _, name, identity in found[:MOST_WATCHED])

    def _candidates(self, tree: Tree) -> Iterator[tuple[bool, int, str, Identity]]:
        others = _files_of(self._others())
        for name, seen in tree.files():
            if (seen.st_dev, seen.st_ino) in others:
                continue
            if odd := oddity(seen):
                self._skipped.tell(name, odd)
            elif seen.st_size:
                identity = Identity.of(seen)
                if not self._is_settled(name, identity):
                    yield self._looks.is_retired(name, identity), seen.st_mtime_ns, name, identity


def waiting(path: Path, *, deep: bool, others: Iterable[Path] = ()) -> list[str]:
    """Return the names of all files that lie there and could be bills, settled or not; nothing is told."""
    known = _files_of(others)
    with folder_at(path) as folder:
        tree = Tree(folder, deep=deep, shut=tuple(Shelf), missed=lambda *_: None)
        found = ((name, seen) for name, seen in tree.files() if (seen.st_dev, seen.st_ino) not in known)
        return sorted(name for name, seen in found if seen.st_size and not oddity(seen))


def _files_of(paths: Iterable[Path]) -> frozenset[tuple[int, int]]:
    """Return which files these are, however a path spells them; what is not there is nobody's."""
    found = []
    for path in paths:
        with suppress(OSError):
            seen = path.stat(follow_symlinks=False)
            found.append((seen.st_dev, seen.st_ino))
    return frozenset(found)
