"""What all fetching sources share: files wait to be recorded; failures are reported and delay the next attempt."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import BillFile
from spendwatch.pacing import BackOff
from spendwatch.sources.download_store import DownloadStore
from spendwatch.sources.files.originals import KeptOriginal
from spendwatch.sources.trouble import EndpointError, Failure

T = TypeVar("T")

_FETCHES = 3


class FetchingSource(ABC):
    """A source that asks an endpoint."""

    is_unsettled = False
    """Whether another look in a moment may find more: never, for what was fetched is whole at once."""

    def __init__(self, downloads: DownloadStore) -> None:
        """Keep files there. What was given is given again to a ledger that lacks it, as its memory lacks it, too."""
        self.name = downloads.source
        """As the configuration calls it."""
        self._downloads = downloads
        self._known: Mapping[str, str] = {}
        """What is remembered, in a round."""
        self._slow = BackOff(downloads.monotonic)
        self.trouble: SourceUnavailableError | None = None
        """What was wrong with the last round; `arrivals` raises it."""

    def arrivals(self, now: datetime) -> Iterator[BillFile]:
        """Yield what was fetched and is not entered yet; then raise what was wrong with the last round, if anything was."""
        yield from self._downloads.arrivals(now)
        if self.trouble:
            raise self.trouble

    def keep(self, file: BillFile) -> None:
        """Put the file away: the ledger has it."""
        self._downloads.keep(file)

    def reject(self, file: BillFile, why: str) -> None:
        """Put the file away with the reason beside it."""
        self._downloads.reject(file, why)

    def leave(self, file: BillFile) -> None:  # noqa: B027 -- nothing is to be done, whatever the source
        """Let the file wait: it is offered again, as it lies."""

    def originals(self) -> Iterator[KeptOriginal]:
        """Yield what the ledger was made from, as far as it is here, each open until the next is asked for."""
        return self._downloads.originals()

    def forget_originals(self, before: datetime) -> int:
        """Remove what was put away before that moment, with the reasons beside it; return how many originals that were."""
        return self._downloads.forget_originals(before)

    def trigger_now(self) -> None:
        """Ask at the next opportunity although the pause after a failure is not over, because a person wants it."""
        self._slow.trigger_now()

    async def fetch(self, now: datetime) -> bool:
        """Fetch what is new. A failure is kept in `trouble`; what was complete by then stays.

        After trouble, does nothing until a pause is over that grows, or that the endpoint asked for, and returns False: nobody
        is hammered who refuses us.
        """
        if self._slow.is_on:
            return False
        trouble: SourceUnavailableError | None = None
        try:
            # It is only read on demand: until then another source may have this place.
            self._known = await asyncio.to_thread(self._downloads.known)
            trouble = await self._ask_for_news(now)
        except EndpointError as error:
            trouble = error
            self._slow.failed(error.retry_after)
        except SourceUnavailableError as error:
            trouble = error
        else:
            self._slow.worked()
        self.trouble = trouble
        return True

    async def _whole(self, fetch: Callable[[], Awaitable[T]]) -> T:
        """Fetch once more, and once again, what changed while it was fetched."""
        for _ in range(_FETCHES - 1):
            try:
                return await fetch()
            except EndpointError as error:
                if error.trouble is not Failure.CHANGING:
                    raise
        return await fetch()

    async def _remember(self, known: Mapping[str, str]) -> None:
        await asyncio.to_thread(self._downloads.remember, known)

    @abstractmethod
    async def _ask_for_news(self, now: datetime) -> EndpointError | None:
        """Fetch what is new; raise or return what was wrong: with the endpoint, or with some of what it has."""
