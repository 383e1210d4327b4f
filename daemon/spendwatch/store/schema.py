"""The schema revision of a database, and its update to the current one.

Alembic is slow to import, so it is only when there is something to migrate.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.store.database import Storage
from spendwatch.store.tables import metadata
from spendwatch.store.watermark import begin_revision

REVISIONS = ("0.1.0",)
"""Every revision this program can bring up to date, the oldest first. A new migration adds its own here."""

HEAD = REVISIONS[-1]

VERSION_TABLE = "spendwatch_revision"
"""A name of our own: another program in the same PostgreSQL database may use alembic, too."""

_MIGRATIONS = "spendwatch.store:migrations"

_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table'",
    "postgresql": (
        "SELECT t.relname, c.attname FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid AND NOT c.attisdropped "
        "WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
    ),
}
"""Ask for every table and each of its columns."""


def require_current(storage: Storage, *, read_only: bool) -> None:
    """Bring the tables up to date. Refused, with nothing touched: an unknown schema, and any migration when `read_only`."""
    # The first look is a writer's: what a kill left of the very first start, only a writer can roll back.
    with storage.reading() if read_only else storage.writing() as connection:
        if _is_current(connection, storage.place, read_only=read_only):
            return
    with storage.writing() as connection:
        _wait_for_other_migrations(connection)
        if not _is_current(connection, storage.place, read_only=read_only):
            make_current = _upgrade if stored_revision(connection) else _build
            make_current(connection)


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the tables in the database; None without any."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 -- a constant
    return revision


def _is_current(connection: Connection, place: str, *, read_only: bool) -> bool:
    revision = stored_revision(connection)
    if revision == HEAD:
        _require_columns(connection, place)
        return True
    if revision is None and read_only:
        msg = f"no ledger yet at {place}: `run`, `once` or `import` creates it"
        raise LedgerUnavailableError(msg)
    if revision is None:
        _refuse_foreign_tables(connection, place)
    elif revision not in REVISIONS:
        msg = (
            f"the ledger at {place} was written by another spendwatch (schema {revision}, this one knows up to {HEAD}): "
            "install that version again, restore a backup made before it, or create a new ledger from the archived bills"
        )
        raise LedgerUnavailableError(msg)
    elif read_only:
        msg = f"the ledger at {place} has an older schema ({revision}): start the daemon once to bring it to {HEAD}"
        raise LedgerUnavailableError(msg)
    return False


def _require_columns(connection: Connection, place: str) -> None:
    """Refuse tables of a version that was never released: its revision says nothing."""
    found = {tuple(row) for row in connection.execute(text(_COLUMNS[connection.dialect.name]))}
    wanted = ((table.name, column.name) for table in metadata.tables.values() for column in table.columns)
    if lacking := next((one for one in wanted if one not in found), None):
        msg = (
            f"the ledger at {place} was made by an unfinished spendwatch (its table {lacking[0]} has no {lacking[1]}): move it "
            "away, and a new one is made from the archived bills"
        )
        raise LedgerUnavailableError(msg)


def _refuse_foreign_tables(connection: Connection, place: str) -> None:
    if inspect(connection).has_table("statement") or inspect(connection).has_table("alert"):
        msg = f"the database at {place} belongs to another program: it has tables with the same names"
        raise LedgerUnavailableError(msg)


def _wait_for_other_migrations(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": VERSION_TABLE})


def _build(connection: Connection) -> None:
    """Make all tables of a new ledger: those that the migrations would build one after the other, only quicker."""
    metadata.create_all(connection, checkfirst=False)
    begin_revision(connection)
    key = f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)"
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, {key})"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608 -- a constant


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 -- 0.3 s that most starts can do without
    from alembic.config import Config  # noqa: PLC0415 -- the same

    config = Config()
    config.set_main_option("script_location", _MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
