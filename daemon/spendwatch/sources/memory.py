"""The interface to what sources remember. It is kept with the ledger, so that a restored ledger takes it along."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from spendwatch.domain.statement import Original, SourceName


class SourceMemory(Protocol):
    """What sources know across restarts, and which originals are on record. Raises `LedgerUnavailableError`."""

    def recall(self, source: SourceName, waiting: Collection[str] = ()) -> Mapping[str, tuple[str, str]]:
        """Return under each key what the source remembers, and by which of these downloads, of which the later ones count."""

    def remember(self, source: SourceName, known: Mapping[str, str], *, waiting: str = "") -> None:
        """Remember this, too; what is known by a download that waits, only as long as that does, or once it is settled."""

    def forget(self, source: SourceName, keys: Collection[str]) -> None:
        """Forget what is remembered under these keys."""

    def settle(self, source: SourceName, waiting: str, settled: Original, latest: Collection[str]) -> str:
        """Put an original on record, with all that was known by it as a download; return the new version of the originals.

        What is known of the `latest` keys by other downloads is older, and forgotten.
        """

    def version(self, source: SourceName) -> str:
        """Return a text that is another one after every change of the originals, and in another ledger."""

    def originals(self, source: SourceName) -> Iterator[Original]:
        """Yield the originals of the source. Take all of them, and soon: a view of the data is held meanwhile."""

    def put_originals(self, source: SourceName, kept: Collection[Original]) -> str:
        """Put these on record, each in place of what was at its place before; return the new version."""

    def forget_originals(self, source: SourceName, places: Collection[str]) -> str:
        """Strike off what was at these places; return the new version."""
