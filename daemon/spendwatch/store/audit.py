"""The table `audit`: manual changes to the ledger, and when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Column, Connection, Integer, Table, insert, select

from spendwatch.domain.statement import Digest
from spendwatch.store.columns import columns_like, columns_of, metadata

NO_DIGEST = Digest("")

REMOVED = "remove"
"""Done to a statement."""


class AuditEntry(NamedTuple):
    """One change that a person made."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    digest: Digest = NO_DIGEST
    """Of the bytes of the statement that it is about; empty for none."""


audit = Table("audit", metadata, Column("id", Integer, primary_key=True), *columns_of(AuditEntry))


def add_audit_entries(connection: Connection, entries: Iterable[AuditEntry]) -> None:
    """Put entries on record."""
    for entry in entries:
        connection.execute(insert(audit).values(entry._asdict()))


def latest_audit_entries(connection: Connection, limit: int) -> tuple[AuditEntry, ...]:
    """Return what was done last, the latest first."""
    latest = select(*columns_like(audit, AuditEntry)).order_by(audit.c.id.desc()).limit(limit)
    return tuple(AuditEntry(*row) for row in connection.execute(latest))


def removed_files(connection: Connection) -> frozenset[Digest]:
    """Return the digests of all files whose statements were ever taken back."""
    return frozenset(map(Digest, connection.scalars(select(audit.c.digest).where(audit.c.action == REMOVED))))
