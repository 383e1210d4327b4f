"""An https endpoint as a source of bills: changed files are downloaded completely, over several rounds if needed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from spendwatch.domain.period import stamp_after
from spendwatch.request import HttpAnswer, HttpClient, Receiver, Request
from spendwatch.sources.download import NOT_MODIFIED, PART, WHOLE, Download
from spendwatch.sources.download_store import DownloadStore, Incoming
from spendwatch.sources.fetching_source import FetchingSource
from spendwatch.sources.trouble import EndpointError, Failure, fetched, refused
from spendwatch.sources.url.answers import file_name, why_no_bill
from spendwatch.sources.url.pages import Pages
from spendwatch.sources.url.settings import PagingKind, UrlConfig

_REDIRECTS = 3
_SILENCE = timedelta(seconds=60)
_LARGEST_PAGE = 8 << 20
_HEAD = 64
_FILE = "file"
"""The key under which the file is remembered."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is known of an endpoint's file: validators and digest of the version that was taken last."""

    of: str
    """A digest of the URL."""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    named_at: str = ""
    """The time in the name of the file that was offered last, where that name is ours."""

    @property
    def text(self) -> str:
        """All of it, to be remembered."""
        return json.dumps(asdict(self))


class UrlSource(FetchingSource):
    """Asks one address for a bill, and gives what is new as a file."""

    def __init__(self, downloads: DownloadStore, client: HttpClient, config: UrlConfig) -> None:
        """Keep files in that store. The configuration's secret has been read already."""
        super().__init__(downloads)
        self._client = client
        self._config = config
        self._of = hashlib.sha256(config.url.encode()).hexdigest()

    async def _ask_for_news(self, now: datetime) -> None:
        if self._config.paging is PagingKind.NONE:
            await self._fetch_file(now)
        else:
            await self._whole(partial(self._fetch_pages, now))

    @property
    def _last(self) -> KnownFile:
        """What is known of the file; what is known of another URL's is of no use."""
        found = KnownFile(**json.loads(self._known[_FILE])) if _FILE in self._known else None
        return found if found and found.of == self._of else KnownFile(self._of)

    async def _fetch_file(self, now: datetime) -> None:
        part, last = self._downloads.part, self._last
        of, _, etag = part.of.partition(" ")
        have = part.size if of == self._of else 0
        with self._downloads.resumed_file() as file:
            download = Download(self._config.host, file, etag=etag, have=have, most_bytes=self._config.most_bytes)
            newer = {"if-none-match": last.etag, "if-modified-since": last.last_modified}
            headers = download.headers or {name: value for name, value in newer.items() if value}
            try:
                answer = await self._ask(self._config.url, self._config.most_bytes, headers, download.receive)
            except EndpointError as error:
                if error.trouble is Failure.UNREACHABLE:
                    await self._keep_part(file, download)
                raise
            except asyncio.CancelledError:  # the daemon stops: what is here need not be sent again
                await self._keep_part(file, download)
                raise
            if answer.status in {WHOLE, PART}:
                download.check()
                await self._take(file, answer, now)
            elif not (answer.status == NOT_MODIFIED and last.digest and not file.size):
                file.cut(0)
                raise refused(self._config.host, answer, now, self._config.secrets())

    async def _keep_part(self, file: Incoming, download: Download) -> None:
        await asyncio.to_thread(self._downloads.keep_part, file, download.etag and f"{self._of} {download.etag}")

    async def _take(self, file: Incoming, answer: HttpAnswer, now: datetime) -> None:
        """Offer the file, unless it can be no bill, or is the same as last time."""
        if why := await asyncio.to_thread(why_no_bill, file, answer.headers.get("content-type", "")):
            file.cut(0)
            raise self._error(Failure.NOT_A_BILL, why)
        last, digest = self._last, await asyncio.to_thread(file.digest)
        versions = {"etag": answer.headers.get("etag", ""), "last_modified": answer.headers.get("last-modified", "")}
        known = replace(last, digest=digest, **versions)
        if digest == last.digest:
            file.cut(0)
            await self._remember({_FILE: known.text})
        else:
            known = replace(known, named_at=stamp_after(now, last.named_at))
            name = file_name(answer.headers, answer.url, self.name, file.read(_HEAD), known.named_at)
            await asyncio.to_thread(self._downloads.offer, file, name, {_FILE: known.text})

    async def _fetch_pages(self, now: datetime) -> None:
        pages = Pages(self._config)
        with self._downloads.new_file() as file:
            separator, following = b"[", self._config.url
            while following:
                answer = await self._ask(following, _LARGEST_PAGE)
                if answer.status != WHOLE:
                    raise refused(self._config.host, answer, now, self._config.secrets())
                following = await asyncio.to_thread(pages.take, answer)
                file.write(separator + answer.body)
                separator = b",\n"
            file.write(b"]\n")
            last = self._last
            if pages.digest != last.digest:
                known = replace(last, digest=pages.digest, named_at=stamp_after(now, last.named_at))
                name = file_name({}, "", self.name, b"[", known.named_at)
                await asyncio.to_thread(self._downloads.offer, file, name, {_FILE: known.text})

    async def _ask(
        self, url: str, most_bytes: int, headers: Mapping[str, str] | None = None, into: Receiver | None = None
    ) -> HttpAnswer:
        request = Request(
            url=url,
            most_bytes=most_bytes,
            deadline=self._config.timeout,
            silence=min(_SILENCE, self._config.timeout),
            headers=headers or {},
            credentials=self._config.credentials(),
            redirects=_REDIRECTS if into else 0,
            into=into,
        )
        return await fetched(self._client, self.name, request)

    def _error(self, trouble: Failure, what: str) -> EndpointError:
        return EndpointError(f"{self._config.host}: {what}", trouble)
