"""The access of the other files of `store` to the database: read or write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from spendwatch.domain.errors import LedgerDamagedError
from spendwatch.store.trouble import as_unavailable

P = ParamSpec("P")
R = TypeVar("R")


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


class Database:
    """An open database with up-to-date tables. Safe to use from several threads."""

    def __init__(self, storage: Storage) -> None:
        """Wrap an open storage."""
        self._storage = storage
        self._held = _Held()
        self.is_alone = False
        """Whether we hold the lock for life, so that no other daemon works here."""
        self._revision = 0
        """The highest that any of our transactions left."""

    @property
    def place(self) -> str:
        """Where the ledger is, for people; without a password."""
        return self._storage.place

    @property
    def version(self) -> str:
        """Which program and version keeps the data, for the log of the start."""
        return self._storage.version

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of the data for as long as it is held. Trouble of the database becomes `LedgerUnavailableError`."""
        with as_unavailable(self.place):
            if self._held.connection is not None:
                yield self._held.connection
                return
            with self._storage.reading() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let everything that this thread reads be of one moment, until the end; write only after it.

        It must be short: while it is held, the log of SQLite cannot be folded back, nor can PostgreSQL clear away old rows.
        """
        with self.reading() as connection:
            outer, self._held.connection = self._held.connection, connection
            try:
                yield
            finally:
                self._held.connection = outer

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed at the end, undone by any exception. Trouble becomes `LedgerUnavailableError`."""
        if self._held.connection is not None:
            msg = "nothing is written while a snapshot is held"
            raise RuntimeError(msg)
        with as_unavailable(self.place), self._storage.writing() as connection:
            self._require_no_older(connection)
            yield connection
            revision = _revision_in(connection)
        self._revision = max(self._revision, revision)  # not before: until then other threads see the one before

    def _require_no_older(self, connection: Connection) -> None:
        """Refuse to write into an older copy that was put in the ledger's place: what we remember is not what it knows."""
        known = self._revision
        if (revision := _revision_in(connection)) < known:
            back = f"from change {known} to change {revision}"
            msg = f"the ledger at {self.place} went back {back} while it was in use, as an older copy does: restart the daemon"
            raise LedgerDamagedError(msg)

    @contextmanager
    def attempt(self) -> Iterator[Database]:
        """Give the same database within one transaction: what is written is seen at once, and undone by any exception."""
        with self.writing() as connection:
            yield _Attempt(self._storage, connection)

    def lock_for_life(self) -> None:
        """Be the only daemon here until `close` or the end of the process; `LedgerUnavailableError` when there is one."""
        with as_unavailable(self.place):
            self._storage.lock_for_life()
        self.is_alone = True

    def is_taken(self) -> bool:
        """Return whether some daemon works here, whatever any clock says."""
        with as_unavailable(self.place):
            return self._storage.is_taken()

    def complaints(self) -> tuple[str, ...]:
        """Look for damage, which may take a while; empty when all is well."""
        with as_unavailable(self.place):
            return self._storage.complaints()

    def back_up(self, target: Path) -> str:
        """Copy the data of this moment to a new file while others write; or return the command of the server that does."""
        with as_unavailable(self.place):
            return self._storage.back_up(target)

    def close(self) -> None:
        """Give every connection and lock back."""
        with as_unavailable(self.place):
            self._storage.close()


def _revision_in(connection: Connection) -> int:
    revision: int = connection.exec_driver_sql("SELECT number FROM revision").scalar_one()
    return revision


class _Attempt(Database):
    """A database within one transaction."""

    def __init__(self, storage: Storage, connection: Connection) -> None:
        super().__init__(storage)
        self._connection = connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        yield self._connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        yield self._connection


class _Held(threading.local):
    connection: Connection | None = None


class Book:
    """What keeps everything in a database."""

    def __init__(self, database: Database) -> None:
        """Keep everything in that database."""
        self._database = database


def reads(query: Callable[Concatenate[Connection, P], R]) -> Callable[Concatenate[Book, P], R]:
    """Make a method of a function that only reads: it is called with one view of the data."""

    @wraps(query)
    def method(self: Book, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._database.reading() as connection:
            return query(connection, *args, **kwargs)

    return method


def writes(change: Callable[Concatenate[Connection, P], R]) -> Callable[Concatenate[Book, P], R]:
    """Make a method of a function that writes: it is called in a transaction of its own."""

    @wraps(change)
    def method(self: Book, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._database.writing() as connection:
            return change(connection, *args, **kwargs)

    return method
