"""What is wrong with a folder, or lies in it and is not read: said once, not with every look."""

from __future__ import annotations

from collections.abc import Container

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.naming import readable

_log: FilteringBoundLogger = structlog.get_logger()

_MOST_TOLD = 1000


def reason_of(error: OSError) -> str:
    """Return what the system says, without the path: a name in a folder is hostile until it is escaped."""
    return error.strerror or type(error).__name__


class Once:
    """Remembers what was said about the folder itself."""

    def __init__(self, source: SourceName) -> None:
        """Report in the name of that source."""
        self._source = source
        self._told: set[str] = set()

    def tell(self, event: str, **fields: object) -> None:
        """Log the event, unless that was done already."""
        if event not in self._told:
            self._told.add(event)
            _log.warning(event, source=self._source, **fields)

    def is_over(self, event: str) -> None:
        """Log it again when it happens again."""
        self._told.discard(event)


class Skipped:
    """Remembers which files and folders were reported as skipped, and why."""

    def __init__(self, source: SourceName) -> None:
        """Report in the name of that source."""
        self._source = source
        self._told: dict[str, str] = {}
        self._met: set[str] = set()

    def tell(self, name: str, reason: str) -> None:
        """Log it, unless that was done already for this name and reason. A folder's name ends with `/`."""
        if self._told.get(name) == reason:
            self._met.add(name)
            return
        if len(self._told) >= _MOST_TOLD:
            return  # somebody floods the folder: a thousand lines say so well enough
        self._told[name] = reason
        self._met.add(name)
        event = "folder_skipped" if name.endswith("/") else "file_skipped"
        _log.warning(event, source=self._source, name=readable(name), reason=reason)

    def forget_but(self, watched: Container[str]) -> None:
        """After a look at the whole folder: forget the names that are gone."""
        self._told = {name: reason for name, reason in self._told.items() if name in self._met or name in watched}
        self._met.clear()
