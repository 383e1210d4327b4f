"""The tables `statement` and `rejection`: every bill file that was recorded or rejected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Column, Connection, Index, Integer, Table, UniqueConstraint, or_, select

from spendwatch.domain.health import Rejection
from spendwatch.domain.merging import Resolution
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, Digest, Kind, SourceName, Statement, TaxBasis
from spendwatch.store.columns import Row, begins_with, columns_like, columns_of, insert_into, metadata, upsert


class EnteredStatement(NamedTuple):
    """A statement on record, and what the ledger took in from it."""

    identity: Digest
    """Which statement it is; the same bytes may be several, if they came under names that mean different things."""
    digest: Digest
    name: str
    source: SourceName
    layout: str
    series: str
    kind: Kind
    tax_basis: TaxBasis
    accounts: tuple[AccountId, ...]
    periods: tuple[BillingPeriod, ...]
    lines: int
    new: int
    changed: int
    same: int
    gone: int
    data_until: datetime | None
    exported_at: datetime | None
    moment: datetime | None
    """How new it is; nothing without lines."""
    received_at: datetime
    first_received_at: datetime
    """An earlier moment where the same bytes were exported once more."""
    remarks: tuple[str, ...]
    unassigned: tuple[str, ...]


statement = Table(
    "statement",
    metadata,
    Column("id", Integer, primary_key=True),
    *columns_of(EnteredStatement),
    Index(None, "digest"),
    UniqueConstraint("identity"),
)

_SAME = tuple(name for name in EnteredStatement._fields if hasattr(Statement, name))
"""What an entered statement has of the statement itself."""

rejection = Table("rejection", metadata, *columns_of(Rejection, key="digest"), Index(None, "at"))


def is_entered(connection: Connection, digest: Digest) -> bool:
    """Return whether a file of that digest is on record, whatever it was taken for."""
    return connection.scalar(select(statement.c.id).where(statement.c.digest == digest).limit(1)) is not None


def is_on_record(connection: Connection, one: Statement) -> bool:
    """Return whether that statement is on record, as it was then or later."""
    same = select(statement.c.id).where(statement.c.identity == one.identity)
    # The same bytes that mean the same differ in their time alone.
    return connection.scalar(same.where(statement.c.moment >= one.version.moment) if one.version else same) is not None


def number_of(connection: Connection, identity: Digest) -> int | None:
    """Return the number of a statement on record."""
    number: int | None = connection.scalar(select(statement.c.id).where(statement.c.identity == identity))
    return number


def enter(
    connection: Connection, entered: Statement, resolution: Resolution, *, name: str, source: SourceName, now: datetime
) -> int:
    """Put a statement on record, and return its number. The same one exported once more is only newer."""
    row: Row = {
        **{name: getattr(entered, name) for name in _SAME},
        **dict(zip(("new", "changed", "same", "gone"), resolution.counts(entered.lines), strict=True)),
        "name": name,
        "source": source,
        "moment": entered.version.moment if entered.version else None,
        "received_at": now,
        "first_received_at": now,
    }
    newer = {name: row[name] for name in ("name", "exported_at", "moment", "received_at")}
    upsert(connection, statement, row, newer, key=[statement.c.identity])
    return int(connection.execute(select(statement.c.id).where(statement.c.identity == entered.identity)).scalar_one())


def latest_statements(connection: Connection, limit: int | None = None) -> tuple[EnteredStatement, ...]:
    """Return the statements received last, the latest first: the same bytes exported once more were received once more."""
    latest = select(*columns_like(statement, EnteredStatement)).order_by(statement.c.received_at.desc(), statement.c.id.desc())
    return tuple(EnteredStatement(*row) for row in connection.execute(latest.limit(limit)))


def statements_beginning(connection: Connection, prefix: str, limit: int = 10) -> tuple[EnteredStatement, ...]:
    """Return the statements whose id, or the digest of whose bytes, begins so."""
    begins = or_(begins_with(statement.c.identity, prefix), begins_with(statement.c.digest, prefix))
    query = select(*columns_like(statement, EnteredStatement)).where(begins).order_by(statement.c.identity).limit(limit)
    return tuple(EnteredStatement(*row) for row in connection.execute(query)) if prefix else ()


def put_rejection(connection: Connection, refused: Rejection) -> None:
    """Put a refused file on record, once for each digest."""
    connection.execute(insert_into(connection, rejection).values(refused._asdict()).on_conflict_do_nothing())


def unassigned_since(connection: Connection, since: datetime) -> Mapping[str, tuple[str, ...]]:
    """Return by layout examples of instance ids without a known workspace, in bills received since then."""
    columns = statement.c.layout, statement.c.unassigned
    query = select(*columns).where(statement.c.received_at >= since, statement.c.unassigned != ()).order_by(statement.c.id)
    found: dict[str, tuple[str, ...]] = {}
    for layout, examples in connection.execute(query):
        found.setdefault(layout, examples)
    return found


def rejections_since(connection: Connection, since: datetime) -> tuple[Rejection, ...]:
    """Return the files refused since then and not entered after all, the oldest first."""
    entered = select(statement.c.id).where(statement.c.digest == rejection.c.digest).exists()
    query = select(rejection).where(rejection.c.at >= since, ~entered).order_by(rejection.c.at, rejection.c.digest)
    return tuple(Rejection(**row) for row in connection.execute(query).mappings())
