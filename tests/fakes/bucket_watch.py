"""A source on the stand-in of the object store, with a clock and a stop watch that only a test moves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from endpoint_watch import LOOPBACK, NOW, StopWatch
from oss_lies import BUCKET, KEY_ID, REGION, SECRET
from scratch_memory import ScratchMemory
from servers_oss import OssServer
from spendwatch.acs3 import AccessKey
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.outgoing import Outgoing
from spendwatch.sources.download_store import DownloadStore
from spendwatch.sources.oss.client import OssClient
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.oss.source import OssSource
from spendwatch.sources.provider.credentials import Credentials, StaticCredentials
from spendwatch.sources.trouble import EndpointError, Failure


class Bucket:
    """A source and what is below it."""

    def __init__(self, url: str, place: Path, watch: StopWatch | None = None, **said: object) -> None:
        self.place = place
        self.watch = watch or StopWatch()
        self.memory = ScratchMemory(place.parent.parent / f"{place.parent.name}-{place.name}.db")
        self.said: dict[str, object] = {
            "type": "oss",
            "bucket": BUCKET,
            "region": REGION,
            "endpoint": url,
            "path_style": True,
            "timeout": "60s",
            "key_id": KEY_ID,
            "secret": SECRET,
            **said,
        }
        self.source = self.restarted()

    def restarted(self, *, credentials: Credentials | None = None, client: Outgoing | None = None) -> OssSource:
        config = OssConfig.model_validate(self.said)
        right = credentials or StaticCredentials(lambda: AccessKey(str(self.said["key_id"]), str(self.said["secret"])))
        store = OssClient(client or Outgoing(LOOPBACK), right, config, clock=self.watch.clock)
        downloads = DownloadStore(self.place, SourceName("pushes"), self.memory, self.watch.monotonic)
        self.source = OssSource(downloads, store, config)
        return self.source

    @property
    def trouble(self) -> Failure | None:
        """What was wrong with the last round."""
        return self.source.trouble.trouble if isinstance(self.source.trouble, EndpointError) else None

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

    async def enter(self, *, after: float = 3600) -> Sequence[tuple[str, bytes]]:
        """Fetch, put everything away as a ledger would, and return what it was."""
        files = await self.round(after=after)
        taken = [(file.name, file.path.read_bytes()) for file in files]
        for file in files:
            self.source.keep(file)
        return taken

    def shelf(self, name: str = "originals/done") -> dict[str, bytes]:
        """Return what lies below a folder, by its way there."""
        root = self.place / name
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def half(self) -> bytes:
        """Return what is half here."""
        path = self.place / "incoming" / "resumed.download"
        return path.read_bytes() if path.exists() else b""


@dataclass(frozen=True)
class Stage:
    """The stand-in of the object store, and the source that looks at it."""

    server: OssServer
    bucket: Bucket

    @classmethod
    @contextmanager
    def opened(cls, place: Path, objects: Mapping[str, bytes] | None = None, **said: object) -> Iterator[Self]:
        """Run both on one clock."""
        with OssServer(objects or {}) as server:
            bucket = Bucket(server.url, place / "bucket", None, **said)
            server._clock = bucket.watch.clock
            yield cls(server, bucket)


def work(url: str, place: Path) -> None:
    """Fetch once, and put away what came."""
    bucket = Bucket(url, place)
    asyncio.run(bucket.source.fetch(NOW))
    for file in bucket.waiting():
        bucket.source.keep(file)


def main() -> None:
    """Do so in a process of its own: `python -m bucket_watch URL PLACE`."""
    work(sys.argv[1], Path(sys.argv[2]))


if __name__ == "__main__":
    main()
