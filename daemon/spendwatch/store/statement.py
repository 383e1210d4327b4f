"""The tables `statement` and `rejection`: every bill file that was recorded or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, Table, UniqueConstraint, or_, select

from spendwatch.domain.health import Rejection
from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, Digest, Kind, SourceName, Statement, TaxBasis
from spendwatch.store.columns import Moment, Row, StoredText, Texts, begins_with, insert_into, metadata, upsert

statement = Table(
    "statement",
    metadata,
    Column("id", Integer, primary_key=True),
    # Which statement it is: the bytes, whose digest follows, and what they mean.
    Column("identity", StoredText, nullable=False),
    Column("digest", StoredText, nullable=False, index=True),
    Column("name", StoredText, nullable=False),
    Column("source", StoredText, nullable=False),
    Column("layout", StoredText, nullable=False),
    Column("series", StoredText, nullable=False),
    Column("kind", StoredText, nullable=False),
    Column("tax_basis", StoredText, nullable=False),
    Column("accounts", Texts, nullable=False),
    Column("periods", Texts, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("new", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("same", Integer, nullable=False),
    Column("gone", Integer, nullable=False),
    Column("data_until", Moment),
    Column("exported_at", Moment),
    # How new it is; nothing without lines.
    Column("moment", Moment),
    Column("received_at", Moment, nullable=False),
    Column("remarks", Texts, nullable=False),
    Column("unassigned", Texts, nullable=False),
    UniqueConstraint("identity"),
)

rejection = Table(
    "rejection",
    metadata,
    Column("digest", StoredText, primary_key=True),
    Column("name", StoredText, nullable=False),
    Column("source", StoredText, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("reason", StoredText, nullable=False),
)


@dataclass(frozen=True, slots=True)
class EnteredStatement:
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
    received_at: datetime
    remarks: tuple[str, ...]


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
    connection: Connection, entered: Statement, days: Sequence[ResolvedDay], *, name: str, source: SourceName, now: datetime
) -> int:
    """Put a statement on record, and return its number. The same one exported once more is only newer."""
    new, changed, gone = (sum(getattr(day, name) for day in days) for name in ("new", "changed", "gone"))
    row: Row = {
        "identity": entered.identity,
        "digest": entered.digest,
        "name": name,
        "source": source,
        "layout": entered.layout,
        "series": entered.series,
        "kind": entered.kind.value,
        "tax_basis": entered.tax_basis.value,
        "accounts": entered.accounts,
        "periods": [period.label for period in entered.periods],
        "lines": entered.lines,
        "new": new,
        "changed": changed,
        "same": max(0, entered.lines - new - changed),
        "gone": gone,
        "data_until": entered.data_until,
        "exported_at": entered.exported_at,
        "moment": entered.version.moment if entered.version else None,
        "received_at": now,
        "remarks": entered.remarks,
        "unassigned": entered.unassigned,
    }
    newer = {name: row[name] for name in ("name", "exported_at", "moment", "received_at")}
    upsert(connection, statement, row, newer, key=[statement.c.identity])
    return int(connection.execute(select(statement.c.id).where(statement.c.identity == entered.identity)).scalar_one())


def latest_statements(connection: Connection, limit: int | None = None) -> tuple[EnteredStatement, ...]:
    """Return the statements received last, the latest first: the same bytes exported once more were received once more."""
    latest = select(statement).order_by(statement.c.received_at.desc(), statement.c.id.desc())
    found = connection.execute(latest.limit(limit)).mappings()
    return tuple(_entered(dict(row)) for row in found)


def statements_beginning(connection: Connection, prefix: str, limit: int = 10) -> tuple[EnteredStatement, ...]:
    """Return the statements whose id, or the digest of whose bytes, begins so."""
    begins = or_(begins_with(statement.c.identity, prefix), begins_with(statement.c.digest, prefix))
    query = select(statement).where(begins).order_by(statement.c.identity).limit(limit)
    return tuple(_entered(dict(row)) for row in connection.execute(query).mappings()) if prefix else ()


def _entered(row: Row) -> EnteredStatement:
    plain = {name: value for name, value in row.items() if name not in {"id", "unassigned"}}
    converted = {
        "kind": Kind(row["kind"]),
        "tax_basis": TaxBasis(row["tax_basis"]),
        "periods": tuple(BillingPeriod.parse(label) for label in row["periods"]),
    }
    return EnteredStatement(**(plain | converted))


def put_rejection(connection: Connection, refused: Rejection) -> None:
    """Put a refused file on record, once for each digest."""
    row: Row = {
        "digest": refused.digest,
        "name": refused.name,
        "source": refused.source,
        "at": refused.at,
        "reason": refused.reason,
    }
    connection.execute(insert_into(connection, rejection).values(row).on_conflict_do_nothing())


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
