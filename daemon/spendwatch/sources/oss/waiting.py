"""Downloaded objects that are not recorded yet. Each is in a folder named after its version.

A single rename moves a file here and records that it was passed on, in one atomic step.

pending/VERSION/20260915/x.csv     waiting, with the name from its key
originals/done/20260915/x.csv      recorded
originals/rejected/20260915/x.csv  rejected, the reason beside it
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.files.naming import MANY, again, reason_name
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.tree import Place, Tree, make_way
from spendwatch.sources.holding import Incoming, store_folder, usable
from spendwatch.sources.oss.versions import Version

_log: FilteringBoundLogger = structlog.get_logger()


class Waiting:
    """The files of one bucket that wait. The folders are ours alone, and one process at a time works on them."""

    def __init__(self, place: Path, source: SourceName) -> None:
        """Use the folders of that place, which are made by whoever fetches."""
        self._pending = place / "pending"
        self._originals = place / "originals"
        self._source = source
        self.sweep()

    def sweep(self) -> None:
        """Remove the folders that a dead process made, and put nothing into."""
        for folder, _, _ in os.walk(self._pending, topdown=False):
            if folder != str(self._pending):
                _remove_if_empty(Path(folder))

    def versions(self) -> Iterator[Version]:
        """Yield the versions that wait, as far as their files are there."""
        for name in self._files():
            if version := Version.read(name.partition("/")[0]):
                yield version

    def offer(self, file: Incoming, version: Version, name: str) -> None:
        """Let a file that is whole wait to be entered."""
        file.store()
        with usable(self._pending):
            _moved(file.path, self._pending, f"{version.token}/{name}")

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what waits, the longest first."""
        for name in self._files():
            path = self._pending / name
            with suppress(FileNotFoundError):
                yield BillFile(name.partition("/")[2], path, path.stat().st_size, self._source, now)

    def version_of(self, path: Path) -> Version | None:
        """Return which version waits there."""
        return Version.read(path.relative_to(self._pending).parts[0])

    def put_away(self, path: Path, shelf: Shelf, why: str = "") -> None:
        """Move a file onto the shelf that is done with, the reason beside it."""
        name = path.relative_to(self._pending).as_posix().partition("/")[2]
        try:
            (self._originals / shelf).mkdir(mode=0o700, exist_ok=True)
            final = _moved(path, self._originals / shelf, name)
        except OSError as error:
            if path.exists():
                # It is offered once more, and the ledger knows its bytes already.
                _log.warning("original_not_moved", source=self._source, name=name, shelf=shelf.value, reason=error.strerror)
            return
        self._tidy(path.parent)
        if why:
            with suppress(OSError):
                text = why if why.endswith("\n") else f"{why}\n"
                final.with_name(reason_name(final.name)).write_text(text, encoding="utf-8", errors="backslashreplace")

    def _files(self) -> list[str]:
        """Return the names of the files that lie below the folder, the oldest first."""
        with usable(self._pending):
            try:
                with _opened(self._pending) as folder:
                    seen = [one for one in Tree(folder, deep=True, shut=(), missed=self._missed).files() if _is_ours(*one)]
            except FileNotFoundError:
                return []
        return [name for name, _ in sorted(seen, key=lambda one: (one[1].st_mtime_ns, one[0]))]

    def _tidy(self, folder: Path) -> None:
        while folder != self._pending and _remove_if_empty(folder):
            folder = folder.parent

    def _missed(self, name: str, reason: str) -> None:
        _log.warning("file_skipped", source=self._source, name=name, reason=reason)


def waiting(place: Path) -> list[tuple[Path, str]]:
    """Return what was fetched and is not entered yet, each file with its name; nothing is made, swept away or told."""
    pending = place / "pending"
    found = sorted(path for path in pending.rglob("*") if path.is_file() and not path.is_symlink())
    return [(path, path.relative_to(pending).as_posix().partition("/")[2]) for path in found]


def _moved(path: Path, root: Path, name: str) -> Path:
    """Move the file to where the name leads below the root, or to another name beside it; return where it is then."""
    with _opened(root) as folder:
        place, way = make_way(folder, name)
        with place:
            final = _free(place)
            os.rename(path, final, dst_dir_fd=place.folder)
    there = root / way / final
    for parent in there.parents:
        store_folder(parent)
        if parent == root:
            break
    return there


def _is_ours(name: str, seen: os.stat_result) -> bool:
    return stat.S_ISREG(seen.st_mode) and Version.read(name.partition("/")[0]) is not None


def _remove_if_empty(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
        return True
    return False


def _free(place: Place) -> str:
    for number in range(1, MANY):
        if not _is_taken(place, name := again(place.name, number)):
            return name
    msg = f"{MANY} files of this name already"
    raise FileExistsError(errno.EEXIST, msg)


def _is_taken(place: Place, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=place.folder, follow_symlinks=False)
        return True
    return False


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)
