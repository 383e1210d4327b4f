"""The table `chunk`: the lines of one account, billing period, series and day, as the reader packed them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from sqlalchemy import Column, Connection, Date, Integer, LargeBinary, PrimaryKeyConstraint, Table, and_, case, select, update
from sqlalchemy.sql.elements import ColumnElement

from spendwatch.domain.statement import DayKey, Digest, MergedDay
from spendwatch.store.columns import Moment, Row, Words, insert_into, metadata

chunk = Table(
    "chunk",
    metadata,
    Column("period", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("series", Words, nullable=False),
    Column("day", Date, nullable=False),
    Column("digest", Words, nullable=False),
    Column("lines", Integer, nullable=False),
    # Up to which stamp later statements said the same of the whole day; none since its lines were last written.
    Column("confirmed", Moment),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "day"),
)


def is_day(table: Table, key: DayKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to that day."""
    return and_(_is_month(table, key), table.c.day == key.day)


def _is_month(table: Table, key: DayKey) -> ColumnElement[bool]:
    return and_(table.c.period == key.period.label, table.c.account == key.account, table.c.series == key.series)


def held_digests(connection: Connection, days: Iterable[DayKey]) -> dict[DayKey, Digest]:
    """Return the content digests of those days that are on record."""
    found: dict[DayKey, Digest] = {}
    for _, group in groupby(sorted(days), lambda key: (key.account, key.period, key.series)):
        keys = {key.day: key for key in group}
        first = next(iter(keys.values()))
        query = select(chunk.c.day, chunk.c.digest).where(_is_month(chunk, first), chunk.c.day.in_(list(keys)))
        found |= {keys[day]: Digest(digest) for day, digest in connection.execute(query)}
    return found


def content_of(connection: Connection, day: DayKey) -> bytes | None:
    """Return the lines of a day as they were recorded."""
    content: bytes | None = connection.scalar(select(chunk.c.content).where(is_day(chunk, day)))
    return content


def confirmations(connection: Connection, days: Iterable[DayKey]) -> dict[DayKey, datetime]:
    """Return of those days that were confirmed as a whole up to which stamp."""
    said = ((day, connection.scalar(select(chunk.c.confirmed).where(is_day(chunk, day)))) for day in days)
    return {day: stamp for day, stamp in said if stamp is not None}


def confirm(connection: Connection, day: DayKey, digest: Digest, stamp: datetime) -> bool:
    """Note that a statement of that stamp said the same of a day; tell whether the day still is as it says."""
    same = update(chunk).where(is_day(chunk, day), chunk.c.digest == digest)
    newer = case((chunk.c.confirmed > stamp, chunk.c.confirmed), else_=stamp)
    return connection.execute(same.values(confirmed=newer)).rowcount == 1


def put_chunk(connection: Connection, day: MergedDay) -> None:
    """Record the lines of a day in place of what was there. They are fetched only now: one day at a time is in memory."""
    key = day.key
    row: Row = {
        "period": key.period.label,
        "account": key.account,
        "series": key.series,
        "day": key.day,
        "digest": day.digest,
        "lines": day.lines,
        "confirmed": None,
        "content": day.chunk(),
    }
    insertion = insert_into(connection, chunk).values(row)
    fresh = {name: insertion.excluded[name] for name in ("digest", "lines", "confirmed", "content")}
    connection.execute(insertion.on_conflict_do_update(index_elements=list(chunk.primary_key), set_=fresh))
