"""The download store of a source: incoming, waiting, recorded and rejected files. Only complete files leave incoming.

incoming/            being written; files of a crashed process are removed
pending/             complete, not recorded yet
originals/done/      recorded: the ledger can be rebuilt from these
originals/rejected/  rejected, each with its reason beside it
known.json, objects  what was passed on, so that it is not passed on again
history              the mark of the ledger that has it
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.files.forgetting_by_time import forget
from spendwatch.sources.files.kept import MARK, NO_HISTORY, History, KeptOriginal, copied
from spendwatch.sources.files.naming import MANY, again, readable, reason_name
from spendwatch.sources.files.originals import folder_at
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import Once, reason_of
from spendwatch.sources.files.spool import Spool, removed_if_orphaned
from spendwatch.sources.files.tree import Tree

_log: FilteringBoundLogger = structlog.get_logger()

_RESERVE = 64 << 20
_TENTH = 10
_MEMORY = "known.json"
OBJECTS = "objects"
"""Where a source keeps what it knows of many files, each of which was given by itself."""
_HISTORY = "history"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OURS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK_EVERY = 16 << 20
_PIECE = 1 << 20
_FOLDERS = ("", "incoming", "pending", "originals", *(f"originals/{shelf}" for shelf in Shelf))
_RESUMED = "resumed.download"
_NOTE = "last_refused_answer.txt"
_LARGEST_NOTE = 1 << 20


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
        os.ftruncate(self._descriptor, size)
        self.size = self._looked_at = os.lseek(self._descriptor, size, os.SEEK_SET)

    def read(self, size: int, offset: int = 0) -> bytes:
        """Return a part of what was written."""
        return os.pread(self._descriptor, size, offset)

    def digest(self) -> str:
        """Return the SHA-256 of all that was written."""
        sum_ = hashlib.sha256()
        for offset in range(0, self.size, _PIECE):
            sum_.update(self.read(_PIECE, offset))
        return sum_.hexdigest()

    def store(self) -> None:
        """Make sure that a power cut does not take back what was written."""
        with usable(self.path.parent):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of it. Closing it twice does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Holding:
    """The folders of one source that fetches its files."""

    def __init__(self, place: Path, source: SourceName, history: History = NO_HISTORY) -> None:
        """Use this folder; it is made, for our eyes alone, when it is first needed.

        `history` is the ledger's: by it, one begun anew or restored is found to lack what was given to another.
        """
        self._place = place
        self._source = source
        self._history = history
        self._copies = Spool(place / "incoming")
        self._once = Once(source)
        self.sweep()

    def sweep(self) -> int:
        """Remove what a dead process left half written, and return how many files that were."""
        return self._copies.clear() + sum(removed_if_orphaned(path) for path in (self._place / "incoming").glob("*.part"))

    @contextlib.contextmanager
    def resumed_file(self) -> Iterator[Incoming]:
        """Hold the one file that may come in pieces, over several rounds; it stays, unless it is offered or emptied."""
        self._make_folders()
        path = self._place / "incoming" / _RESUMED
        file = Incoming(path, is_new=False)
        try:
            yield file
        finally:
            file.close()

    @contextlib.contextmanager
    def new_file(self) -> Iterator[Incoming]:
        """Hold a new file to write into; unless it is offered, nothing of it stays."""
        self._make_folders()
        path = self._place / "incoming" / f"{secrets.token_hex(16)}.part"
        file = Incoming(path)
        try:
            yield file
        finally:
            file.close()
            path.unlink(missing_ok=True)

    def offer(self, file: Incoming, name: str) -> Path:
        """Let a file that is whole wait to be entered, under that name or one beside it; return where it waits."""
        file.store()
        with usable(self._place / "pending"):
            return self._moved(file.path, self._place / "pending", name)

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what waits, the longest first."""
        for path in self._pending():
            with contextlib.suppress(FileNotFoundError):
                yield BillFile(path.name, path, path.stat().st_size, self._source, now)

    def keep(self, path: Path) -> None:
        """Put a file away that was entered."""
        self._put_away(path, Shelf.DONE)
        self.note_history()

    def reject(self, path: Path, why: str) -> None:
        """Put a file away that could not be understood, the reason beside it."""
        if final := self._put_away(path, Shelf.REJECTED):
            beside = final.with_name(reason_name(final.name))
            with contextlib.suppress(OSError):
                beside.write_text(why if why.endswith("\n") else f"{why}\n", encoding="utf-8", errors="backslashreplace")

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here: private copies, each gone when the next is asked for."""
        shelf = self._place / "originals" / Shelf.DONE
        if not shelf.is_dir():
            return
        missed: list[tuple[str, str]] = []
        with folder_at(shelf) as folder:
            tree = Tree(folder, deep=True, shut=(), missed=lambda *what: missed.append(what))
            for name in sorted(name for name, _ in tree.files()):
                found = copied(folder, name, name, self._copies)
                try:
                    yield found
                finally:
                    if found.path:
                        self._copies.drop(found.path)
        for name, trouble in missed:
            yield KeptOriginal(readable(name), None, trouble)

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        if not (self._place / "originals").is_dir():
            return 0
        self._once.is_over("original_not_forgotten")
        with folder_at(self._place / "originals") as folder:
            removed = sum(forget(folder, shelf, before, self._not_forgotten) for shelf in Shelf)
        if removed:
            _log.info("originals_forgotten", source=self._source, count=removed, before=before)
        return removed

    def recall(self) -> Mapping[str, object]:
        """Return what was remembered last; nothing where nothing readable is left of it, or the ledger lacks what was given."""
        noted = self._noted_mark()
        if noted and not self._history.has_mark(noted):
            # Another ledger, or one restored from a backup. Whatever the source still has is given once more.
            _log.warning(
                "known_bills_forgotten", source=self._source, reason="the ledger is older: all bills are fetched again"
            )
            with contextlib.suppress(OSError):
                for name in (_MEMORY, OBJECTS, _HISTORY):
                    (self._place / name).unlink(missing_ok=True)
            return {}
        try:
            found = json.loads((self._place / _MEMORY).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, known: Mapping[str, object]) -> None:
        """Remember this instead, across restarts."""
        with self.new_file() as file:
            file.write(json.dumps(known, ensure_ascii=False, indent=1).encode())
            file.store()
            with usable(self._place):
                file.path.replace(self._place / _MEMORY)
            store_folder(self._place)

    def note_refused(self, answer: bytes) -> None:
        """Lay down an answer that was not understood, for a person to look at: the latest alone, and its beginning."""
        with contextlib.suppress(SourceUnavailableError, OSError), self.new_file() as file:
            file.write(answer[:_LARGEST_NOTE])
            file.path.replace(self._place / "originals" / _NOTE)

    def note_history(self) -> None:
        """Note which change a ledger must have gone through to have what was given."""
        new = self._place / "incoming" / f"{secrets.token_hex(16)}.part"
        try:
            new.write_text(f"{self._history.mark() or self._noted_mark()}\n", encoding="ascii")
            new.replace(self._place / _HISTORY)
        except OSError as error:
            self._once.tell("revision_not_noted", reason=reason_of(error))
        else:
            self._once.is_over("revision_not_noted")

    def _noted_mark(self) -> str:
        """Return the ledger's mark when a file was last put away; empty where that is not known."""
        try:
            text = (self._place / _HISTORY).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
        return text if MARK.fullmatch(text) else ""

    def _not_forgotten(self, name: str, reason: str) -> None:
        self._once.tell("original_not_forgotten", name=readable(name), reason=reason)

    def _pending(self) -> list[Path]:
        with usable(self._place / "pending"):
            try:
                with os.scandir(self._place / "pending") as entries:
                    seen = [
                        (entry.stat(follow_symlinks=False), entry) for entry in entries if entry.is_file(follow_symlinks=False)
                    ]
            except FileNotFoundError:
                return []
        return [Path(entry.path) for _, entry in sorted(seen, key=lambda one: (one[0].st_mtime_ns, one[1].name))]

    def _put_away(self, path: Path, shelf: Shelf) -> Path | None:
        try:
            return self._moved(path, self._place / "originals" / shelf, path.name)
        except FileNotFoundError:
            return None
        except OSError as error:
            # It is offered once more, and the ledger knows its bytes already.
            _log.warning("original_not_moved", source=self._source, name=path.name, shelf=shelf, reason=error.strerror)
            return None

    def _moved(self, path: Path, folder: Path, name: str) -> Path:
        # The folders are ours alone, and one process at a time works on them: nobody takes the name meanwhile.
        final = next(free for number in range(1, MANY) if not (free := folder / again(name, number)).exists())
        path.rename(final)
        store_folder(folder)
        return final

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


def store_folder(folder: Path) -> None:
    """Make sure that a power cut does not take back which files are in the folder."""
    # Some file systems cannot; what a power cut undoes is only done again.
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _unusable(folder: Path, error: OSError) -> SourceUnavailableError:
    if error.errno in _FULL:
        return SourceUnavailableError(f"no disk space in {folder} for downloads: {error.strerror}")
    return SourceUnavailableError(f"the folder {folder} cannot be used: {error.strerror}")


def waiting(place: Path) -> list[tuple[Path, str]]:
    """Return what was fetched and is not entered yet, each file with its name; nothing is made, swept away or told."""
    try:
        return sorted((path, path.name) for path in (place / "pending").iterdir() if path.is_file())
    except OSError:
        return []
