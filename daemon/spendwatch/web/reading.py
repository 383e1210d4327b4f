"""Reads what pages and the API show: in threads, never in the daemon's loop; one overview for everybody who asks at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from starlette.exceptions import HTTPException

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.period import BillingPeriod, Clock
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import Overview
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.views.status import looked, running_of

T = TypeVar("T")
_THREADS = 2
_MOST_KEPT = 20


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


class Reader:
    """What is known, for those who ask over HTTP."""

    def __init__(self, app: Known) -> None:
        """Read what that daemon works with."""
        self._app = app
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="web")
        self._looking, self._making = threading.Lock(), threading.Lock()
        self._insight = Insight()
        self._kept: dict[Hashable, tuple[object, Any]] = {}
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

    def once_a_minute(self, place: Hashable, make: Callable[[], T]) -> T:
        """Return what is made, or was made in this minute of the same bills and settings; of no place, always what is made."""
        if place is None:
            return make()
        minute = self.now().replace(second=0, microsecond=0)
        ground = (self.store.ledger.revision(), minute, self._changes, id(self.settings))
        ground_before, kept = self._kept.get(place, (None, None))
        if ground_before != ground:
            if kept is not None and self._making.locked():
                found: T = kept
                return found
            with self._making:
                kept = make()
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[place] = ground, kept
        made: T = kept
        return made

    def overview(self, month: BillingPeriod | None = None) -> tuple[Overview, Running]:
        """Return the overview of a month, by default the current one, and whether the daemon runs."""
        with self._looking:
            overview = looked(self.settings, self.store, self.now(), month, self._insight)
        return overview, running_of(self.store)
