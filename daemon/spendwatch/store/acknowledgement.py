"""The table `acknowledgement`: who takes care of which alert."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict

from sqlalchemy import Connection, Table, delete

from spendwatch.domain.alert import Acknowledgement, AlertId
from spendwatch.store.audit import AuditEntry, add_audit_entries
from spendwatch.store.bulk import put_many, replace_the_old
from spendwatch.store.columns import columns_of, metadata

acknowledgement = Table("acknowledgement", metadata, *columns_of(Acknowledgement, key="alert"))


def acknowledge(connection: Connection, made: Iterable[Acknowledgement], entries: Iterable[AuditEntry]) -> None:
    """Record who takes care of alerts, in place of who did before."""
    put_many(connection, acknowledgement, [asdict(one) for one in made], replace_the_old)
    add_audit_entries(connection, entries)


def take_back(connection: Connection, alerts: Collection[AlertId], entries: Iterable[AuditEntry]) -> None:
    """Forget that anybody takes care of these alerts."""
    connection.execute(delete(acknowledgement).where(acknowledgement.c.alert.in_(alerts)))
    add_audit_entries(connection, entries)
