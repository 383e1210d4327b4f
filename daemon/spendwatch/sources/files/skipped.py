"""Problems of a folder and its unreadable files: reported once, not on every poll."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Container

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.count import counted
from spendwatch.domain.errors import SourceUnavailableError, printable
from spendwatch.domain.failure import Failure
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.naming import readable

_log: FilteringBoundLogger = structlog.get_logger()

_MOST_TOLD = 1000
_MOST_SHOWN = 3

LINK, HARD_LINK, NOT_RECURSIVE = "a symbolic link", "a hard link", "a sub-folder that is not read"
_ADVICE = {
    os.strerror(
        errno.EACCES
    ): "let the user of spendwatch read what lies there (chmod g+r, chgrp), and what will (chmod g+s on "
    "the folder, umask 027 for who writes)",
    NOT_RECURSIVE: "set recursive: true, or move the files up",
    LINK: "put the file itself there",
    HARD_LINK: "put a copy there",
}
"""What to do, by the reason."""


def reason_of(error: OSError) -> str:
    """Return what the system says, without the path: a name in a folder is hostile until it is escaped."""
    return error.strerror or type(error).__name__


class Once:
    """Remembers what was reported about the folder itself."""

    def __init__(self, source: SourceName) -> None:
        """Report in the name of that source."""
        self._source = source
        self._told: set[str] = set()

    def tell(self, event: str, **fields: object) -> None:
        """Log the event, unless that was done already."""
        if event not in self._told:
            self._told.add(event)
            _log.warning(event, source=self._source, **fields)

    def missed(self, event: str) -> Callable[[str, str], None]:
        """Return what logs the event in the same way, with the name of a file and why it was missed."""
        return lambda name, reason: self.tell(event, name=readable(name), reason=reason)

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
            return  # the folder is flooded: a thousand lines are enough
        self._told[name] = reason
        self._met.add(name)
        event = "folder_skipped" if name.endswith("/") else "file_skipped"
        _log.warning(event, source=self._source, name=readable(name), reason=reason)

    def is_over(self, name: str) -> None:
        """Forget a name that could be read after all."""
        self._told.pop(name, None)

    @property
    def trouble(self) -> SourceUnavailableError | None:
        """What lies there and cannot be read, with what to do about it; None if there is nothing of the kind."""
        if not self._told:
            return None
        shown = [f"{printable(readable(name))} ({reason})" for name, reason in sorted(self._told.items())[:_MOST_SHOWN]]
        more = [f"{len(self._told) - len(shown)} more"] if len(self._told) > len(shown) else []
        advice = dict.fromkeys(_ADVICE.get(reason.partition(":")[0], "") for reason in self._told.values())
        what = f"{counted(len(self._told), 'thing')} there cannot be read: {', '.join([*shown, *more])}"
        return SourceUnavailableError("; ".join(filter(None, (what, *advice))), Failure.UNREAD)

    def forget_but(self, watched: Container[str]) -> None:
        """After a look at the whole folder: forget the names that are gone."""
        self._told = {name: reason for name, reason in self._told.items() if name in self._met or name in watched}
        self._met.clear()
