"""The ledger in one SQLite file: write-ahead log, every commit synced, one writer among all threads and processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from spendwatch.domain.errors import LedgerDamagedError, LedgerUnavailableError
from spendwatch.store.columns import decimal_sum
from spendwatch.store.files import (
    FileLock,
    Turn,
    file_id,
    make_private_file,
    make_private_folder,
    new_private_file,
    publish_new,
    remove_old_parts,
    require_local_disk,
)
from spendwatch.store.trouble import ADVICE, file_trouble, in_words

_OLDEST = (3, 35, 0)
"""The first with RETURNING."""
_PATIENCE = 30.0
"""Seconds to wait for other writers, ours and foreign ones."""
_PREPARED = 32
"""So many statements each connection keeps prepared: lists of another length are other statements, 128 of them megabytes."""
_SOON, _TRIES = 0.1, 5
_LONG_LOG = 16 * 1024**2
"""By so many bytes the write-ahead log may grow until it is waited for readers, so that it can begin anew."""
_READERS_END = "PRAGMA busy_timeout = 5000"
_BEGINNING = b"SQLite format 3\0"
_LONGEST = 50
"""So many characters of a backup's name stand in that of the file that becomes it."""
_WRITER = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged commits at a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)
_READER = (
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -512",  # each reader fills a cache of its own, 2 MB if it may; the system keeps the pages anyway
)


class SqliteStorage:
    """A ledger file. Reads go over short connections of their own, so that they never wait for the writer."""

    def __init__(self, path: Path, *, read_only: bool, any_disk: bool, patience: float = _PATIENCE) -> None:
        """Open the file, and make it unless `read_only`."""
        if sqlite3.sqlite_version_info < _OLDEST:
            msg = f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is needed"
            raise LedgerUnavailableError(msg)
        self._path = path
        self._read_only = read_only
        self._patience = patience
        with file_trouble(self.place):
            self._prepare(any_disk=any_disk)
        self._log = path.with_name(f"{path.name}-wal")
        self._too_long = _LONG_LOG
        self._turn = Turn(path.with_name(f"{path.name}.write-lock"), patience, self.place)
        self._pause = threading.Event()
        self._life = FileLock(path.with_name(f"{path.name}.lock"))
        self._file: tuple[int, int] | None = None if read_only else file_id(path)
        self._writer = self._engine("rw", _WRITER, "BEGIN IMMEDIATE", connections=1)
        self._reader = self._engine("ro", _READER, "BEGIN", connections=8)

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self._path)

    @property
    def version(self) -> str:
        """The SQLite library at work."""
        return f"SQLite {sqlite3.sqlite_version}"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of the data; it must be short, or the write-ahead log cannot be folded back."""
        self._require_same_file()
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, when it is our turn.

        The turn covers commit and checkpoint: in SQLite before 3.51.3 two processes that restart the log at once can damage it.
        """
        if self._read_only:
            msg = f"the ledger at {self.place} was opened for reading only"
            raise LedgerUnavailableError(msg)
        with self._turn.taken():
            self._require_same_file()
            try:
                with self._writer.begin() as connection:
                    yield connection
                if self._log_size() > self._too_long:
                    self._begin_log_anew()
            except exc.DBAPIError:
                self._writer.dispose()  # after a failed write or sync nothing about the connection is certain
                raise

    def _begin_log_anew(self) -> None:
        """Write the log back into the file and empty it, which waits until each reader of now has ended.

        SQLite by itself begins it anew in a moment in which nobody reads: where readers overlap there is none.
        """
        try:
            with closing(self._writer.raw_connection()) as connection, closing(connection.cursor()) as cursor:
                cursor.execute(_READERS_END)
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                cursor.execute(f"PRAGMA busy_timeout = {self._patience * 1000:.0f}")
        except sqlite3.Error:  # what is to be kept is committed; the next one to write says what is wrong
            self._writer.dispose()
        self._too_long = _LONG_LOG + self._log_size()

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0

    def lock_for_life(self) -> None:
        """Be the only daemon on this file, by a lock on a file beside it."""
        with file_trouble(self.place):
            # `is_taken` itself holds it for a moment.
            taken = any(self._life.take() or self._pause.wait(_SOON) for _ in range(_TRIES))
        if not taken:
            msg = f"another spendwatch uses {self.place}"
            raise LedgerUnavailableError(msg)

    def is_taken(self) -> bool:
        """Ask the lock: the kernel frees it when its holder dies."""
        with file_trouble(self.place):
            return self._life.is_taken()

    def complaints(self) -> tuple[str, ...]:
        """Let SQLite look through the whole file."""
        with self.reading() as connection:
            lines = connection.exec_driver_sql("PRAGMA quick_check(20)").scalars().all()
        return tuple(str(line) for line in lines if line != "ok")

    def back_up(self, target: Path) -> str:
        """Copy the file of this moment beside the new one, look through the copy, and only then give it its name."""
        part: Path | None = None
        try:
            remove_old_parts(target.parent, _BEGINNING)
            part = new_private_file(target.parent, f".{target.name[:_LONGEST]}.")
            with self.reading() as connection, closing(sqlite3.connect(part, isolation_level=None)) as copy:
                cast("sqlite3.Connection", connection.connection.driver_connection).backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # a file on its own, without a log beside it
                complaint = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            if complaint != "ok":
                msg = f"the ledger at {self.place} is damaged, and so would be its backup: {complaint}"
                raise LedgerDamagedError(msg)
            publish_new(part, target)
        except FileExistsError:
            raise
        except (sqlite3.Error, OSError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else in_words(error)
            msg = f"the backup {target} cannot be written: {why}"
            raise LedgerUnavailableError(msg) from None
        finally:
            if part is not None:
                part.unlink(missing_ok=True)
        return ""

    def close(self) -> None:
        """Close the readers first: the last writer folds the log back into the file and removes it."""
        self._reader.dispose()
        if not self._read_only:
            with self._turn.taken():
                self._writer.dispose()
        self._turn.close()
        self._life.close()

    def _require_same_file(self) -> None:
        """Refuse to go on in a file that nobody else sees any more: what is written there is lost."""
        if self._file and (now := file_id(self._path)) != self._file:
            was = "was replaced by another file" if now else "was deleted, or its disk is no longer mounted"
            msg = f"the ledger at {self.place} {was} while it was in use: {ADVICE}"
            raise LedgerDamagedError(msg)

    def _prepare(self, *, any_disk: bool) -> None:
        if self._read_only:
            if not self._path.is_file():
                msg = f"no ledger yet at {self.place}: `run`, `once` or `import` creates it"
                raise LedgerUnavailableError(msg)
            return
        make_private_folder(self._path.parent)
        if not any_disk:
            require_local_disk(self._path)
        make_private_file(self._path)

    def _engine(self, mode: str, pragmas: tuple[str, ...], begin: str, *, connections: int) -> Engine:
        uri = f"file:{quote(str(self._path))}?mode={mode}"

        def connect() -> sqlite3.Connection:
            # isolation_level None: the driver begins nothing by itself; `begin` below says how.
            raw = sqlite3.connect(
                uri,
                uri=True,
                timeout=self._patience,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_PREPARED,
            )
            try:
                for pragma in pragmas:
                    raw.execute(pragma)
            except sqlite3.Error:
                raw.close()
                raise
            raw.create_function("decimal_sum", 1, decimal_sum, deterministic=True)
            return raw

        engine = create_engine(
            "sqlite+pysqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_use_lifo=True,  # or all of them would be kept busy in turn, each with its memory
            hide_parameters=True,
        )
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine
