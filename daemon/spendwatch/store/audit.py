"""The table `audit`: what people did to the ledger by hand, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, Table, insert, select

from spendwatch.store.columns import Moment, Words, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Words, nullable=False),
)


REMOVED = "remove"
"""Done to a statement; its subject begins with the beginning of its digest."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody did."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: str


def note_deed(connection: Connection, deed: Deed) -> None:
    """Put a deed on record."""
    connection.execute(
        insert(audit).values(at=deed.at, actor=deed.actor, action=deed.action, subject=deed.subject, detail=deed.detail)
    )


def deeds(connection: Connection, limit: int) -> tuple[Deed, ...]:
    """Return what was done last, the latest first."""
    columns = (audit.c.at, audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail)
    return tuple(Deed(*row) for row in connection.execute(select(*columns).order_by(audit.c.id.desc()).limit(limit)))


def removed_statements(connection: Connection) -> tuple[str, ...]:
    """Return the beginnings of the digests of all statements that were ever taken back."""
    subjects = connection.scalars(select(audit.c.subject).where(audit.c.action == REMOVED))
    return tuple(subject.partition(" ")[0] for subject in subjects)
