"""The table `coverage`: what complete statements cover. Older lines that they do not contain are removed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, select

from spendwatch.domain.merging import combined
from spendwatch.domain.statement import Coverage, SeriesKey, Stamp
from spendwatch.store.chunk import is_month
from spendwatch.store.columns import Row, Words, insert_into, metadata

coverage = Table(
    "coverage",
    metadata,
    Column("period", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("series", Words, nullable=False),
    # Which day; empty for the whole period.
    Column("day", Words, nullable=False),
    Column("stamp", Words, nullable=False),
    Column("reach", Words, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "day"),
)


def covered(connection: Connection, series: Iterable[SeriesKey]) -> tuple[Coverage, ...]:
    """Return what complete statements of these series cover."""
    found = []
    for one in sorted(set(series)):
        query = select(coverage.c.day, coverage.c.stamp, coverage.c.reach).where(is_month(coverage, one))
        for day, stamp, reach in connection.execute(query.order_by(coverage.c.day)):
            found.append(Coverage(one, date.fromisoformat(day) if day else None, Stamp(stamp), Stamp(reach)))
    return tuple(found)


def cover(connection: Connection, fresh: Iterable[Coverage]) -> None:
    """Note what a statement covers, beside what was covered before."""
    added = tuple(fresh)
    before = covered(connection, (one.series for one in added))
    for one in combined((*before, *added)):
        row: Row = {
            "period": one.series.period.label,
            "account": one.series.account,
            "series": one.series.series,
            "day": one.day.isoformat() if one.day else "",
            "stamp": one.stamp,
            "reach": one.reach,
        }
        insertion = insert_into(connection, coverage).values(row)
        higher = {name: insertion.excluded[name] for name in ("stamp", "reach")}
        connection.execute(insertion.on_conflict_do_update(index_elements=list(coverage.primary_key), set_=higher))
