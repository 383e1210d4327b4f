"""A source on the stand-in of the billing API, with a clock and a stop watch that only a test moves."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bss_lies import KEY_ID, SECRET
from scratch_memory import ScratchMemory
from servers_bss import ACCOUNT
from spendwatch.acs3 import AccessKey
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, BillFile, SourceName
from spendwatch.outgoing import Outgoing
from spendwatch.pacing import RateLimiter
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.source import AlibabaSource
from spendwatch.sources.download_store import DownloadStore
from spendwatch.sources.provider.credentials import Credentials, StaticCredentials

NOW = datetime(2026, 9, 5, 4, 0, tzinfo=UTC)
"""Noon of the 5th on the provider's wall: the previous month is closed, five days may still change."""
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@dataclass
class StopWatch:
    """A clock that goes on only while somebody sleeps, and when a test says so."""

    now: datetime = NOW
    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)
        await asyncio.sleep(0)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)


class Endpoint:
    """A source and what is below it."""

    def __init__(
        self, url: str, place: Path, watch: StopWatch, *, credentials: Credentials | None = None, patience: float = 60
    ) -> None:
        self.place = place
        self.memory = ScratchMemory(place.parent.parent / f"{place.parent.name}-{place.name}.db")
        self.watch = watch
        self.pace = RateLimiter(watch.monotonic, watch.sleep)
        self._url = url
        self._credentials = credentials or StaticCredentials(lambda: AccessKey(KEY_ID, SECRET))
        self.wait(patience)

    def wait(self, seconds: float) -> None:
        """Begin anew with a source that waits so long for a whole answer, and half as long for the next part of one."""
        self.api = BssClient(
            Outgoing(LOOPBACK),
            self._credentials,
            site=Site.CN,
            clock=self.watch.clock,
            pace=self.pace,
            endpoint=self._url,
            timeout=timedelta(seconds=seconds),
            silence=timedelta(seconds=seconds / 2),
            most_pages=50,
        )
        self.source = self.restarted()

    def restarted(self, *, final_on: int = 4, product: str = "sfm") -> AlibabaSource:
        downloads = DownloadStore(self.place, SourceName("api"), self.memory, self.watch.monotonic)
        self.source = AlibabaSource(downloads, self.api, account=AccountId(ACCOUNT), final_on=final_on, product=product)
        return self.source

    async def round(self, *, after: float = 3600) -> Sequence[BillFile]:
        """Fetch an hour after the last time, and return what waits; what is wrong with the rest is left to the test."""
        self.watch.pass_by(after)
        await self.source.fetch(self.watch.now)
        return self.waiting()

    def waiting(self) -> Sequence[BillFile]:
        files: list[BillFile] = []
        with suppress(SourceUnavailableError):
            for file in self.source.arrivals(self.watch.now):
                files += [file]
        return files

    async def enter(self, *, after: float = 3600) -> Sequence[BillFile]:
        """Fetch, and put everything away as a ledger would."""
        files = await self.round(after=after)
        for file in files:
            self.source.keep(file)
        return files

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.place / folder).rglob("*") if path.is_file())


def lines_of(path: Path) -> list[Mapping[str, Any]]:
    """Return the lines of all pages of a file, its numbers exact."""
    pages = json.loads(path.read_bytes(), parse_float=Decimal)
    assert isinstance(pages, list)
    return [line for page in pages for line in page["Data"]["Items"]]


def day_of(file: BillFile) -> date:
    """Return the day that the file's name tells."""
    return datetime.strptime(file.name.split("_")[2], "%Y%m%d").date()  # noqa: DTZ007 -- a day has no zone


def main() -> None:
    """Fetch once: `python -m endpoint_watch URL PLACE`."""
    endpoint = Endpoint(sys.argv[1], Path(sys.argv[2]), StopWatch())
    asyncio.run(endpoint.source.fetch(NOW))


if __name__ == "__main__":
    main()
