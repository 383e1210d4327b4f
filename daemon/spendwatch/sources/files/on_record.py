"""Which originals of a source are on record. What is new is written down in batches: what a kill loses is only read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from spendwatch.domain.statement import Original, SourceName
from spendwatch.sources.memory import SourceMemory

_SAVE_AFTER = 30.0


class OnRecord:
    """The originals of one source."""

    def __init__(self, source: SourceName, memory: SourceMemory, monotonic: Callable[[], float]) -> None:
        """Ask nothing yet."""
        self._source = source
        self._memory = memory
        self._monotonic = monotonic
        self._version: str | None = None
        self._new: dict[str, Original] = {}
        self._unsaved_since = 0.0

    @property
    def is_another(self) -> bool:
        """Whether the record is not the one that was read last: at first, and when the ledger was replaced."""
        return self._version is None or self._memory.version(self._source) != self._version

    @contextmanager
    def read(self) -> Iterator[Iterator[Original]]:
        """Give all originals on record, which is known once the block has come to its end.

        What was not written down yet belongs to another record, or is read again.
        """
        self._new, self._version = {}, None
        version = self._memory.version(self._source)
        yield self._memory.originals(self._source)
        self._version = version

    def all(self) -> Iterator[Original]:
        """Yield all originals on record."""
        return self._memory.originals(self._source)

    def is_not_over(self) -> None:
        """Take the record for another one at the next look, too."""
        self._version = None

    def settle(self, waiting: str, original: Original, latest: Collection[str]) -> None:
        """Put an original on record at once, with all that was known by it as a download."""
        self._write(partial(self._memory.settle, self._source, waiting, original, latest))

    def add(self, original: Original) -> None:
        """Put an original on record soon."""
        now = self._monotonic()
        self._unsaved_since = self._unsaved_since if self._new else now
        self._new[original.place] = original
        if now - self._unsaved_since >= _SAVE_AFTER:
            self.save()

    def save(self) -> None:
        """Write down what is new."""
        if self._new:
            self._write(partial(self._memory.put_originals, self._source, self._new.values()))
            self._new = {}

    def forget(self, places: Collection[str]) -> None:
        """Strike off what was at these places."""
        if places:
            self._write(partial(self._memory.forget_originals, self._source, places))

    def _write(self, write: Callable[[], str]) -> None:
        is_another = self.is_another
        version = write()
        self._version = None if is_another else version
