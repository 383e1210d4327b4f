"""The stored state: all SQL, one file per table. Knows no bill layout and no channel."""


def sqlite_version() -> str:
    """Return the version of the SQLite library; to ask costs little."""
    import sqlite3  # noqa: PLC0415 -- a ledger in PostgreSQL needs none

    return sqlite3.sqlite_version
