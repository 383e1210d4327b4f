"""An https endpoint as a source of bills: changed files are downloaded completely, over several rounds if needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.domain.period import stamp_after
from spendwatch.domain.statement import SourceName
from spendwatch.pacing import asked_pause
from spendwatch.sources.fetching import HttpAnswer, HttpClient, Receiver
from spendwatch.sources.fetching_source import FetchingSource
from spendwatch.sources.files.kept import NO_HISTORY, History
from spendwatch.sources.holding import Holding, Incoming
from spendwatch.sources.trouble import EndpointError, Trouble, not_fetched, quoted
from spendwatch.sources.url.looks import why_no_bill
from spendwatch.sources.url.memory import UrlMemory
from spendwatch.sources.url.names import file_name
from spendwatch.sources.url.pages import Pages
from spendwatch.sources.url.refusal import trouble_of
from spendwatch.sources.url.settings import PagingKind, UrlConfig
from spendwatch.sources.url.transfer import NOT_MODIFIED, PART, WHOLE, Transfer

_REDIRECTS = 3
_FETCHES = 3
"""How often pages are begun anew when they change while they are read."""
_SILENCE = timedelta(seconds=60)
_LARGEST_PAGE = 8 << 20
_HEAD = 64


class UrlSource(FetchingSource):
    """Asks one address for a bill, and gives what is new as a file."""

    def __init__(
        self,
        name: SourceName,
        place: Path,
        client: HttpClient,
        config: UrlConfig,
        *,
        monotonic: Callable[[], float],
        history: History = NO_HISTORY,
    ) -> None:
        """Keep files below `place`. The configuration's secret has been read already.

        What was given is given again to a ledger that lacks it by its `history`.
        """
        self._holding = Holding(place, name, history)
        super().__init__(name, self._holding, monotonic=monotonic)
        self._client = client
        self._config = config
        self._recalled: UrlMemory | None = None

    async def _ask_for_news(self, now: datetime) -> None:
        await self._recall()
        await (self._fetch_file(now) if self._config.paging is PagingKind.NONE else self._fetch_pages(now))

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
            known = replace(known, named_at=stamp_after(now, self._memory.named_at))
            name = file_name(answer.headers, answer.url, self._name, file.read(_HEAD), known.named_at)
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
                named_at = stamp_after(now, self._memory.named_at)
                await asyncio.to_thread(self._holding.offer, file, file_name({}, "", self._name, b"[", named_at))
                await self._remember(replace(self._memory, digest=pages.digest, named_at=named_at))

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
        text = answer.body.decode("utf-8", errors="replace").strip()
        said = "" if not text or text.startswith("<") else f": {quoted(text, self._secrets())}"
        error = self._error(trouble_of(answer.status), f"status {answer.status}{said}")
        error.retry_after = asked_pause(answer.headers, now)
        return error

    def _error(self, trouble: Trouble, what: str) -> EndpointError:
        return EndpointError(f"{self._config.host}: {what}", trouble)

    def _secrets(self) -> tuple[str, ...]:
        secret = self._config.secret.get_secret_value() if self._config.secret else ""
        return (secret, *self._config.credentials().values(), self._config.url)
