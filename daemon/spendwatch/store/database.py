"""The way to the ledger's database, whichever it is. All that the other files of this room ask for: read, or write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from spendwatch.store.schema import require_current
from spendwatch.store.storage import Storage
from spendwatch.store.trouble import as_unavailable

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_SQLITE = "sqlite:///"


class Database:
    """An open database with up-to-date tables. Safe to use from several threads."""

    def __init__(self, storage: Storage) -> None:
        """Wrap an open storage."""
        self._storage = storage

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
        with as_unavailable(self.place), self._storage.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed at the end, undone by any exception. Trouble becomes `LedgerUnavailableError`."""
        with as_unavailable(self.place), self._storage.writing() as connection:
            yield connection

    def lock_for_life(self) -> None:
        """Be the only daemon here until `close` or the end of the process; `LedgerUnavailableError` when there is one."""
        with as_unavailable(self.place):
            self._storage.lock_for_life()

    def complaints(self) -> tuple[str, ...]:
        """Look for damage, which may take a while; empty when all is well."""
        with as_unavailable(self.place):
            return self._storage.complaints()

    def close(self) -> None:
        """Give every connection and lock back."""
        with as_unavailable(self.place):
            self._storage.close()


def open_database(
    url_or_path: str, *, read_only: bool = False, password_file: Path | None = None, any_disk: bool = False
) -> Database:
    """Open the ledger's database, make it where there is none, and bring its tables up to date.

    A plain path or `sqlite:///path` is an SQLite file, `postgresql://…` a server. `read_only` makes and migrates nothing.
    `any_disk` accepts an SQLite file on a network file system. `LedgerUnavailableError` when it cannot be used.
    """
    storage = _storage(url_or_path, read_only=read_only, password_file=password_file, any_disk=any_disk)
    try:
        with as_unavailable(storage.place):
            require_current(storage, read_only=read_only)
    except BaseException:
        storage.close()
        raise
    return Database(storage)


def _storage(url_or_path: str, *, read_only: bool, password_file: Path | None, any_disk: bool) -> Storage:
    if url_or_path.startswith(_POSTGRES):
        from spendwatch.store.postgres import PostgresStorage  # noqa: PLC0415 -- its driver is an extra

        return PostgresStorage(url_or_path, read_only=read_only, password_file=password_file)
    from spendwatch.store.sqlite import SqliteStorage  # noqa: PLC0415 -- as above: only what is used

    path = Path(os.path.realpath(url_or_path.removeprefix(_SQLITE)))
    return SqliteStorage(path, read_only=read_only, any_disk=any_disk)
