"""Reads what pages and the API show: in threads, never in the daemon's loop; one overview for everybody who asks at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from starlette.exceptions import HTTPException

from spendwatch.domain.errors import ConfigMistake, LedgerUnavailableError
from spendwatch.domain.money import EXACT, Currency
from spendwatch.domain.period import BillingPeriod, Clock
from spendwatch.domain.scope import Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import WorkspaceId
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import Overview
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from spendwatch.views.status import looked, running_of

if TYPE_CHECKING:
    from spendwatch.app import App

T = TypeVar("T")
_THREADS = 2
_MOST_KEPT = 20
_STILL_SHOWN = 120.0
"""A page that was made so many seconds ago is shown while the next one is made."""
_NOTHING = (None, "", float("-inf"), 0, float("-inf"))
_MOST_SUMS = 12
_MOST_ROWS = 20_000
"""Of so many questions the sums are kept, where they are not too many."""
_NO_SUM = (Decimal(0), 0)
_ALWAYS = (Dimension.CHARGE, Dimension.ACCOUNT)
_WIDE = (
    (Dimension.API_KEY, Dimension.MODEL, Dimension.WORKSPACE, Dimension.TYPE, Dimension.CHANNEL, Dimension.TAGS, *_ALWAYS),
    (Dimension.DAY, Dimension.WORKSPACE, Dimension.ITEM, Dimension.COMMODITY, *_ALWAYS),
)
"""What pages ask about is read by all of these at once; first what differs most, so that it is soon sorted."""


class KeptLedger(Ledger):
    """A ledger for those who ask again and again: sums are kept for as long as the days of a month stay as they are."""

    def __init__(self, database: Database) -> None:
        """Keep nothing yet."""
        super().__init__(database)
        self._kept: dict[Hashable, tuple[object, Sequence[SpendSum]]] = {}
        self._reading = threading.Lock()

    def spend(
        self,
        period: BillingPeriod,
        by: Sequence[Dimension],
        *,
        products: Sequence[str] | None = None,
        days: tuple[date, date] | None = None,
        workspaces: Collection[WorkspaceId] | None = None,
    ) -> Sequence[SpendSum]:
        """Return the sums of the ledger."""
        wide = next((one for one in _WIDE if {*by} <= {*one}), None)
        if workspaces is not None or wide is None:
            return super().spend(period, by, products=products, days=days, workspaces=workspaces)
        place = (period, wide, products and tuple(products), days)
        with self._reading:
            ground = self.days([period])
            before, found = self._kept.get(place, (None, ()))
            if before != ground:
                found = super().spend(period, wide, products=products, days=days)
                if len(self._kept) >= _MOST_SUMS:
                    self._kept.clear()
                if len(found) <= _MOST_ROWS:
                    self._kept[place] = ground, found
        return _summed(found, tuple(by))


def _summed(several: Iterable[SpendSum], by: tuple[Dimension, ...]) -> Sequence[SpendSum]:
    """Return sums of sums, by fewer dimensions."""
    found: dict[tuple[str, ...], tuple[Decimal, int]] = {}
    for one in several:
        key = (*map(one.values.__getitem__, by), one.currency)
        amount, lines = found.get(key, _NO_SUM)
        found[key] = EXACT.add(amount, one.amount), lines + one.lines
    rows = sorted(found.items())
    return [SpendSum(dict(zip(by, key, strict=False)), Currency(key[-1]), *sums) for key, sums in rows]


class Known(NamedTuple):
    """What a command knows: of a daemon it is the whole app."""

    settings: Settings
    store: Store
    clock: Clock
    config_mistakes: Sequence[ConfigMistake] = ()


class Reader:
    """What is known, for those who ask over HTTP."""

    def __init__(self, app: App | Known) -> None:
        """Read what that daemon works with."""
        self._app = app
        self.store = app.store._replace(ledger=KeptLedger(app.store.database))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="web")
        self._looking, self._making = threading.Lock(), threading.Lock()
        self._insight = Insight()
        self._kept: dict[Hashable, tuple[object, str, float, int, float]] = {}
        self._changes = 0

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._app.settings

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

    def overview(self, month: BillingPeriod | None = None) -> tuple[Overview, Running]:
        """Return the overview of a month, by default the current one, and whether the daemon runs."""
        with self._looking:
            overview = looked(self.settings, self.store, self.now(), month, self._insight)
        return overview, running_of(self.settings, self.store, overview.as_of)
