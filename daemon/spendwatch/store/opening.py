"""Opens the ledger's database, an SQLite file or a server; creates it if needed and updates its tables."""

from __future__ import annotations

import os
from pathlib import Path

from spendwatch.store.database import Database, Storage
from spendwatch.store.schema import require_current
from spendwatch.store.trouble import as_unavailable

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_SQLITE = "sqlite:///"


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
