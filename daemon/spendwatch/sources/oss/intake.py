"""Downloads one object after the other, over several connections if needed, and queues it for recording."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.files.kept import History, KeptOriginal
from spendwatch.sources.files.shelves import Shelf
from spendwatch.sources.files.skipped import reason_of
from spendwatch.sources.holding import OBJECTS, Holding, Incoming, usable
from spendwatch.sources.oss.client import OssClient
from spendwatch.sources.oss.names import name_of
from spendwatch.sources.oss.objects import StoredObject
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.oss.transfer import ObjectTransfer
from spendwatch.sources.oss.versions import Version, Versions
from spendwatch.sources.oss.waiting import Waiting
from spendwatch.sources.trouble import EndpointError, Trouble

_log: FilteringBoundLogger = structlog.get_logger()

_DIGEST_DIGITS = 32


@dataclass(frozen=True, slots=True)
class _Part:
    """So much of a version has reached the disk."""

    of: str = ""
    size: int = 0


class Intake:
    """What was taken in from one bucket, and what became of it."""

    def __init__(self, name: SourceName, place: Path, store: OssClient, config: OssConfig, history: History) -> None:
        """Keep files below `place`. What was given is given again to a ledger that lacks it by its `history`."""
        self._name = name
        self._place = place
        self._store = store
        self._config = config
        self._holding = Holding(place, name, history)
        self._waiting = Waiting(place, name)
        self._part = _Part()
        self._versions: Versions | None = None

    @property
    def versions(self) -> Versions:
        """Which version of each object was given last: not read before somebody asks, for until then others may write it."""
        if self._versions is None:
            self.recall()
        assert self._versions  # noqa: S101 -- that was just seen to
        return self._versions

    def recall(self) -> None:
        """Read what was remembered, unless that was done."""
        if self._versions is not None:
            return
        self._part = _read(self._holding)
        waiting: list[Version] = []
        with suppress(SourceUnavailableError):  # whoever asks for what waits is told
            waiting += self._waiting.versions()
        self._versions = Versions(self._place / OBJECTS, waiting)

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what was taken in and is not entered yet."""
        yield from self._waiting.arrivals(now)

    def keep(self, path: Path) -> None:
        """Put a file away that was entered."""
        self._settle(path, Shelf.DONE)

    def reject(self, path: Path, why: str) -> None:
        """Put a file away that could not be understood, the reason beside it."""
        self._settle(path, Shelf.REJECTED, why)

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here: private copies, each gone when the next is asked for."""
        return self._holding.originals()

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        return self._holding.forget_originals(before)

    def note_refused(self, answer: bytes) -> None:
        """Lay down an answer that was not understood, for a person to look at."""
        self._holding.note_refused(answer)

    def come_so_far(self, found: StoredObject) -> int:
        """Return how many bytes of this version are safely here."""
        return self._part.size if self._part.of == self._named(found) else 0

    async def take(self, found: StoredObject) -> None:
        """Fetch the object and let it wait, unless it says what it said last. `EndpointError` unless all of it came."""
        if found.size > self._config.most_bytes:
            msg = f"the object {found.shown} has {found.size} bytes, more than max_megabytes allows"
            raise EndpointError(msg, Trouble.UNEXPECTED)
        with self._holding.resumed_file() as file:
            transfer = ObjectTransfer(found, file, have=self.come_so_far(found))
            if self._part.size:
                # While bytes come in, nothing is promised of the part: whoever dies now begins anew, and joins no two versions.
                await self._remember(_Part())
            try:
                await self._store.download(found.key, transfer)
            except (EndpointError, asyncio.CancelledError):  # the daemon may stop: what is here need not be sent again
                await self._keep_part(found, file, can_go_on=transfer.can_go_on)
                raise
            await self._offer(found, file)

    def _settle(self, path: Path, shelf: Shelf, why: str = "") -> None:
        """Put a file away that is done with. Remembered first: what lies on a shelf is never offered again."""
        try:
            if version := self._waiting.version_of(path):
                self.versions.settled(version)
        except OSError as error:
            # It stays, and is offered once more: the ledger knows its bytes already.
            _log.warning("object_not_remembered", source=self._name, name=path.name, reason=reason_of(error))
            return
        self._waiting.put_away(path, shelf, why)
        self._holding.note_history()

    async def _keep_part(self, found: StoredObject, file: Incoming, *, can_go_on: bool) -> None:
        """Remember how much of which version is safely here, so that the next round asks for the rest."""
        if can_go_on and file.size:
            await asyncio.to_thread(file.store)
            await self._remember(_Part(self._named(found), file.size))
        else:
            file.cut(0)

    async def _offer(self, found: StoredObject, file: Incoming) -> None:
        digest = await asyncio.to_thread(file.digest)
        identity = found.identity(self._config.bucket)
        version = self.versions.following(identity, found.state, bytes.fromhex(digest[:_DIGEST_DIGITS]))
        if self.versions.is_news(version):
            await asyncio.to_thread(self._let_wait, file, version, name_of(found.key, self._config.prefix))
        else:
            file.cut(0)
            with usable(self._place):
                await asyncio.to_thread(self.versions.settled, version)

    def _let_wait(self, file: Incoming, version: Version, name: str) -> None:
        self._waiting.offer(file, version, name)
        self.versions.given(version)

    async def _remember(self, part: _Part) -> None:
        self._part = part
        known = {"part_of": part.of, "part_size": part.size}
        await asyncio.to_thread(self._holding.remember, known)

    def _named(self, found: StoredObject) -> str:
        return f"{found.identity(self._config.bucket).hex()}-{found.state.hex()}"


def _read(holding: Holding) -> _Part:
    found = holding.recall()
    of, size = found.get("part_of"), found.get("part_size")
    return _Part(of, size) if isinstance(of, str) and type(size) is int and size > 0 else _Part()
