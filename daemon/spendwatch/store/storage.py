"""The interface of a database, file or server: short reads, one writer at a time, a lock for the process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection


class Storage(Protocol):
    """One database. Its methods raise the driver's errors, or `LedgerUnavailableError` where they know better."""

    @property
    def place(self) -> str:
        """Where it is, for people; without a password."""

    @property
    def version(self) -> str:
        """Which program and version keeps the data."""

    def reading(self) -> AbstractContextManager[Connection]:
        """One view of the data that does not change while it is held."""

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction: committed at the end, undone by any exception."""

    def lock_for_life(self) -> None:
        """Be the only daemon here until the process ends, or refuse at once."""

    def is_taken(self) -> bool:
        """Whether some daemon holds it; true without any clock, and no longer once that daemon is dead."""

    def complaints(self) -> tuple[str, ...]:
        """Look for damage; empty when all is well."""

    def back_up(self, target: Path) -> str:
        """Copy the data of this moment to a new file, whole or not at all; or return the command of the server that does."""

    def close(self) -> None:
        """Give everything back."""
