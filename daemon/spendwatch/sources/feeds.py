"""The currently configured sources, and the billing APIs among them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.pacing import RateLimiter
from spendwatch.request import HttpClient
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.settings import AlibabaAccess, AlibabaConfig
from spendwatch.sources.alibaba.source import AlibabaSource
from spendwatch.sources.config import SourceConfig
from spendwatch.sources.folder.source import FolderSource
from spendwatch.sources.opening import Recipe, Source, SourceContext, open_api, open_source


class Feeds:
    """Holds the sources, and lets them fetch."""

    def __init__(self, context: SourceContext) -> None:
        """Begin without any source."""
        self.sources: Mapping[SourceName, Source] = {}
        self._context = context
        self._recipes: Mapping[SourceName, Recipe] = {}
        self._paces: dict[AccountId, RateLimiter] = {}
        self._fetching: set[asyncio.Task[bool]] = set()

    @property
    def apis(self) -> Mapping[SourceName, BssClient]:
        """The billing API of each source of that type."""
        return {name: source.api for name, source in self.sources.items() if isinstance(source, AlibabaSource)}

    def renew(
        self,
        configs: Mapping[SourceName, SourceConfig],
        client: Callable[[SourceConfig], HttpClient],
        *,
        sites: Mapping[AccountId, Site],
        final_on: int,
    ) -> None:
        """Have the sources of these settings from now on.

        One that did not change stays: it knows which files are settling, holds copies of those being read, or has to wait
        before it may ask again.
        """
        recipes = {name: _recipe(config, client(config), sites, final_on) for name, config in configs.items()}
        before = {name: self.sources[name] for name, recipe in recipes.items() if self._recipes.get(name) == recipe}
        self.sources = {
            name: before.get(name) or open_source(name, recipe, self._context, self._pace) for name, recipe in recipes.items()
        }
        self._recipes = recipes

    def open_api(self, config: AlibabaAccess, account: AccountId, site: Site, client: HttpClient) -> BssClient:
        """Return the billing API that these settings describe, at the pace that the account allows to all who ask it."""
        return open_api(config, site, client, self._context, pace=self._pace(account))

    async def fetch(self, name: SourceName, now: datetime) -> bool:
        """Let the source fetch; return whether there is a result: not when it was interrupted, or too early."""
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

    def trigger_now(self) -> None:
        """Let sources retry at once that would wait after a failure: a person wants it."""
        for source in self.sources.values():
            if not isinstance(source, FolderSource):
                source.trigger_now()

    def are_days(self, name: SourceName) -> bool:
        """Whether the files of the source are the days of one bill."""
        return isinstance(self.sources[name], AlibabaSource)

    def checks(self, name: SourceName) -> Sequence[CrossCheck]:
        """Return the cross-checks that the source has made since this was last asked for."""
        source = self.sources[name]
        return source.new_checks() if isinstance(source, AlibabaSource) else ()

    def _pace(self, account: AccountId) -> RateLimiter:
        return self._paces.setdefault(account, RateLimiter(self._context.monotonic, self._context.sleep))


def _recipe(config: SourceConfig, client: HttpClient, sites: Mapping[AccountId, Site], final_on: int) -> Recipe:
    """Return the recipe of a source; what it makes no use of is left out, so that it may change."""
    if isinstance(config, AlibabaConfig):
        return Recipe(config, client, sites[config.account], final_on)
    return Recipe(config, client)
