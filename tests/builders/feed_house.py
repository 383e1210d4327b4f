"""The daemon's parts around sources that fetch: a real ledger, a real reader, real sockets; only the clock is a test's own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self

from bss_lies import KEY_ID, SECRET
from endpoint_watch import StopWatch
from servers_bss import ACCOUNT, BssServer
from spendwatch.app import App
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import SourceName
from spendwatch.jobs.overview import Overview, SourceOverview, look
from spendwatch.settings import Outside, Settings, load
from spendwatch.state import Store, opened_store

API = SourceName("api")
SEPTEMBER = BillingPeriod(2026, 9)
MAIN = """\
accounts:
  acme: {{id: "{account}", site: cn, currency: CNY, budget: {budget}}}
{accounts}allow_networks: [127.0.0.0/8]
sources:
{sources}channels:
  screen: {{type: console}}
"""


def api_source(url: str, more: str = "") -> str:
    """Return the lines of a source that asks the stand-in."""
    return f"  api: {{type: alibaba, account: acme, key_id_file: id, secret_file: key, endpoint: '{url}'{more}}}\n"


@dataclass
class FeedHouse:
    """A configuration, what survives a restart, and an app that can be restarted."""

    folder: Path
    watch: StopWatch
    reader: ReadingProcess
    empty_ledger: Path
    sources: str
    budget: str = "100"
    accounts: str = ""
    """Further accounts, a line each."""
    app: App = field(init=False)
    store: Store = field(init=False)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, secret in (("id", KEY_ID), ("key", SECRET)):
            path = self.folder / name
            path.write_text(f"{secret}\n")
            path.chmod(0o600)
        (self.folder / "var").mkdir(exist_ok=True)
        if not self.ledger.exists():
            shutil.copy(self.empty_ledger, self.ledger)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ledger(self) -> Path:
        return self.folder / "var" / "spendwatch.db"

    @property
    def kept(self) -> Path:
        """Where the source of the name `api` keeps what it fetched."""
        return self.folder / "var" / "sources" / API

    def configure(self, sources: str | None = None) -> Settings:
        """Write the configuration, and read it."""
        self.sources = self.sources if sources is None else sources
        text = MAIN.format(account=ACCOUNT, budget=self.budget, accounts=self.accounts, sources=self.sources)
        (self.folder / "spendwatch.yaml").write_text(text)
        return load(self.folder, Outside({}))

    def start(self) -> None:
        settings = self.configure()
        self.store = self._open.enter_context(opened_store(settings))
        self.app = App(
            settings,
            self.store,
            clock=self.watch.clock,
            monotonic=self.watch.monotonic,
            sleep=self.watch.sleep,
            reader=self.reader,
        )

    def stop(self) -> None:
        self._open.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def be_impatient(self, seconds: float = 0.4) -> None:
        """Wait for no answer longer than that; a configuration knows no less than a second."""
        for api in self.app.apis.values():
            api.timeout, api.silence, api.most_pages = timedelta(seconds=seconds), timedelta(seconds=seconds / 2), 50

    async def round(self, *, after: float = 3600) -> None:
        """Do what the daemon does an hour after the last time: gather from every source, then judge."""
        self.watch.pass_by(after)
        for name in self.app.sources:
            await self.app.gather(name)
        await asyncio.to_thread(self.app.assess)

    def overview(self) -> Overview:
        """Return what `status` shows."""
        settings = self.app.settings
        return look(
            self.store.ledger,
            self.store.book,
            self.store.health,
            settings.policies,
            settings.stale_after,
            zone=settings.zone,
            now=self.watch.now,
            types=settings.source_types,
        )

    def source(self, name: str = API) -> SourceOverview:
        return next(source for source in self.overview().sources if source.name == name)

    def spent(self) -> Decimal:
        """Return what was spent in September, by the series that counts."""
        return sum((one.amount for one in self.store.ledger.spend(SEPTEMBER, ())), Decimal(0))

    def said(self, *types: str) -> Sequence[Notification]:
        """Return what was said, in its order; only of these types, if any are named."""
        found = {one.notification.id: one.notification for one in self.store.outbox.listing(limit=1000)}
        told = sorted(found.values(), key=lambda one: one.created_at)
        return [one for one in told if one.type in types or not types]


def a_house(
    folder: Path, server: BssServer, reader: ReadingProcess, empty_ledger: Path, watch: StopWatch, *, more: str = ""
) -> FeedHouse:
    """Return a house whose one source asks the stand-in."""
    return FeedHouse(folder, watch, reader, empty_ledger, api_source(server.url, more))


def at(text: str) -> datetime:
    """Return the moment, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
