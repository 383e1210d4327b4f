"""The currently configured sources, and the billing APIs among them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.pacing import Pace
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.settings import AlibabaAccess
from spendwatch.sources.alibaba.source import AlibabaSource
from spendwatch.sources.config import AlibabaConfig, OssConfig, SourceConfig
from spendwatch.sources.fetching import Attended, HttpClient
from spendwatch.sources.files.kept import History
from spendwatch.sources.folder.source import FolderSource
from spendwatch.sources.memory import SourceMemory
from spendwatch.sources.opening import Equipment, Source, open_api, open_credentials, open_source
from spendwatch.sources.provider.credentials import Credentials
from spendwatch.sources.provider.credentials_settings import CredentialsConfig


@dataclass(frozen=True, slots=True)
class Means:
    """What the sources work with as long as the process lives."""

    spool: Path
    """Where private copies of what lies in folders are made."""
    fetched: Path
    """Where what is fetched is kept."""
    environ: Mapping[str, str]
    metadata: Callable[[], HttpClient]
    """Makes a client for the metadata service, once somebody is configured to ask it."""
    history: History
    """The ledger's."""
    memory: SourceMemory
    """What they know across restarts."""
    others: Callable[[], Collection[Path]]
    """Tells which files in a folder are no bills, though they may lie there."""
    hints: Callable[[SourceName], str]
    """Tells what decides, beside the program's version, whether the files of a source can be understood."""
    got_on: Callable[[SourceName], None]
    """Is told of each answer that a source got: a long fetch lives."""
    clock: Clock
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a source is made of; as long as this stays the same, so does the source."""

    config: SourceConfig
    client: HttpClient
    site: Site | None = None
    """Of the account, for those who need to know."""
    final_on: int = 0
    """The same."""


class Feeds:
    """Holds the sources, and lets them fetch."""

    def __init__(self, means: Means) -> None:
        """Begin without any source."""
        self.sources: Mapping[SourceName, Source] = {}
        self.apis: Mapping[SourceName, BssClient] = {}
        """The billing API of each source of that type."""
        self._means = means
        self._recipes: Mapping[SourceName, Recipe] = {}
        self._paces: dict[AccountId, Pace] = {}
        self._fetching: set[asyncio.Task[bool]] = set()

    def renew(
        self, configs: Mapping[SourceName, SourceConfig], client: HttpClient, *, sites: Mapping[AccountId, Site], final_on: int
    ) -> None:
        """Have the sources of these settings from now on.

        One that did not change stays: it knows which files are settling, holds copies of those being read, or has to wait
        before it may ask again.
        """
        recipes = {name: _recipe(config, client, sites, final_on) for name, config in configs.items()}
        kept = {name for name, recipe in recipes.items() if self._recipes.get(name) == recipe}
        apis = {name: api for name, api in self.apis.items() if name in kept}
        apis |= {name: self._api(name, recipe) for name, recipe in recipes.items() if name not in kept and recipe.site}
        self.sources = {
            name: self.sources[name] if name in kept else self._source(name, recipe, apis.get(name))
            for name, recipe in recipes.items()
        }
        self.apis, self._recipes = apis, recipes

    def open_api(self, config: AlibabaAccess, account: AccountId, site: Site, client: HttpClient) -> BssClient:
        """Return the billing API that these settings describe, at the pace that the account allows to all who ask it."""
        pace = self._paces.setdefault(account, Pace(self._means.monotonic, self._means.sleep))
        credentials = self._credentials(config, client)
        return open_api(config, site, credentials, client=client, clock=self._means.clock, pace=pace)

    async def fetch(self, name: SourceName, now: datetime) -> bool:
        """Let the source fetch; return whether there is anything to be said of it: not when it was broken off, or too early."""
        source = self.sources[name]
        task = asyncio.create_task(source.fetch(now))
        self._fetching.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._fetching.discard(task)
            task.cancel()
        return False if task.cancelled() else task.result()

    def stop(self) -> None:
        """Break off every fetch: what came is whole or not at all, and the rest comes at the next start."""
        for task in self._fetching:
            task.cancel()

    def hasten(self) -> None:
        """Let sources ask at once that would wait after trouble: a person wants it."""
        for source in self.sources.values():
            if not isinstance(source, FolderSource):
                source.hasten()

    def are_days(self, name: SourceName) -> bool:
        """Whether the files of the source are the days of one bill, each of which alone tells only a part of it."""
        return isinstance(self.sources[name], AlibabaSource)

    def checks(self, name: SourceName) -> Sequence[CrossCheck]:
        """Return the cross-checks that the source has made since this was last asked for."""
        source = self.sources[name]
        return source.new_checks() if isinstance(source, AlibabaSource) else ()

    def _source(self, name: SourceName, recipe: Recipe, api: BssClient | None) -> Source:
        client, config = self._client(name, recipe), recipe.config
        equipment = Equipment(
            spool=self._means.spool / name,
            place=self._means.fetched / name,
            client=client,
            credentials=self._credentials(config, client) if isinstance(config, OssConfig) else None,
            api=api,
            final_on=recipe.final_on,
            clock=self._means.clock,
            monotonic=self._means.monotonic,
            history=self._means.history,
            memory=self._means.memory,
            hints=partial(self._means.hints, name),
            others=self._means.others,
        )
        return open_source(name, config, equipment)

    def _api(self, name: SourceName, recipe: Recipe) -> BssClient:
        config = recipe.config
        assert isinstance(config, AlibabaConfig)  # noqa: S101 -- only these have a site
        assert recipe.site  # noqa: S101 -- the same
        return self.open_api(config, config.account, recipe.site, self._client(name, recipe))

    def _credentials(self, config: CredentialsConfig, client: HttpClient) -> Credentials:
        means = self._means
        return open_credentials(config, client=client, metadata=means.metadata, clock=means.clock, environ=means.environ)

    def _client(self, name: SourceName, recipe: Recipe) -> HttpClient:
        return Attended(recipe.client, partial(self._means.got_on, name))


def _recipe(config: SourceConfig, client: HttpClient, sites: Mapping[AccountId, Site], final_on: int) -> Recipe:
    """Return the recipe of a source; what it makes no use of is left out, so that it may change."""
    if isinstance(config, AlibabaConfig):
        return Recipe(config, client, sites[config.account], final_on)
    return Recipe(config, client)
