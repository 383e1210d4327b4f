"""The table `silence`: who wants to hear nothing of which alerts, until when. They stay on record."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Select, Table, insert, select, update

from spendwatch.domain.delivery import Silence
from spendwatch.store.audit import AuditEntry, add_audit_entries
from spendwatch.store.columns import begins_with, columns_of, metadata
from spendwatch.store.held import release_held

silence = Table("silence", metadata, *columns_of(Silence, key="id"))


def add_silence(connection: Connection, one: Silence, *entries: AuditEntry) -> None:
    """Put a silence on record."""
    connection.execute(insert(silence).values(one._asdict()))
    add_audit_entries(connection, entries)


def end_silence(connection: Connection, which: str, at: datetime, *entries: AuditEntry) -> None:
    """Let a silence end then, if it would last longer."""
    add_audit_entries(connection, entries)
    ended = connection.execute(update(silence).where(silence.c.id == which, silence.c.ends_at > at).values(ends_at=at))
    if ended.rowcount:
        release_held(connection, which, at)


def silences(connection: Connection, *, at: datetime | None = None) -> tuple[Silence, ...]:
    """Return all silences, or those that have not ended then; the one that ends first stands first."""
    query = select(silence).order_by(silence.c.ends_at, silence.c.id)
    return _silences(connection, query if at is None else query.where(silence.c.ends_at > at))


def silences_beginning(connection: Connection, prefix: str) -> tuple[Silence, ...]:
    """Return the silences whose id begins so."""
    return _silences(connection, select(silence).where(begins_with(silence.c.id, prefix))) if prefix else ()


def _silences(connection: Connection, query: Select[*tuple[object, ...]]) -> tuple[Silence, ...]:
    return tuple(Silence(**row) for row in connection.execute(query).mappings())
