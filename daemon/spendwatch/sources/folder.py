"""A drop folder as a source of bills. The directory listing is the truth: every poll looks at all of it."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.afterwards import Afterwards
from spendwatch.sources.naming import ends_in_a_line, is_temporary, readable
from spendwatch.sources.originals import (
    OddFileError,
    Shelf,
    ends_with_newline,
    folder_at,
    lay_beside,
    oddity,
    plain_file,
    put_away,
)
from spendwatch.sources.settling import Looks
from spendwatch.sources.skipped import Skipped, reason_of
from spendwatch.sources.spool import Identity, Spool

_log: FilteringBoundLogger = structlog.get_logger()

BATCH = 1000
"""Files given in one pass; the rest comes with the next, so that a flood delays other work only so much."""
MOST_WATCHED = 100_000
"""Files of one folder that are kept in mind; further ones wait until those are gone."""


@dataclass(frozen=True, slots=True)
class _Held:
    """An original whose copy is with the reader."""

    name: str
    identity: Identity


class FolderSource:
    """Gives private copies of the bill files that lie in a folder and have come to rest."""

    def __init__(self, name: SourceName, path: Path, spool: Path, settle: timedelta, monotonic: Callable[[], float]) -> None:
        """Watch `path`; copies go to `spool`, from which those of a dead process are removed now."""
        self._name = name
        self._path = path
        self._spool = Spool(spool)
        self._looks = Looks(settle.total_seconds(), monotonic)
        self._skipped = Skipped(name)
        self._afterwards = Afterwards(name, monotonic)
        self._held: dict[Path, _Held] = {}
        self._told: set[str] = set()
        self.clear_spool()

    @property
    def name(self) -> SourceName:
        """As the configuration calls it."""
        return self._name

    @property
    def is_unsettled(self) -> bool:
        """Whether another look, a settle time from now, may find more that is ready."""
        return self._looks.is_unsettled

    def clear_spool(self) -> int:
        """Remove the copies that a dead process left, and return how many they were."""
        return self._spool.clear()

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield the files that are ready, oldest first; each is copied only when it is asked for."""
        for copy in tuple(self._held):
            self._leave(copy)  # the last pass was broken off: nobody will settle these
        with folder_at(self._path) as folder:
            self._warn_of_strangers(folder)
            self._afterwards.bring_back_what_grew(folder)
            try:
                self._looks.renew(self._listing(folder))
            except OSError as error:
                msg = f"the folder {self._path} cannot be read: {error.strerror}"
                raise SourceUnavailableError(msg) from error
            self._skipped.forget_but(self._looks.names)
            yield from self._offer(folder, now)

    def keep(self, file: BillFile) -> None:
        """Move the original into `done/`, unless it was replaced meanwhile."""
        self._put_away(file.path, Shelf.DONE, None)

    def reject(self, file: BillFile, why: str) -> None:
        """Move the original into `rejected/`, the reason beside it, unless it was replaced meanwhile."""
        self._put_away(file.path, Shelf.REJECTED, why)

    def leave(self, file: BillFile) -> None:
        """Let the original lie; it is offered again after a pause that grows, or when it changes."""
        self._leave(file.path)

    def _leave(self, copy: Path) -> None:
        if held := self._held.pop(copy, None):
            self._looks.pause(held.name)
        self._spool.drop(copy)

    def _listing(self, folder: int) -> Iterator[tuple[str, Identity]]:
        """Return the candidates, the oldest first, those that are out of the game last."""
        found = heapq.nsmallest(MOST_WATCHED + 1, self._candidates(folder))
        if len(found) > MOST_WATCHED:
            self._tell_once("folder_crowded", watched=MOST_WATCHED)
        return ((name, identity) for _, _, name, identity in found[:MOST_WATCHED])

    def _candidates(self, folder: int) -> Iterator[tuple[bool, int, str, Identity]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_temporary(entry.name):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        continue
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._skipped.tell(entry.name, reason_of(error))
                    continue
                if odd := oddity(seen):
                    self._skipped.tell(entry.name, odd)
                elif seen.st_size:
                    identity = Identity.of(seen)
                    yield self._looks.is_retired(entry.name, identity), seen.st_mtime_ns, entry.name, identity

    def _offer(self, folder: int, now: datetime) -> Iterator[BillFile]:
        given = 0
        no_room: SourceUnavailableError | None = None
        too_big = 0
        for name, identity in self._looks.settled():
            if no_room and identity.size >= too_big:
                continue
            try:
                copy = self._take(folder, name, identity)
            except SourceUnavailableError as error:
                no_room, too_big = error, identity.size
                continue
            if copy is None:
                continue
            self._held[copy] = _Held(name, identity)
            given += 1
            yield BillFile(name=readable(name), path=copy, size=identity.size, source=self._name, arrived_at=now)
            if given == BATCH:
                break
        if no_room:
            raise no_room

    def _take(self, folder: int, name: str, identity: Identity) -> Path | None:
        try:
            with plain_file(folder, name) as original:
                return self._spool.take(original, identity) if self._is_complete(original, name) else None
        except FileNotFoundError:
            return None
        except OddFileError as error:
            self._skipped.tell(name, str(error))
        except OSError as error:
            self._skipped.tell(name, reason_of(error))
            self._looks.pause_long(name)
        return None

    def _is_complete(self, original: int, name: str) -> bool:
        # A line that is cut short may still look like a smaller amount: wait for its end, but not for ever.
        return not ends_in_a_line(name) or ends_with_newline(original) or self._looks.is_patience_over(name)

    def _put_away(self, copy: Path, shelf: Shelf, why: str | None) -> None:
        if held := self._held.pop(copy, None):
            try:
                with folder_at(self._path) as folder:
                    self._move(folder, held, shelf, why)
            except SourceUnavailableError as error:
                self._not_moved(held, shelf, str(error))
        self._spool.drop(copy)

    def _move(self, folder: int, held: _Held, shelf: Shelf, why: str | None) -> None:
        try:
            final = put_away(folder, held.name, held.identity, shelf)
        except OSError as error:
            self._not_moved(held, shelf, reason_of(error))
            return
        self._told.discard("original_not_moved")
        self._looks.forget(held.name)
        if final is None:
            return
        self._afterwards.watch(shelf, final, held.name, held.identity)
        if why is not None:
            try:
                lay_beside(folder, shelf, final, why)
            except OSError as error:
                _log.warning("reason_not_written", source=self._name, name=readable(final), reason=reason_of(error))

    def _not_moved(self, held: _Held, shelf: Shelf, reason: str) -> None:
        # Moving is a courtesy: the ledger knows the bytes already, and as long as the file stays as it is, so do we.
        self._looks.retire(held.name, held.identity)
        self._tell_once("original_not_moved", name=readable(held.name), shelf=shelf.value, reason=reason)

    def _warn_of_strangers(self, folder: int) -> None:
        seen = os.fstat(folder)
        is_open_to_all = seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX
        if is_open_to_all or seen.st_uid not in {0, os.geteuid()}:
            reason = "anybody may write into it" if is_open_to_all else f"it belongs to the user with the id {seen.st_uid}"
            self._tell_once("folder_open_to_others", path=str(self._path), reason=reason)

    def _tell_once(self, event: str, **fields: object) -> None:
        if event not in self._told:
            self._told.add(event)
            _log.warning(event, source=self._name, **fields)
