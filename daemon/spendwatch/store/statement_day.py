"""The tables `version`, `statement_day` and `coverage`: how new statements are, what they say, and what they speak of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    Table,
    delete,
    func,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from spendwatch.domain.merging import Held, HeldStatement
from spendwatch.domain.statement import (
    Coverage,
    DayContent,
    DayKey,
    Digest,
    Identity,
    SeriesKey,
    Statement,
    Version,
)
from spendwatch.domain.usage import TellingDays
from spendwatch.store.bulk import no_conflict, put_many
from spendwatch.store.columns import Row, StoredText, batches, columns_like, columns_of, metadata
from spendwatch.store.day import day_row, is_month, linked_days, month_row
from spendwatch.store.statement import number_of, statement

version = Table(
    "version",
    metadata,
    Column("statement", ForeignKey("statement.id"), nullable=False),
    # A file may hold several statements.
    Column("number", Integer, nullable=False),
    *columns_of(Version),
    PrimaryKeyConstraint("statement", "number"),
)

statement_day = Table(
    "statement_day",
    metadata,
    *columns_of(DayKey),
    Column("statement", ForeignKey("statement.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("content", StoredText, nullable=False, index=True),
    Column("lines", Integer, nullable=False),
    Column("identity", StoredText, nullable=False),
    PrimaryKeyConstraint("period", "account", "series", "day", "statement", "version", "content"),
    sqlite_with_rowid=False,
)

coverage = Table(
    "coverage",
    metadata,
    *columns_of(SeriesKey),
    Column("statement", ForeignKey("statement.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    *columns_of(Coverage, but=("series", "version")),
    PrimaryKeyConstraint("period", "account", "series", "statement", "version", "first"),
)

_OF_STATEMENT = (coverage, statement_day, version)


def put_statement_days(connection: Connection, number: int, told: Statement) -> None:
    """Record what a statement says, in place of what it said before."""
    remove_statement_days(connection, number)
    versions = dict.fromkeys([*(one.version for one in told.days), *(one.version for one in told.coverage)])
    places = {one: place for place, one in enumerate(versions)}
    put_many(connection, version, (_version_row(number, place, one) for place, one in enumerate(versions)), no_conflict)
    put_many(connection, statement_day, (_day_row(number, one, places) for one in told.days), no_conflict)
    put_many(connection, coverage, (_coverage_row(number, one, places) for one in told.coverage), no_conflict)


def remove_statement_days(connection: Connection, number: int) -> None:
    """Forget what a statement says."""
    for table in _OF_STATEMENT:
        connection.execute(delete(table).where(table.c.statement == number))


def remove_statement(connection: Connection, identity: Digest) -> None:
    """Forget a statement and what it says."""
    if number := number_of(connection, identity):
        remove_statement_days(connection, number)
        connection.execute(delete(statement).where(statement.c.id == number))


def _version_row(number: int, place: int, one: Version) -> Row:
    return {"statement": number, "number": place, **one._asdict()}


def _day_row(number: int, one: DayContent, places: Mapping[Version, int]) -> Row:
    told = {"content": one.digest, "lines": one.lines, "identity": one.identity.value}
    return {**day_row(one.key), "statement": number, "version": places[one.version], **told}


def _coverage_row(number: int, one: Coverage, places: Mapping[Version, int]) -> Row:
    told = {"first": one.first, "last": one.last, "owners": one.owners, "reach": one.reach}
    return {**month_row(one.series), "statement": number, "version": places[one.version], **told}


def held_of(connection: Connection, series: Iterable[SeriesKey]) -> Held:
    """Return what is on record of these series."""
    days: dict[int, list[DayContent]] = defaultdict(list)
    covers: dict[int, list[Coverage]] = defaultdict(list)
    linked: frozenset[DayKey] = frozenset()
    for one in sorted(set(series)):
        versions, with_ids = _versions(connection, one), set[DayKey]()
        for number, told in _days(connection, one, versions):
            days[number].append(told)
            if told.identity is Identity.ID:
                with_ids.add(told.key)
        for row in connection.execute(select(coverage).where(is_month(coverage, one)).order_by(*coverage.primary_key)):
            known = versions[row.statement, row.version]
            covers[row.statement].append(Coverage(one, row.first, row.last, row.owners, known, row.reach))
        linked |= linked_days(connection, one, with_ids)
    query = select(statement.c.received_at, statement.c.id, statement.c.identity)
    several = (query.where(statement.c.id.in_(some)) for some in batches(sorted(days.keys() | covers.keys())))
    rows = sorted(tuple(row) for each in several for row in connection.execute(each))
    held = (
        HeldStatement(Digest(identity), received_at, tuple(days[number]), tuple(covers[number]))
        for received_at, number, identity in rows
    )
    return Held(tuple(held), linked)


def _versions(connection: Connection, series: SeriesKey) -> dict[tuple[int, int], Version]:
    days, covers = (select(table.c.statement).where(is_month(table, series)) for table in (statement_day, coverage))
    query = select(version.c.statement, version.c.number, *columns_like(version, Version))
    found = connection.execute(query.where(version.c.statement.in_(days.union(covers))))
    return {(number, place): Version(*rest) for number, place, *rest in found}


def _days(
    connection: Connection, series: SeriesKey, versions: Mapping[tuple[int, int], Version]
) -> Iterator[tuple[int, DayContent]]:
    query = select(statement_day).where(is_month(statement_day, series)).order_by(*statement_day.primary_key)
    keys: dict[date, DayKey] = {}  # one for all statements: a month may have hundreds of a day
    for row in connection.execute(query):
        key = keys.setdefault(row.day, DayKey(series.account, series.period, series.series, row.day))
        known = versions[row.statement, row.version]
        yield row.statement, DayContent(key, Digest(row.content), row.lines, Identity(row.identity), known)


def telling_days_of(connection: Connection, series: Iterable[SeriesKey]) -> TellingDays:
    """Return of which days of these series statements have lines, and what complete ones speak of."""
    wanted = sorted(set(series))
    days = (coverage.c.first, coverage.c.last)
    span = select(*days, func.max(coverage.c.reach))
    complete = (
        (one, first, last, reach)
        for one in wanted
        for first, last, reach in connection.execute(span.where(is_month(coverage, one)).group_by(*days))
    )
    found = (row for one in wanted for row in newest_of(connection, is_month(statement_day, one)))
    return TellingDays({key: (moment, count) for key, moment, count in found}, tuple(complete))


def newest_of(connection: Connection, which: ColumnElement[bool]) -> Iterator[tuple[DayKey, datetime, int]]:
    """Yield these days, each with how new the newest statement is that has lines of it, and how many statements have."""
    columns = columns_like(statement_day, DayKey)
    query = select(*columns, func.max(version.c.moment), func.count()).join(
        version, (version.c.statement == statement_day.c.statement) & (version.c.number == statement_day.c.version)
    )
    for *key, moment, count in connection.execute(query.where(which).group_by(*columns)):
        yield DayKey(*key), moment, count


def series_spoken_of(connection: Connection, identity: Digest) -> frozenset[SeriesKey]:
    """Return the series that a statement on record speaks of."""
    number, tables = number_of(connection, identity), (statement_day, coverage)
    days, covers = (select(*columns_like(table, SeriesKey)).where(table.c.statement == number) for table in tables)
    return frozenset(SeriesKey(*row) for row in connection.execute(days.union(covers)))
