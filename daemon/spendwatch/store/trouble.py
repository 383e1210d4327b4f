"""Database errors, in words for the operator and without secrets."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from spendwatch.domain.errors import LedgerDamagedError, LedgerUnavailableError, what_to_do

_DEFECTS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
_NOT_ALLOWED = "42501"
_CREDENTIALS = re.compile(r"(://[^\s:/@]*):[^\s@]*@|(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)
_LONGEST = 300
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

ADVICE = "stop the daemon, put the ledger or a backup in its place, and start it again"
_HINTS = {
    "database or disk is full": "the disk is full",
    "disk I/O error": "the disk failed or rejected a write",
    "attempt to write a readonly database": "the file or its folder cannot be written",
    "unable to open database file": "the file cannot be opened: check the folder and its permissions",
    "database is locked": "another program holds the database",
    "file is not a database": "this is not an SQLite database, or it is damaged",
    "database disk image is malformed": "the database is damaged: restore a backup, or rebuild it from the archived bill files",
}


def _code(error: exc.DBAPIError) -> int | None:
    """Return SQLite's primary code of the error."""
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_defect(error: exc.DBAPIError) -> bool:
    """Return whether the error is our own mistake and no trouble of the database."""
    if _code(error) == sqlite3.SQLITE_ERROR:  # no such table, wrong syntax
        return True
    return isinstance(error, _DEFECTS) and getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED


def without_secrets(text: str) -> str:
    """Return the text on one line, cut, and with every password struck out."""
    line = " ".join(text.split())
    return _CREDENTIALS.sub(lambda found: f"{found[1]}:***@" if found[1] else f"{found[2]}***", line)[:_LONGEST]


def in_words(error: BaseException) -> str:
    """Return what the driver complains about, with a hint where we know one."""
    text = without_secrets(str(error)) or type(error).__name__
    hint = next((hint for mark, hint in _HINTS.items() if mark in text), "")
    return f"{text} ({hint})" if hint else text


@contextmanager
def as_unavailable(place: str) -> Iterator[None]:
    """Turn trouble of the database into `LedgerUnavailableError`, not chained: the driver's own error may show secrets."""
    try:
        yield
    except exc.DBAPIError as error:
        if is_defect(error):
            raise
        kind = LedgerDamagedError if _code(error) in _DAMAGE else LedgerUnavailableError
        msg = f"the ledger at {place} cannot be used: {in_words(error.orig or error)}"
    except exc.TimeoutError:
        kind = LedgerUnavailableError
        msg = f"the ledger at {place} cannot be used: all connections are busy"
    else:
        return
    raise kind(msg)


@contextmanager
def file_trouble(place: str) -> Iterator[None]:
    """Turn trouble with the files beside the database into `LedgerUnavailableError`."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        advice = what_to_do(error)
        msg = f"the ledger at {place} cannot be used: {why}" + (f"; {advice}" if advice else "")
        raise LedgerUnavailableError(msg) from error
