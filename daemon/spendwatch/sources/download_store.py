"""The download store of a source: incoming, waiting, recorded and rejected files. Only complete files leave incoming.

incoming/            being written; files of a crashed process are removed
pending/ID/          one complete file, not recorded yet, with its name
originals/done/      recorded: the ledger can be rebuilt from these
originals/rejected/  rejected, each with its reason beside it

What is known by a download counts while the file waits, and for good once it is on record.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, Original, SourceName
from spendwatch.sources.files.forgetting import forget
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import MANY, again, readable, reason_name, spelled
from spendwatch.sources.files.on_record import OnRecord
from spendwatch.sources.files.originals import KeptOriginal, folder_at, opened
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import Once, reason_of
from spendwatch.sources.files.tree import Tree, kept_open, make_way
from spendwatch.sources.memory import SourceMemory

_log: FilteringBoundLogger = structlog.get_logger()

_RESERVE = 64 << 20
_TENTH = 10
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OURS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK_EVERY = 16 << 20
_FOLDERS = ("", "incoming", "pending", "originals", *(f"originals/{shelf}" for shelf in Shelf))
_RESUMED = "resumed.download"
_PART = "part"
"""The key under which is remembered of which version there is a part."""


class Part(NamedTuple):
    """So much of a version has reached the disk."""

    of: str = ""
    size: int = 0


class Incoming:
    """A file that is being written. Locked, so that another process does not take it for a dead one's."""

    def __init__(self, path: Path, *, is_new: bool = True) -> None:
        """Create it, or open the one that is there; its name owes nothing to what will be in it."""
        self.path = path
        with usable(path.parent):
            self._descriptor = os.open(path, _OURS | (os.O_EXCL if is_new else 0), 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.close()
                raise
        self.size = self._looked_at = os.lseek(self._descriptor, 0, os.SEEK_END)

    @property
    def identity(self) -> str:
        """What stays the same as long as the file is not written."""
        return Identity.of(os.fstat(self._descriptor)).in_place

    def write(self, piece: bytes) -> None:
        """Append; `SourceUnavailableError` when there is no room."""
        if self.size - self._looked_at >= _LOOK_EVERY:
            self._looked_at = self.size
            make_sure_of_room(self.path.parent)
        view = memoryview(piece)
        with usable(self.path.parent):
            while view:
                written = os.write(self._descriptor, view)
                self.size, view = self.size + written, view[written:]

    def cut(self, size: int) -> None:
        """Keep the beginning alone, and go on behind it."""
        if size != self.size:
            os.ftruncate(self._descriptor, size)
        self.size = self._looked_at = os.lseek(self._descriptor, size, os.SEEK_SET)

    def read(self, size: int, offset: int = 0) -> bytes:
        """Return a part of what was written."""
        return os.pread(self._descriptor, size, offset)

    def digest(self) -> str:
        """Return the SHA-256 of all that was written."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def store(self) -> None:
        """Make sure that a power cut does not take back what was written."""
        with usable(self.path.parent):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of it. Closing it twice does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class DownloadStore:
    """The folders of one source that fetches its files, and what the source remembers."""

    def __init__(self, place: Path, source: SourceName, memory: SourceMemory, monotonic: Callable[[], float]) -> None:
        """Use this folder; it is made, for our eyes alone, when it is first needed."""
        self.source = source
        self.monotonic = monotonic
        self._place = place
        self._memory = memory
        self._record = OnRecord(source, memory, monotonic)
        self._known: dict[str, str] = {}
        self._by: dict[str, str] = {}
        """Of what is known by a download, the id of that."""
        self._once = Once(source)
        self.sweep()

    def sweep(self) -> int:
        """Remove what a dead process left half written, and return how many files that were."""
        for folder, _, _ in os.walk(self._pending, topdown=False):
            if folder != str(self._pending):
                _remove_if_empty(Path(folder))
        return sum(_removed_if_orphaned(path) for path in (self._place / "incoming").glob("*.part"))

    @contextlib.contextmanager
    def resumed_file(self) -> Iterator[Incoming]:
        """Hold the one file that may come in pieces, over several rounds; it stays, unless it is offered or emptied."""
        self._make_folders()
        with contextlib.closing(Incoming(self._place / "incoming" / _RESUMED, is_new=False)) as file:
            yield file

    @contextlib.contextmanager
    def new_file(self) -> Iterator[Incoming]:
        """Hold a new file to write into; unless it is offered, nothing of it stays."""
        self._make_folders()
        path = self._place / "incoming" / f"{secrets.token_hex(16)}.part"
        with contextlib.closing(Incoming(path)) as file:
            try:
                yield file
            finally:
                path.unlink(missing_ok=True)

    @property
    def part(self) -> Part:
        """Of which version there is a part of which nothing is lost, and how much: none if the file was written to since."""
        try:
            of, identity = json.loads(self._known.get(_PART, "[]"))
            seen = (self._place / "incoming" / _RESUMED).stat()
        except (ValueError, OSError):
            return Part()
        return Part(str(of), seen.st_size) if seen.st_size and identity == Identity.of(seen).in_place else Part()

    def keep_part(self, file: Incoming, of: str) -> None:
        """Remember how much of which version is safely here, so that the next round asks for the rest; empty: of none."""
        if of and file.size:
            file.store()
            self.remember({_PART: json.dumps([of, file.identity])})
        else:
            file.cut(0)

    def offer(self, file: Incoming, name: str, known: Mapping[str, str]) -> None:
        """Let a file that is whole wait to be entered under that name, and remember what is known by it."""
        file.store()
        token = secrets.token_hex(8)
        # First what is known: it counts for nothing until the file is there. An unrecorded file would be fetched again.
        self._memory.remember(self.source, known, waiting=token)
        with usable(self._pending):
            _move(file.path, self._pending / token / name)
        self._known.update(known)
        self._by.update(dict.fromkeys(known, token))

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what waits, the longest first."""
        self._look()
        for token, name, _ in self._waiting():
            path = self._pending / token / name
            with contextlib.suppress(FileNotFoundError):
                yield BillFile(name, path, path.stat().st_size, self.source, now)

    def keep(self, file: BillFile) -> None:
        """Put a file away that was entered."""
        self._put_away(file, Shelf.DONE)

    def reject(self, file: BillFile, why: str) -> None:
        """Put a file away that could not be understood, the reason beside it."""
        if final := self._put_away(file, Shelf.REJECTED):
            beside = final.with_name(reason_name(final.name))
            with contextlib.suppress(OSError):
                beside.write_text(why if why.endswith("\n") else f"{why}\n", encoding="utf-8", errors="backslashreplace")

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here, each open until the next is asked for."""
        missed: list[tuple[str, str]] = []
        with self._done(lambda *what: missed.append(what)) as (folder, files):
            for name in sorted(name for name, _ in files):
                with opened(folder, name, name) as found:
                    yield found
        for name, trouble in missed:
            yield KeptOriginal(readable(name), None, trouble)

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        if not (self._place / "originals").is_dir():
            return 0
        self._once.is_over("original_not_forgotten")
        with folder_at(self._place / "originals") as folder:
            removed = forget(folder, self._record.all(), before, self._once.missed("original_not_forgotten"))
        self._record.forget(removed)
        if removed:
            _log.info("originals_forgotten", source=self.source, count=len(removed), before=before)
        return len(removed)

    def known(self) -> Mapping[str, str]:
        """Return what the source remembers, now and as long as it asks no more; that may have to wait for the database."""
        self._look()
        return self._known

    def remember(self, known: Mapping[str, str]) -> None:
        """Remember this, too; what is known by a file that waits counts no longer than what was known by it before."""
        for key, value in known.items():
            token = self._by.get(key, "")
            token = token if (self._pending / token).is_dir() else ""
            self._memory.remember(self.source, {key: value}, waiting=token)
            self._known[key] = value

    def forget(self, keys: Collection[str]) -> None:
        """Forget what is remembered under these keys."""
        self._memory.forget(self.source, keys)
        for key in keys:
            self._known.pop(key, None)

    @property
    def _pending(self) -> Path:
        return self._place / "pending"

    def _look(self) -> None:
        """Know what is on record, if that is news; let wait once more what is not there as it lies here."""
        if not self._record.is_another:
            return
        with self._record.read() as originals:
            on_record = {one.place: one.identity for one in originals}
            with self._done(self._once.missed("file_not_brought_back")) as (_, files):
                lying = [(name, Identity.of(seen).archived) for name, seen in files]
            missing = [name for name, identity in lying if on_record.get(spelled(f"{Shelf.DONE}/{name}")) != identity]
            if missing:
                reason = "the ledger lacks them: they are read again"
                _log.warning("archived_files_read_again", source=self.source, count=len(missing), reason=reason)
            for name in missing:
                with usable(self._pending), contextlib.suppress(FileNotFoundError):
                    _move(self._place / "originals" / Shelf.DONE / name, self._pending / secrets.token_hex(8) / name)
            found = self._memory.recall(self.source, [token for token, _, _ in self._waiting()])
            self._known = {key: value for key, (value, _) in found.items()}
            self._by = {key: token for key, (_, token) in found.items() if token}

    def _waiting(self) -> list[tuple[str, str, os.stat_result]]:
        """Return the id and the name of each file that waits, the longest first."""
        return sorted(waiting_in(self._pending), key=lambda one: (one[2].st_mtime_ns, one[0]))

    @contextlib.contextmanager
    def _done(self, missed: Callable[[str, str], None]) -> Iterator[tuple[int, Iterator[tuple[str, os.stat_result]]]]:
        """Hold the folder of what is on record open, with all that lies in it."""
        done = self._place / "originals" / Shelf.DONE
        if not done.is_dir():
            yield -1, iter(())
            return
        with folder_at(done) as folder:
            yield folder, Tree(folder, deep=True, shut=(), missed=missed).files()

    def _put_away(self, file: BillFile, shelf: Shelf) -> Path | None:
        token, *names = file.path.relative_to(self._pending).parts
        try:
            identity = Identity.of(file.path.stat()).archived
        except FileNotFoundError:
            return None
        latest = [key for key, by in self._by.items() if by == token]
        try:
            final = self._free_place(shelf, names)
            # First on record: what lies here and is not on record would be read again.
            place = spelled(str(final.relative_to(self._place / "originals")))
            self._record.settle(token, Original(place, identity, file.arrived_at), latest)
            _move(file.path, final)
        except (OSError, SourceUnavailableError) as error:
            # It is offered once more, and the ledger knows its bytes already.
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            _log.warning("original_not_moved", source=self.source, name=file.name, shelf=shelf.value, reason=reason)
            return None
        for key in latest:
            del self._by[key]
        for emptied in file.path.parents[: len(names)]:
            _remove_if_empty(emptied)
        return final

    def _free_place(self, shelf: Shelf, names: Sequence[str]) -> Path:
        """Return where a file comes to lie; a folder beside the wanted one where a file has its name already."""
        top = self._place / "originals" / shelf
        top.mkdir(mode=0o700, exist_ok=True)
        with folder_at(top) as opened_top:
            place, way = make_way(opened_top, "/".join(names))
            with place:
                # The folders are ours alone, and one process at a time works on them: the name stays free.
                return next(free for number in range(1, MANY) if not (free := top / way / again(names[-1], number)).exists())

    def _make_folders(self) -> None:
        with usable(self._place):
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in _FOLDERS:
                (self._place / folder).mkdir(mode=0o700, exist_ok=True)
        make_sure_of_room(self._place)


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turn what goes wrong in the folder into `SourceUnavailableError`."""
    try:
        yield
    except OSError as error:
        raise _unusable(folder, error) from error


def make_sure_of_room(folder: Path, more: int = 0) -> None:
    """Raise `SourceUnavailableError` unless so much more leaves the ledger its share of the disk."""
    with usable(folder):
        room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize - more < min(_RESERVE, room.f_blocks * room.f_frsize // _TENTH):
        raise _unusable(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def waiting(place: Path) -> list[tuple[Path, str]]:
    """Return what was fetched and is not entered yet, each file with its name; nothing is created, removed or reported."""
    pending = place / "pending"
    return sorted((pending / token / name, name) for token, name, _ in waiting_in(pending))


def waiting_in(pending: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield the id, the name and the state of each file that waits in the folder."""
    with usable(pending):
        if pending.is_dir():
            with folder_at(pending) as folder:
                for path, seen in Tree(folder, deep=True, shut=(), missed=lambda *_: None).files():
                    token, _, name = path.partition("/")
                    if name and stat.S_ISREG(seen.st_mode):
                        yield token, name, seen


def _move(path: Path, final: Path) -> None:
    """Move a file, and make sure that a power cut does not take it back."""
    _make_private(final.parent)
    path.rename(final)
    # Some file systems cannot; what a power cut undoes is only done again.
    with contextlib.suppress(OSError), kept_open(os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as folder:
        os.fsync(folder)


def _make_private(folder: Path) -> None:
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _removed_if_orphaned(path: Path) -> bool:
    """Remove a file of ours that no living process holds; return whether it is gone."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return False
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(found)
    return True


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _unusable(folder: Path, error: OSError) -> SourceUnavailableError:
    if error.errno in _FULL:
        return SourceUnavailableError(f"no disk space in {folder} for downloads: {error.strerror}")
    return SourceUnavailableError(f"the folder {folder} cannot be used: {error.strerror}")
