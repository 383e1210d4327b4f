"""A drop folder as a source of bills. Every poll lists the whole folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch import __version__
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.naming import endings, readable
from spendwatch.sources.files.on_record import OnRecord
from spendwatch.sources.files.originals import (
    KeptOriginal,
    OddFileError,
    Offered,
    ends_like,
    folder_at,
    opened,
    path_of,
    plain_file,
)
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import Once, Skipped, reason_of
from spendwatch.sources.folder.archive import Archive
from spendwatch.sources.folder.in_place import InPlace
from spendwatch.sources.folder.listing import Listing, Presence
from spendwatch.sources.folder.settling import Looks
from spendwatch.sources.memory import SourceMemory

_log: FilteringBoundLogger = structlog.get_logger()

_LARGEST = 64 << 30
"""A sparse file costs its maker nothing, and would keep the reading process busy for days."""

BATCH = 1000
"""Files given in one pass; the rest comes with the next, so that a flood delays other work only so much."""


@dataclass(eq=False)
class FolderSource:
    """Gives the bill files that lie in a folder and have come to rest; they are read where they lie."""

    name: SourceName
    """As the configuration calls it."""
    path: Path
    settle: timedelta
    monotonic: Callable[[], float]
    _: KW_ONLY
    memory: SourceMemory
    """What it says is on record as it lies is done with; what is not is read again."""
    recursive: bool = False
    """Whether all folders below are watched, too."""
    move: bool = True
    """Whether what is done with moves; else what was rejected is done with as long as the `hints` are the same."""
    hints: Callable[[], str] = lambda: ""
    """Tells what the reader is told."""
    others: Callable[[], Iterable[Path]] = tuple
    """Tells which files somebody else reads, wherever they lie: they are no bills."""

    def __post_init__(self) -> None:
        """Watch the folder."""
        self._looks = Looks(self.settle.total_seconds(), self.monotonic)
        self._skipped = Skipped(self.name)
        self._once = Once(self.name)
        self._presence = Presence(self.name, self.path, self.memory, move=self.move)
        self._record = OnRecord(self.name, self.memory, self.monotonic)
        self._finished = (
            Archive(self.name, self.path, self._looks, self._once, self._record, self.monotonic, self.recursive)
            if self.move
            else InPlace(self.name, self._looks, self._record, self._reader, self.recursive)
        )
        self._listing = Listing(self._looks, self._skipped, self._once, self.recursive, self._finished.is_settled, self.others)
        self._held: dict[Path, Offered] = {}

    @property
    def is_unsettled(self) -> bool:
        """Whether another look, a settle time from now, may find more that is ready."""
        return self._looks.is_unsettled

    async def fetch(self, now: datetime) -> bool:
        """Bring nothing here: the folder is here already."""
        del now
        return True

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield the files that are ready, oldest first; each is opened only when it is asked for."""
        for path in tuple(self._held):
            self._leave(path)  # the last pass was interrupted: these will not settle
        try:
            with folder_at(self.path) as folder:
                self._warn_of_strangers(folder)
                self._presence.require(folder)
                self._finished.begin(folder)
                late = self._listing.look(self.path, folder)
                self._finished.seen_all()
                yield from self._offer(folder, now)
                self._presence.note(folder)
        finally:
            self._record.save()
        if trouble := late or self._skipped.trouble:
            raise trouble

    def keep(self, file: BillFile) -> None:
        """Put the original away into `done/`, or remember it, unless it was replaced meanwhile."""
        self._settle(file.path, Shelf.DONE, None)

    def reject(self, file: BillFile, why: str) -> None:
        """Put the original away into `rejected/`, the reason beside it, or remember it, unless it was replaced meanwhile."""
        self._settle(file.path, Shelf.REJECTED, why)

    def leave(self, file: BillFile) -> None:
        """Let the original lie; it is offered again after a pause that grows, or when it changes."""
        self._leave(file.path)

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here, each open until the next is asked for."""
        missed: list[tuple[str, str]] = []
        with folder_at(self.path) as folder:
            for name, place in self._finished.kept(folder, lambda *what: missed.append(what)):
                with opened(folder, place, name) as found:
                    yield found
        for name, trouble in missed:
            yield KeptOriginal(readable(name), None, trouble)

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        removed = self._finished.forget(before)
        if removed:
            _log.info("originals_forgotten", source=self.name, count=removed, before=before)
        return removed

    def _settle(self, path: Path, shelf: Shelf, why: str | None) -> None:
        if original := self._held.pop(path, None):
            os.close(original.descriptor)
            self._finished.settle(original, shelf, why, "" if why is None else self._reader())

    def _leave(self, path: Path) -> None:
        if original := self._held.pop(path, None):
            os.close(original.descriptor)
            self._looks.pause(original.name)

    def _offer(self, folder: int, now: datetime) -> Iterator[BillFile]:
        found = ((name, identity, self._opened(folder, name, identity)) for name, identity in self._looks.settled())
        offered = (Offered(name, identity, now, opened) for name, identity, opened in found if opened is not None)
        for original in islice(offered, BATCH):
            path = path_of(original.descriptor)
            self._held[path] = original
            yield BillFile(readable(original.name), path, original.identity.size, self.name, now, original.identity)

    def _opened(self, folder: int, name: str, identity: Identity) -> int | None:
        """Return the open file, or None if it is not what it was when it had settled, or not to be read (yet)."""
        try:
            with plain_file(folder, name) as original:
                if identity.size > _LARGEST:
                    self._skipped.tell(name, f"larger than {_LARGEST >> 30} GB")
                    return None
                self._skipped.is_over(name)
                is_ready = Identity.of(os.fstat(original)) == identity and self._is_complete(original, name)
                return os.dup(original) if is_ready else None
        except FileNotFoundError:
            return None
        except OddFileError as error:
            self._skipped.tell(name, str(error))
        except OSError as error:
            # Tried again with each look: rights may come from elsewhere, and leave the file as it was.
            self._skipped.tell(name, reason_of(error))
        return None

    def _reader(self) -> str:
        """Return what stands for the reader as it is now: another one may understand what this one rejects."""
        return blake2b(f"{__version__} {self.hints()}".encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()

    def _is_complete(self, original: int, name: str) -> bool:
        # A line that is cut short may still look like a smaller amount: wait for its end, within limits.
        expected = endings(name)
        return not expected or ends_like(original, expected) or self._looks.is_patience_over(name)

    def _warn_of_strangers(self, folder: int) -> None:
        seen = os.fstat(folder)
        is_open_to_all = seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX
        if is_open_to_all or seen.st_uid not in {0, os.geteuid()}:
            reason = "anybody may write into it" if is_open_to_all else f"it belongs to the user with the id {seen.st_uid}"
            self._once.tell("folder_open_to_others", path=str(self.path), reason=reason)
