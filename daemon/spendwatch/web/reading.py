"""Reads what pages and the API show: in threads, never in the daemon's loop; one overview for everybody who asks at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from http import HTTPStatus
from typing import Protocol, TypeVar

from starlette.exceptions import HTTPException

from spendwatch.domain.errors import ConfigMistake, LedgerUnavailableError
from spendwatch.domain.period import BillingPeriod, Clock
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import Overview
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.views.status import looked, running_of

T = TypeVar("T")
_THREADS = 2
_MOST_KEPT = 20
_STILL_SHOWN = 120.0
"""A page that was made so many seconds ago is shown while the next one is made."""
_NOTHING = (None, "", float("-inf"), 0, float("-inf"))
_WIDE = (
    *(Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.MODEL, Dimension.API_KEY, Dimension.TYPE, Dimension.CHANNEL),
    *(Dimension.TAGS, Dimension.CHARGE),
)
"""Whatever the tables of a page are about: read once, and summed for each of them."""


class Known(Protocol):
    """What is read: the daemon's, or that of a command."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def store(self) -> Store:
        """The state."""

    @property
    def clock(self) -> Clock:
        """The time by which everything is judged."""

    @property
    def config_mistakes(self) -> Sequence[ConfigMistake]:
        """What is wrong in the files since the start."""


class Reader:
    """What is known, for those who ask over HTTP."""

    def __init__(self, app: Known) -> None:
        """Read what that daemon works with."""
        self._app = app
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="web")
        self._looking, self._making = threading.Lock(), threading.Lock()
        self._insight = Insight()
        self._kept: dict[Hashable, tuple[object, str, float, int, float]] = {}
        self._summing = threading.Lock()
        self._sums: tuple[object, dict[Hashable, Sequence[SpendSum]]] = None, {}
        self._changes = 0

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._app.settings

    @property
    def store(self) -> Store:
        """The state."""
        return self._app.store

    @property
    def has_config_mistakes(self) -> bool:
        """Whether the files were changed since the start and have mistakes."""
        return bool(self._app.config_mistakes)

    def now(self) -> datetime:
        """Return the time by which the daemon judges."""
        return self._app.clock()

    async def read(self, ask: Callable[[], T]) -> T:
        """Return what is read in a thread; where the ledger cannot be read, that is said."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except LedgerUnavailableError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None

    async def change(self, change: Callable[[], object]) -> None:
        """Change something; what cannot be done is said."""
        try:
            await self.read(change)
        except ValueError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
        finally:
            self._changes += 1

    def at_hand(self, place: Hashable) -> str | None:
        """Return the page of a place if it was looked after within the last second: no thread is needed for it."""
        _, html, looked_at, change, _ = self._kept.get(place, _NOTHING)
        return html if time.monotonic() - looked_at < 1 and change == self._changes else None

    def once_a_minute(self, place: Hashable, make: Callable[[], str]) -> str:
        """Return a page that is made, or was made in this minute of the same bills and settings; of no place, always made.

        While somebody looks all the time nobody waits for a new one: it is made behind the one before, within seconds.
        """
        if place is None:
            return make()
        minute, change = self.now().replace(second=0, microsecond=0), self._changes
        ground = (self.store.ledger.revision(), minute, change, id(self.settings))
        before, html, _, changed, made_at = self._kept.get(place, _NOTHING)

        def remake() -> str:
            with self._making:
                html = make()
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[place] = ground, html, time.monotonic(), change, time.monotonic()
            return html

        if before != ground and (changed != change or time.monotonic() - made_at > _STILL_SHOWN):
            return remake()
        self._kept[place] = before, html, time.monotonic(), change, made_at
        if before != ground and not self._making.locked():
            self._threads.submit(remake)
        return html

    def spend(self, period: BillingPeriod, by: Sequence[Dimension], days: tuple[date, date] | None) -> Sequence[SpendSum]:
        """Return sums by at least these dimensions, which are read once for each state of the ledger: they take long."""
        products = self.settings.policies.products
        wide = _WIDE if days is None and set(by) <= set(_WIDE) else tuple(by)
        ground, place = (self.store.ledger.revision(), products), (period, wide, days)
        with self._summing:
            if self._sums[0] != ground:
                self._sums = ground, {}
            if place not in self._sums[1]:
                self._sums[1][place] = self.store.ledger.spend(period, wide, products=products, days=days)
            return self._sums[1][place]

    def overview(self, month: BillingPeriod | None = None) -> tuple[Overview, Running]:
        """Return the overview of a month, by default the current one, and whether the daemon runs."""
        with self._looking:
            overview = looked(self.settings, self.store, self.now(), month, self._insight)
        return overview, running_of(self.settings, self.store, overview.as_of)
