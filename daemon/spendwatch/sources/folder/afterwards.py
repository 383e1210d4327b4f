"""Archived files whose writer only paused: if they grow, they move back and are read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.naming import readable
from spendwatch.sources.files.shelves import Shelf, bring_back, seen_on
from spendwatch.sources.files.spool import Identity

_log: FilteringBoundLogger = structlog.get_logger()

_WATCHED_FOR = 3600.0
_MOST_WATCHED = 1000


class _PutAway(NamedTuple):
    name: str
    identity: Identity
    until: float


class Afterwards:
    """Keeps an eye on what was put away lately.

    A writer that pauses longer than the settle time keeps its file open; a rename does not stop it from writing on.
    """

    def __init__(self, source: SourceName, monotonic: Callable[[], float]) -> None:
        """Report in the name of that source."""
        self._source = source
        self._monotonic = monotonic
        self._lately: dict[tuple[Shelf, str], _PutAway] = {}

    def watch(self, shelf: Shelf, final: str, name: str, identity: Identity) -> None:
        """Keep an eye on this file for an hour; of very many only on the latest."""
        self._lately[shelf, final] = _PutAway(name, identity, self._monotonic() + _WATCHED_FOR)
        if len(self._lately) > _MOST_WATCHED:
            del self._lately[next(iter(self._lately))]

    def bring_back_what_grew(self, folder: int) -> None:
        """Move what was written to since then back into the folder, where it has to settle anew."""
        for (shelf, final), put in tuple(self._lately.items()):
            found = seen_on(folder, shelf, final)
            has_grown = found is not None and found.inode == put.identity.inode and not found.is_same_file(put.identity)
            if has_grown or found is None or self._monotonic() >= put.until:
                del self._lately[shelf, final]
            if has_grown:
                self._bring_back(folder, shelf, final, put.name)

    def _bring_back(self, folder: int, shelf: Shelf, final: str, name: str) -> None:
        try:
            again = bring_back(folder, shelf, final, name)
        except OSError as error:
            _log.warning("file_not_brought_back", source=self._source, name=readable(final), reason=error.strerror)
        else:
            _log.info("file_brought_back", source=self._source, name=readable(again), shelf=shelf.value)
