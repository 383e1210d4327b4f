"""A bucket as a source of bills: each new or changed object is downloaded completely. The bucket is never changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.statement import SourceName
from spendwatch.sources.fetching_source import FetchingSource
from spendwatch.sources.files.kept import NO_HISTORY, History
from spendwatch.sources.files.skipped import Skipped
from spendwatch.sources.oss.client import OssClient
from spendwatch.sources.oss.intake import Intake
from spendwatch.sources.oss.objects import StoredObject
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.trouble import EndpointError, Trouble

_log: FilteringBoundLogger = structlog.get_logger()

BATCH = 1000
"""Objects fetched in one round; the rest comes with the next."""
_IN_A_ROW = 3
"""So many objects in trouble one after the other: it is not the objects."""
_OF_ONE_OBJECT = frozenset({Trouble.CHANGING, Trouble.UNEXPECTED, Trouble.PERMISSION, Trouble.REFUSED})
_ARCHIVED_FOR = 6 * 3600.0
"""How long an object that nobody can read is not asked for again. It looks the same when it has been restored."""


class OssSource(FetchingSource):
    """Looks what a bucket holds, and gives what is new as files."""

    def __init__(
        self,
        name: SourceName,
        place: Path,
        store: OssClient,
        config: OssConfig,
        *,
        monotonic: Callable[[], float],
        history: History = NO_HISTORY,
    ) -> None:
        """Keep files below `place`. What was given is given again to a ledger that lacks it by its `history`."""
        self._intake = Intake(name, place, store, config, history)
        super().__init__(name, self._intake, monotonic=monotonic)
        self._store = store
        self._bucket = config.bucket
        self._monotonic = monotonic
        self._skipped = Skipped(name)
        self._troubled: set[bytes] = set()
        """Objects that were in trouble when they were asked for last: they come after all others."""
        self._archived: dict[bytes, float] = {}
        """Objects that nobody can read, and when they are asked for again."""

    async def _ask_for_news(self, now: datetime) -> EndpointError | None:
        del now  # names tell when bills were written, and keys are names
        try:
            await asyncio.to_thread(self._intake.recall)
            return await self._take(await self._new())
        except EndpointError as error:
            if error.answer:
                self._intake.note_refused(error.answer)
            raise

    async def _new(self) -> Sequence[StoredObject]:
        """Return what is new, in the order in which it is fetched. Nothing is, unless the whole listing came."""
        wanted: list[StoredObject] = []
        listed: set[bytes] = set()
        async with aclosing(self._store.pages()) as pages:
            async for page in pages:
                listed.update(map(self._identity, page.objects))
                wanted += filter(self._is_wanted, page.objects)
        self._intake.versions.make_room(listed)
        self._troubled &= listed
        self._archived = {identity: until for identity, until in self._archived.items() if identity in listed}
        self._skipped.forget_but(())
        return sorted(wanted, key=self._turn)[:BATCH]

    def _is_wanted(self, found: StoredObject) -> bool:
        if not found.is_bill or self._intake.versions.knows(self._identity(found), found.state):
            return False
        if found.is_link:
            self._skipped.tell(found.key, "a symbolic link")
        return not found.is_link and self._archived.get(self._identity(found), 0.0) <= self._monotonic()

    def _turn(self, found: StoredObject) -> tuple[bool, bool, str, str]:
        """Order what is wanted: what was begun, then the oldest first, what was in trouble last."""
        return self._identity(found) in self._troubled, not self._intake.come_so_far(found), found.modified, found.key

    async def _take(self, wanted: Sequence[StoredObject]) -> EndpointError | None:
        """Take the objects in; return what was wrong with some of them, if it did not stop the rest."""
        trouble: EndpointError | None = None
        in_a_row = 0
        for found in wanted:
            had = self._intake.come_so_far(found)
            try:
                await self._intake.take(found)
            except EndpointError as error:
                if error.trouble is Trouble.ARCHIVED:
                    self._set_aside(found)
                    continue
                if self._intake.come_so_far(found) <= had:
                    self._troubled.add(self._identity(found))
                _log.warning("object_not_fetched", source=self._name, name=found.shown, reason=str(error))
                trouble, in_a_row = trouble or error, in_a_row + 1
                if error.trouble not in _OF_ONE_OBJECT or in_a_row == _IN_A_ROW:
                    raise
            else:
                self._troubled.discard(self._identity(found))
                in_a_row = 0
        return trouble

    def _set_aside(self, found: StoredObject) -> None:
        self._archived[self._identity(found)] = self._monotonic() + _ARCHIVED_FOR
        self._skipped.tell(found.key, "archived: restore it to have it read")

    def _identity(self, found: StoredObject) -> bytes:
        return found.identity(self._bucket)
