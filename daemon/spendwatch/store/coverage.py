"""The table `coverage`: what complete statements speak of. Older lines of it that they do not contain are removed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Connection, Date, PrimaryKeyConstraint, Table, select

from spendwatch.domain.statement import Coverage, Digest, SeriesKey, Stamp
from spendwatch.store.chunk import is_month
from spendwatch.store.columns import Row, Texts, Words, insert_into, metadata

coverage = Table(
    "coverage",
    metadata,
    Column("period", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("series", Words, nullable=False),
    # Which statement it is that speaks of these days.
    Column("statement", Words, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    # The owners of its lines; nothing where the bill does not tell owners.
    Column("owners", Texts),
    Column("stamp", Words, nullable=False),
    Column("reach", Words, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "statement", "first_day", "stamp"),
)


def covered(connection: Connection, series: Iterable[SeriesKey]) -> tuple[Coverage, ...]:
    """Return what complete statements of these series speak of."""
    found: dict[Coverage, None] = {}
    for one in sorted(set(series)):
        for row in connection.execute(select(coverage).where(is_month(coverage, one)).order_by(*coverage.primary_key)):
            told = Coverage(one, row.first_day, row.last_day, row.owners, Stamp(row.stamp), Stamp(row.reach))
            found[told] = None
    return tuple(found)


def cover(connection: Connection, statement: Digest, fresh: Iterable[Coverage]) -> None:
    """Note what a statement speaks of."""
    for one in fresh:
        row: Row = {
            "period": one.series.period.label,
            "account": one.series.account,
            "series": one.series.series,
            "statement": statement,
            "first_day": one.first,
            "last_day": one.last,
            "owners": one.owners,
            "stamp": one.stamp,
            "reach": one.reach,
        }
        connection.execute(insert_into(connection, coverage).values(row).on_conflict_do_nothing())
