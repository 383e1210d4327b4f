"""The ledger in PostgreSQL: connections that detect a dead network and recover with the server."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, QueuePool

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.store.trouble import as_unavailable

_SERVER = {
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "120s",
    "timezone": "UTC",
    # The server, too, must notice that we are gone, or the lock for life outlives its holder.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_CLIENT: Mapping[str, str] = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "spendwatch",
}
_LIFE = 0x5350454E
"""The first half of the advisory lock's number; the second half is the schema's."""

_PID = text("SELECT pg_backend_pid()")
_TAKE = text("SELECT pg_backend_pid() WHERE pg_try_advisory_lock(:life, hashtext(current_schema()))")
_TAKEN = text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = :life AND objid::bigint"
    " = hashtext(current_schema())::bigint & 4294967295 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_STILL_HELD = text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = :life AND pid = :pid AND granted")


class PostgresStorage:
    """A ledger on a server. Password: in `password_file`, or by libpq's own ways (PGPASSFILE, PGPASSWORD)."""

    def __init__(self, url: str, *, read_only: bool, password_file: Path | None) -> None:
        """Know the server; the first read or write connects."""
        self._url = _address(url, password_file)
        settings = _SERVER | ({"default_transaction_read_only": "on"} if read_only else {})
        arguments = _arguments(self._url, settings)
        self._engine = _engine(
            self._url, arguments, QueuePool, pool_size=5, max_overflow=5, pool_pre_ping=True, pool_recycle=1800
        )
        self._lone = _engine(self._url, arguments, NullPool, isolation_level="AUTOCOMMIT")
        self._life: _LifeLock | None = None
        # Where the whole session is for reading only it says so itself; the option would end that with its transaction.
        self._reads: Mapping[str, bool] = {} if read_only else {"postgresql_readonly": True}

    @property
    def place(self) -> str:
        """The URL without password and options."""
        url = self._url
        shown = URL.create("postgresql", username=url.username, host=url.host, port=url.port, database=url.database)
        return shown.render_as_string()

    @property
    def version(self) -> str:
        """The server's version."""
        with as_unavailable(self.place), self.reading() as connection:
            return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of the data."""
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ", **self._reads)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction. A daemon that has lost its lock for life takes it again first, or may not write."""
        with self._engine.begin() as connection:
            if self._life:
                self._life.assure(connection)
            yield connection

    def lock_for_life(self) -> None:
        """Be the only daemon on this database, by an advisory lock on a connection of its own."""
        life = _LifeLock(self._lone, self.place)
        life.take()
        self._life = life

    def is_taken(self) -> bool:
        """Ask the server: it frees the lock when the session of its holder ends."""
        with self.reading() as connection:
            return connection.scalar(_TAKEN, {"life": _LIFE}) is not None

    def complaints(self) -> tuple[str, ...]:
        """Damage is the server's own business."""
        return ()

    def back_up(self, target: Path) -> str:
        """Leave it to the server's own program, which asks for the password or finds it in PGPASSFILE."""
        url = self._url.difference_update_query(["password", "sslpassword"])
        url = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        return shlex.join(["pg_dump", "--format=custom", f"--file={target}", url.render_as_string()])

    def close(self) -> None:
        """Close every connection."""
        if self._life:
            self._life.close()
        self._engine.dispose()
        self._lone.dispose()


class _LifeLock:
    """An advisory lock of a session. The server frees it when the session ends, however it ends."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._one = threading.Lock()
        self._connection: Connection | None = None
        self._pid = 0

    def take(self) -> None:
        """Take the lock on a new connection; `LedgerUnavailableError` when another has it."""
        self.close()
        connection = self._engine.connect()
        try:
            self._refuse_shared_session(connection)
            pid = connection.scalar(_TAKE, {"life": _LIFE})
        except (exc.DBAPIError, LedgerUnavailableError):
            connection.close()
            raise
        if pid is None:
            connection.close()
            msg = f"another spendwatch uses {self._place}"
            raise LedgerUnavailableError(msg)
        self._connection, self._pid = connection, pid

    def _refuse_shared_session(self, connection: Connection) -> None:
        """Refuse a pool that gives its sessions to others between our transactions: a lock of ours would be theirs."""
        pid, driver = connection.scalar(_PID), connection.connection.driver_connection
        if driver is None or driver.info.backend_pid == pid:  # no pool in between
            return
        with self._engine.connect() as other:
            other.execute(text("BEGIN"))  # which is given a session until its end, perhaps ours
            is_shared = other.scalar(_PID) == pid or connection.scalar(_PID) != pid
            other.execute(text("ROLLBACK"))
        if is_shared:
            msg = (
                f"{self._place} is a pool that shares its sessions (PgBouncer with pool_mode=transaction), where no lock holds;"
                " write the address of the server itself as `state`, or of a pool with pool_mode=session"
            )
            raise LedgerUnavailableError(msg)

    def assure(self, transaction: Connection) -> None:
        """Ask the server whether our session still holds the lock: a restarted server, or a cut line, has ended it."""
        with self._one:
            if transaction.scalar(_STILL_HELD, {"life": _LIFE, "pid": self._pid}) is None:
                self.take()

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _address(url: str, password_file: Path | None) -> URL:
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
    except (exc.ArgumentError, ValueError):
        msg = "the URL of `state` is not valid: write postgresql://user@host:port/database"
        raise LedgerUnavailableError(msg) from None
    if password_file is None:
        return address
    try:
        password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        msg = f"the password file {password_file} cannot be read: {type(error).__name__}"
        raise LedgerUnavailableError(msg) from None
    return address.set(password=password)


def _arguments(address: URL, settings: Mapping[str, str]) -> dict[str, str]:
    """Return our defaults for what the URL itself does not say. Its `options` come last, so that they win."""
    arguments = {name: value for name, value in _CLIENT.items() if name not in address.query}
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    theirs = address.query.get("options", "")
    return arguments | {"options": f"{ours} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()}


def _engine(address: URL, arguments: Mapping[str, str], pool: type[QueuePool | NullPool], **options: Any) -> Engine:  # noqa: ANN401 -- SQLAlchemy's own options
    try:
        return create_engine(address, connect_args=dict(arguments), poolclass=pool, hide_parameters=True, **options)
    except ImportError:
        msg = "PostgreSQL needs the extra: pip install 'spendwatch[postgres]'"
        raise LedgerUnavailableError(msg) from None
