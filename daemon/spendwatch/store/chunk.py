"""The table `chunk`: the lines of one account, billing period, series and day, packed by the reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    and_,
    case,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from spendwatch.domain.merging import HeldDay, MergedDay
from spendwatch.domain.statement import DayKey, Digest, SeriesKey, Stamp
from spendwatch.store.columns import Row, Texts, Words, insert_into, metadata

chunk = Table(
    "chunk",
    metadata,
    Column("period", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("series", Words, nullable=False),
    Column("day", Date, nullable=False),
    Column("digest", Words, nullable=False),
    Column("lines", Integer, nullable=False),
    # Up to which stamp later statements said the same of the whole day; empty for none since its lines were last written.
    Column("confirmed", Words, nullable=False),
    # The different stamps of the lines; none where they are too many to tell.
    Column("stamps", Texts, nullable=False),
    # Empty once the lines were given up to save room: their roll-up stays.
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "day"),
)


def is_day(table: Table, key: DayKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to that day."""
    return and_(is_month(table, key.month), table.c.day == key.day)


def is_month(table: Table, series: SeriesKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to that account, period and series."""
    return and_(table.c.period == series.period.label, table.c.account == series.account, table.c.series == series.series)


def held_days(connection: Connection, series: Iterable[SeriesKey]) -> dict[DayKey, HeldDay]:
    """Return what is on record of these series, the lines left aside."""
    return {day.key: day for one in sorted(set(series)) for day in _held(connection, one)}


def _held(connection: Connection, series: SeriesKey) -> Iterator[HeldDay]:
    query = select(chunk.c.day, chunk.c.digest, chunk.c.confirmed, chunk.c.stamps).where(is_month(chunk, series))
    for day, digest, confirmed, stamps in connection.execute(query.order_by(chunk.c.day)):
        key = DayKey(series.account, series.period, series.series, day)
        yield HeldDay(key, Digest(digest), Stamp(confirmed), tuple(map(Stamp, stamps)))


def content_of(connection: Connection, day: DayKey) -> bytes | None:
    """Return the lines of a day as they were recorded; nothing in it if they were given up."""
    content: bytes | None = connection.scalar(select(chunk.c.content).where(is_day(chunk, day)))
    return content


def confirm(connection: Connection, day: DayKey, stamp: Stamp) -> None:
    """Note that a statement of that stamp said the same of a day."""
    newer = case((chunk.c.confirmed > stamp, chunk.c.confirmed), else_=stamp)
    connection.execute(update(chunk).where(is_day(chunk, day)).values(confirmed=newer))


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
        "confirmed": "",
        "stamps": day.stamps,
        "content": day.chunk(),
    }
    insertion = insert_into(connection, chunk).values(row)
    fresh = {name: insertion.excluded[name] for name in ("digest", "lines", "confirmed", "stamps", "content")}
    connection.execute(insertion.on_conflict_do_update(index_elements=list(chunk.primary_key), set_=fresh))


def newest_day(connection: Connection) -> date | None:
    """Return the latest day of which there is a line."""
    day: date | None = connection.scalar(select(func.max(chunk.c.day)))
    return day


def give_up(connection: Connection, before: date) -> int:
    """Drop the lines of the days before that one; what was made of them stays. Return how many days that were."""
    old = and_(chunk.c.day < before, func.length(chunk.c.content) > 0)
    return connection.execute(update(chunk).where(old).values(content=b"")).rowcount


def remove_chunk(connection: Connection, day: DayKey) -> None:
    """Record that a day has no lines."""
    connection.execute(delete(chunk).where(is_day(chunk, day)))
