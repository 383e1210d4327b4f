"""An https endpoint as a source of bills: what changed is fetched, whole or not at all, over several rounds if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from spendwatch.domain.errors import ForbiddenAddressError, SourceUnavailableError, UnreachableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.fetching import HttpAnswer, HttpClient, Receiver
from spendwatch.sources.files.kept import KeptOriginal
from spendwatch.sources.holding import Holding, Incoming
from spendwatch.sources.pacing import SlowDown, asked_pause
from spendwatch.sources.trouble import EndpointError, Trouble, not_fetched, quoted
from spendwatch.sources.url.looks import why_no_bill
from spendwatch.sources.url.memory import UrlMemory
from spendwatch.sources.url.names import file_name
from spendwatch.sources.url.pages import Pages
from spendwatch.sources.url.settings import PagingKind, UrlConfig
from spendwatch.sources.url.transfer import NOT_MODIFIED, PART, WHOLE, Transfer

_REDIRECTS = 3
_FETCHES = 3
"""How often pages are begun anew when they change while they are read."""
_SILENCE = timedelta(seconds=60)
_LARGEST_PAGE = 8 << 20
_HEAD = 64
_BY_STATUS = {
    401: Trouble.CREDENTIALS,
    403: Trouble.PERMISSION,
    407: Trouble.CREDENTIALS,
    408: Trouble.UNAVAILABLE,
    425: Trouble.UNAVAILABLE,
    429: Trouble.THROTTLED,
}
_FIRST_OF_THE_SERVER = 500


class UrlSource:
    """Asks one address for a bill, and gives what is new as a file."""

    def __init__(
        self,
        name: SourceName,
        place: Path,
        client: HttpClient,
        config: UrlConfig,
        *,
        monotonic: Callable[[], float],
        revision: Callable[[], int] = lambda: 0,
    ) -> None:
        """Keep files below `place`. The configuration's secret has been read already.

        What was given is given again to a ledger that goes back to an earlier `revision`.
        """
        self._name = name
        self._holding = Holding(place, name, revision)
        self._client = client
        self._config = config
        self._slow = SlowDown(monotonic)
        self._recalled: UrlMemory | None = None
        self.trouble: SourceUnavailableError | None = None
        """What was wrong with the last round; `arrivals` raises it."""

    @property
    def name(self) -> SourceName:
        """As the configuration calls it."""
        return self._name

    @property
    def is_unsettled(self) -> bool:
        """Whether another look in a moment may find more: never, for what was fetched is whole at once."""
        return False

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what was fetched and is not entered yet; then raise what was wrong with the last round, if anything was."""
        yield from self._holding.arrivals(now)
        if self.trouble:
            raise self.trouble

    def keep(self, file: BillFile) -> None:
        """Put the file away: the ledger has it."""
        self._holding.keep(file.path)

    def reject(self, file: BillFile, why: str) -> None:
        """Put the file away with the reason beside it."""
        self._holding.reject(file.path, why)

    def leave(self, file: BillFile) -> None:
        """Let the file wait: it is offered again, as it lies."""

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here: private copies, each gone when the next is asked for."""
        return self._holding.originals()

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        return self._holding.forget_originals(before)

    def hasten(self) -> None:
        """Ask at the next opportunity, because a person wants it, though the pause after trouble is not over."""
        self._slow.hasten()

    async def fetch(self, now: datetime) -> bool:
        """Ask once. What goes wrong is kept in `trouble`; how soon to ask again is the caller's business, within reason.

        After trouble, does nothing until a pause is over that grows, or that the endpoint asked for; then returns False.
        """
        if self._slow.is_on:
            return False
        trouble: SourceUnavailableError | None = None
        try:
            await self._recall()
            await (self._fetch_file(now) if self._config.paging is PagingKind.NONE else self._fetch_pages(now))
        except EndpointError as error:
            trouble = error
            self._slow.failed(error.retry_after)
        except SourceUnavailableError as error:
            trouble = error
        else:
            self._slow.worked()
        self.trouble = trouble
        return True

    @property
    def _memory(self) -> UrlMemory:
        return self._recalled or UrlMemory.read({}, self._config.url)

    async def _recall(self) -> None:
        """Read what was remembered: not before somebody asks, for until then another may have this place."""
        if self._recalled is None:
            self._recalled = UrlMemory.read(await asyncio.to_thread(self._holding.recall), self._config.url)

    async def _fetch_file(self, now: datetime) -> None:
        with self._holding.resumed_file() as file:
            transfer = Transfer(file, self._memory, self._config)
            if self._memory.part_size:
                # While bytes come in, nothing is promised of the part: whoever dies now begins anew, and joins no two versions.
                await self._remember(replace(self._memory, part_etag="", part_size=0))
            try:
                answer = await self._ask(self._config.url, self._config.most_bytes, transfer.headers, transfer.receive)
            except EndpointError as error:
                if error.trouble is Trouble.UNREACHABLE:
                    await self._keep_part(file, transfer.etag)
                raise
            except asyncio.CancelledError:  # the daemon stops: what is here need not be sent again
                await self._keep_part(file, transfer.etag)
                raise
            if answer.status in {WHOLE, PART}:
                transfer.check_size()
                await self._take(file, answer, now)
            elif not (answer.status == NOT_MODIFIED and self._memory.digest and not file.size):
                file.cut(0)
                raise self._refused(answer, now)

    async def _keep_part(self, file: Incoming, etag: str) -> None:
        """Remember how much of which version is safely here, so that the next round asks for the rest."""
        if etag:
            await asyncio.to_thread(file.store)
        else:
            file.cut(0)
        await self._remember(replace(self._memory, part_etag=etag, part_size=file.size if etag else 0))

    async def _take(self, file: Incoming, answer: HttpAnswer, now: datetime) -> None:
        """Offer the file, unless it can be no bill, or is the same as last time."""
        if why := await asyncio.to_thread(why_no_bill, file, answer.headers.get("content-type", "")):
            file.cut(0)
            raise self._error(Trouble.NOT_A_BILL, why)
        digest = await asyncio.to_thread(file.digest)
        known = replace(
            self._memory,
            etag=answer.headers.get("etag", ""),
            last_modified=answer.headers.get("last-modified", ""),
            digest=digest,
            part_etag="",
            part_size=0,
        )
        if digest == self._memory.digest:
            file.cut(0)
        else:
            name = file_name(answer.headers, answer.url, self._name, file.read(_HEAD), now)
            # The file first: what is remembered without a file would never be offered.
            await asyncio.to_thread(self._holding.offer, file, name)
        await self._remember(known)

    async def _fetch_pages(self, now: datetime) -> None:
        for _ in range(_FETCHES - 1):
            try:
                return await self._fetch_pages_once(now)
            except EndpointError as error:
                if error.trouble is not Trouble.CHANGING:
                    raise
        return await self._fetch_pages_once(now)

    async def _fetch_pages_once(self, now: datetime) -> None:
        pages = Pages(self._config)
        with self._holding.new_file() as file:
            separator, following = b"[", self._config.url
            while following:
                answer = await self._ask(following, _LARGEST_PAGE)
                if answer.status != WHOLE:
                    raise self._refused(answer, now)
                following = await asyncio.to_thread(pages.take, answer)
                file.write(separator + answer.body)
                separator = b",\n"
            file.write(b"]\n")
            if pages.digest != self._memory.digest:
                name = file_name({}, "", self._name, b"[", now)
                await asyncio.to_thread(self._holding.offer, file, name)
                await self._remember(replace(self._memory, digest=pages.digest))

    async def _ask(
        self, url: str, most_bytes: int, headers: Mapping[str, str] | None = None, into: Receiver | None = None
    ) -> HttpAnswer:
        try:
            return await self._client.fetch(
                url,
                most_bytes=most_bytes,
                deadline=self._config.timeout,
                silence=min(_SILENCE, self._config.timeout),
                headers=headers,
                credentials=self._config.credentials(),
                redirects=_REDIRECTS if into else 0,
                into=into,
            )
        except (UnreachableError, ForbiddenAddressError) as error:
            raise not_fetched(self._name, error) from error

    async def _remember(self, memory: UrlMemory) -> None:
        self._recalled = memory
        await asyncio.to_thread(self._holding.remember, memory.written())

    def _refused(self, answer: HttpAnswer, now: datetime) -> EndpointError:
        usual = Trouble.UNAVAILABLE if answer.status >= _FIRST_OF_THE_SERVER else Trouble.REFUSED
        text = answer.body.decode("utf-8", errors="replace").strip()
        said = "" if not text or text.startswith("<") else f": {quoted(text, self._secrets())}"
        error = self._error(_BY_STATUS.get(answer.status, usual), f"status {answer.status}{said}")
        error.retry_after = asked_pause(answer.headers, now)
        return error

    def _error(self, trouble: Trouble, what: str) -> EndpointError:
        return EndpointError(f"{self._config.host}: {what}", trouble)

    def _secrets(self) -> tuple[str, ...]:
        secret = self._config.secret.get_secret_value() if self._config.secret else ""
        return (secret, *self._config.credentials().values(), self._config.url)
