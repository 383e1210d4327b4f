"""A bucket as a source of bills: each new or changed object is downloaded completely. The bucket is never changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.sources.download import Download
from spendwatch.sources.download_store import DownloadStore, Incoming
from spendwatch.sources.fetching_source import FetchingSource
from spendwatch.sources.files.skipped import Skipped
from spendwatch.sources.oss.client import OssClient
from spendwatch.sources.oss.listing import StoredObject, name_of
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.trouble import EndpointError, Failure

_log: FilteringBoundLogger = structlog.get_logger()

BATCH = 1000
"""Objects fetched in one round; the rest comes with the next."""
_IN_A_ROW = 3
"""After so many failing objects in a row the store is at fault."""
_OF_ONE_OBJECT = frozenset({Failure.CHANGING, Failure.UNEXPECTED, Failure.PERMISSION, Failure.REFUSED})
_ARCHIVED_FOR = 6 * 3600.0
"""How long an unreadable object is not requested again. A restored one looks the same in the listing."""
_MOST_KNOWN = 200_000
"""Objects of one source; so many cost 60 MB."""
_DIGEST_DIGITS = 32
_OBJECT = "object/"
"""Before what stands for an object, the key under which its last version is remembered: its state and its content."""


class OssSource(FetchingSource):
    """Looks what a bucket holds, and gives what is new as files."""

    def __init__(self, downloads: DownloadStore, store: OssClient, config: OssConfig) -> None:
        """Keep files in that store."""
        super().__init__(downloads)
        self._store = store
        self._config = config
        self._skipped = Skipped(downloads.source)
        self._troubled: set[str] = set()
        """Objects whose last request failed: they come after all others."""
        self._archived: dict[str, float] = {}
        """Unreadable objects, and when they are requested again."""

    async def _ask_for_news(self, now: datetime) -> EndpointError | None:
        del now  # names tell when bills were written, and keys are names
        return await self._take_each(await self._new())

    async def _new(self) -> Sequence[StoredObject]:
        """Return what is new, in the order in which it is fetched. Nothing is, unless the whole listing came."""
        wanted: list[StoredObject] = []
        listed: set[str] = set()
        async with aclosing(self._store.pages()) as pages:
            async for page in pages:
                listed.update(map(self._key, page.objects))
                wanted += filter(self._is_wanted, page.objects)
        if len(self._known) > _MOST_KNOWN:
            gone = [key for key in self._known if key.startswith(_OBJECT) and key not in listed]
            await asyncio.to_thread(self._downloads.forget, gone)
        self._troubled &= listed
        self._archived = {key: until for key, until in self._archived.items() if key in listed}
        self._skipped.forget_but(())
        begun = self._downloads.part.of
        return sorted(wanted, key=lambda found: self._turn(found, begun))[:BATCH]

    def _is_wanted(self, found: StoredObject) -> bool:
        state, _, _ = self._known.get(self._key(found), "").partition(" ")
        if not found.is_bill or state == found.state:
            return False
        if found.is_link:
            self._skipped.tell(found.key, "a symbolic link")
        return not found.is_link and self._archived.get(self._key(found), 0.0) <= self._downloads.monotonic()

    def _turn(self, found: StoredObject, begun: str) -> tuple[bool, bool, str, str]:
        """Order what is wanted: started downloads first, then the oldest; failed ones last."""
        return self._key(found) in self._troubled, self._version(found) != begun, found.modified, found.key

    async def _take_each(self, wanted: Sequence[StoredObject]) -> EndpointError | None:
        """Take the objects in; return what was wrong with some of them, if it did not stop the rest."""
        trouble: EndpointError | None = None
        in_a_row = 0
        for found in wanted:
            had = self._come_so_far(found)
            try:
                await self._take(found)
            except EndpointError as error:
                if error.trouble is Failure.ARCHIVED:
                    self._archived[self._key(found)] = self._downloads.monotonic() + _ARCHIVED_FOR
                    self._skipped.tell(found.key, "archived: restore it to have it read")
                    continue
                if self._come_so_far(found) <= had:
                    self._troubled.add(self._key(found))
                _log.warning("object_not_fetched", source=self.name, name=found.shown, reason=str(error))
                trouble, in_a_row = trouble or error, in_a_row + 1
                if error.trouble not in _OF_ONE_OBJECT or in_a_row == _IN_A_ROW:
                    raise
            else:
                self._troubled.discard(self._key(found))
                in_a_row = 0
        return trouble

    async def _take(self, found: StoredObject) -> None:
        """Fetch the object and keep it for entering, unless its content is unchanged. `EndpointError` unless all of it came."""
        most = self._config.most_bytes
        if found.size > most:
            msg = f"the object {found.shown} has {found.size} bytes, more than max_megabytes allows"
            raise EndpointError(msg, Failure.UNEXPECTED)
        have = self._come_so_far(found)
        with self._downloads.resumed_file() as file:
            download = Download(
                f"GetObject {found.shown}", file, etag=f'"{found.etag}"', have=have, most_bytes=most, listed_size=found.size
            )
            try:
                await self._store.download(found.key, download)
            except (EndpointError, asyncio.CancelledError):  # the daemon may stop: what is here need not be sent again
                await asyncio.to_thread(self._downloads.keep_part, file, download.etag and self._version(found))
                raise
            await self._offer(found, file)

    async def _offer(self, found: StoredObject, file: Incoming) -> None:
        digest = (await asyncio.to_thread(file.digest))[:_DIGEST_DIGITS]
        key = self._key(found)
        _, _, before = self._known.get(key, "").partition(" ")
        known = {key: f"{found.state} {digest}"}
        if before == digest:
            file.cut(0)
            await self._remember(known)
        else:
            await asyncio.to_thread(self._downloads.offer, file, name_of(found.key, self._config.prefix), known)

    def _come_so_far(self, found: StoredObject) -> int:
        """Return how many bytes of this version are safely here."""
        part = self._downloads.part
        return part.size if part.of == self._version(found) else 0

    def _version(self, found: StoredObject) -> str:
        return f"{self._key(found)} {found.state}"

    def _key(self, found: StoredObject) -> str:
        return f"{_OBJECT}{found.identity(self._config.bucket)}"
