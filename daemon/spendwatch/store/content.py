"""The table `content`: the lines of a day as statements have them, packed by the reader. Equal days are stored once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import Column, Connection, Integer, LargeBinary, Table, delete, distinct, func, select, update

from spendwatch.domain.merging import Resolution
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, Digest, SeriesKey
from spendwatch.store.columns import Row, StoredText, insert_into, metadata
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


def put_contents(connection: Connection, resolution: Resolution) -> None:
    """Record the fresh contents; one at a time is in memory."""
    for one in resolution.contents():
        row: Row = one._asdict()
        connection.execute(insert_into(connection, content).values(row).on_conflict_do_nothing())


def given_up_contents(connection: Connection, digests: Collection[Digest]) -> frozenset[Digest]:
    """Return which of these contents were given up."""
    empty = select(content.c.digest).where(content.c.digest.in_(list(digests)), func.length(content.c.packed) == 0)
    return frozenset(map(Digest, connection.scalars(empty)))


def give_up(connection: Connection, before: date) -> int:
    """Drop the lines of the days before that one; what was made of them stays. Return how many contents that were."""
    old, kept = (
        select(statement_day.c.content).where(which) for which in (statement_day.c.day < before, statement_day.c.day >= before)
    )
    which = content.c.digest.in_(old) & content.c.digest.not_in(kept) & (func.length(content.c.packed) > 0)
    return connection.execute(update(content).where(which).values(packed=b"")).rowcount


def give_up_contents(connection: Connection, digests: Collection[Digest]) -> None:
    """Drop the lines of these contents, which no statement can ever need again."""
    if digests:
        connection.execute(update(content).where(content.c.digest.in_(list(digests))).values(packed=b"", ids=b""))


def crowded_series(connection: Connection) -> list[SeriesKey]:
    """Return the series that hold more contents than days."""
    names = (statement_day.c.account, statement_day.c.period, statement_day.c.series)
    held = select(*names).join(content, content.c.digest == statement_day.c.content).where(func.length(content.c.packed) > 0)
    contents, days = (func.count(distinct(column)) for column in (statement_day.c.content, statement_day.c.day))
    found = connection.execute(held.group_by(*names).having(contents > days))
    return [SeriesKey(AccountId(account), BillingPeriod.parse(label), series) for account, label, series in found]


def forget_unused(connection: Connection) -> None:
    """Forget contents that no statement has any more."""
    connection.execute(delete(content).where(content.c.digest.not_in(select(statement_day.c.content))))
