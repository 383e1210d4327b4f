"""The table `content`: the lines of a day as statements have them, packed by the reader. Equal days are stored once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from sqlalchemy import Column, Connection, Integer, LargeBinary, Table, delete, distinct, func, select, update

from spendwatch.domain.merging import NewContent
from spendwatch.domain.statement import Digest, SeriesKey
from spendwatch.store.columns import StoredText, batches, columns_like, insert_into, metadata
from spendwatch.store.day import is_month
from spendwatch.store.statement_day import statement_day

content = Table(
    "content",
    metadata,
    Column("digest", StoredText, primary_key=True),
    Column("lines", Integer, nullable=False),
    # By which a line is found on another day without unpacking; empty where lines have no ids.
    Column("ids", LargeBinary, nullable=False),
    # Empty once the lines were given up to save room: what was made of them stays.
    Column("packed", LargeBinary, nullable=False),
)


def content_of(connection: Connection, digest: Digest) -> bytes | None:
    """Return lines as they were recorded; nothing in it if they were given up."""
    packed: bytes | None = connection.scalar(select(content.c.packed).where(content.c.digest == digest))
    return packed


def ids_of(connection: Connection, digest: Digest) -> bytes | None:
    """Return the ids of lines as they were recorded; nothing in it where lines have none."""
    ids: bytes | None = connection.scalar(select(content.c.ids).where(content.c.digest == digest))
    return ids


def put_contents(connection: Connection, contents: Iterable[NewContent]) -> None:
    """Record contents, also in place of what was given up; one at a time is in memory."""
    for one in contents:
        insertion = insert_into(connection, content).values(one._asdict())
        fresh = {"packed": insertion.excluded.packed, "ids": insertion.excluded.ids}
        is_empty = func.length(content.c.packed) == 0
        connection.execute(insertion.on_conflict_do_update(index_elements=[content.c.digest], set_=fresh, where=is_empty))


def given_up_contents(connection: Connection, digests: Collection[Digest]) -> frozenset[Digest]:
    """Return which of these contents were given up."""
    empty = select(content.c.digest).where(func.length(content.c.packed) == 0)
    found = (connection.scalars(empty.where(content.c.digest.in_(some))) for some in batches(digests))
    return frozenset(Digest(one) for some in found for one in some)


def give_up(connection: Connection, before: date) -> int:
    """Drop the lines of the days before that one; what was made of them stays. Return how many contents that were."""
    old, kept = (
        select(statement_day.c.content).where(which) for which in (statement_day.c.day < before, statement_day.c.day >= before)
    )
    which = content.c.digest.in_(old) & content.c.digest.not_in(kept) & (func.length(content.c.packed) > 0)
    return connection.execute(update(content).where(which).values(packed=b"")).rowcount


def give_up_contents(connection: Connection, digests: Iterable[Digest], series: SeriesKey) -> None:
    """Drop the lines of these contents, which no statement of that series can ever need again, unless others have them."""
    others = select(statement_day.c.content).where(~is_month(statement_day, series))
    dropped = update(content).values(packed=b"", ids=b"")
    for some in batches(digests):
        theirs = others.where(statement_day.c.content.in_(some))
        connection.execute(dropped.where(content.c.digest.in_(some), content.c.digest.not_in(theirs)))


def crowded_series(connection: Connection) -> list[SeriesKey]:
    """Return the series that hold more contents than days."""
    names = columns_like(statement_day, SeriesKey)
    held = select(*names).join(content, content.c.digest == statement_day.c.content).where(func.length(content.c.packed) > 0)
    contents, days = (func.count(distinct(column)) for column in (statement_day.c.content, statement_day.c.day))
    found = connection.execute(held.group_by(*names).having(contents > days))
    return [SeriesKey(*row) for row in found]


def forget_unused(connection: Connection) -> None:
    """Forget contents that no statement has any more."""
    connection.execute(delete(content).where(content.c.digest.not_in(select(statement_day.c.content))))
