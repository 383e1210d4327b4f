"""The tables `reach`, the time up to which each series has charges, and `revision`, which counts changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from spendwatch.domain.period import PROVIDER_ZONE, BillingPeriod
from spendwatch.domain.statement import AccountId, SeriesKey, Statement
from spendwatch.store.columns import Moment, Row, columns_like, columns_of, metadata, upsert
from spendwatch.store.day import is_month, month_row
from spendwatch.store.statement import statement as statement_table
from spendwatch.store.statement_day import statement_day

reach = Table(
    "reach",
    metadata,
    *columns_of(SeriesKey),
    Column("data_until", Moment, nullable=False),
    Column("first_received_at", Moment, nullable=False),
    PrimaryKeyConstraint("account", "period", "series"),
)

revision = Table(
    "revision",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("one = 1", name="one"),
)
"""One row, made with the table."""


def begin_revision(connection: Connection) -> None:
    """Begin to count."""
    connection.execute(insert(revision).values(one=1, number=0))


def hold_revision(connection: Connection) -> None:
    """Hold the revision until this transaction ends: others who would record must wait, on PostgreSQL, too."""
    connection.execute(select(revision.c.number).with_for_update())


def next_revision(connection: Connection) -> None:
    """Count a change."""
    connection.execute(update(revision).values(number=revision.c.number + 1))


def current_revision(connection: Connection) -> int:
    """Return the number of changes so far."""
    return connection.scalar(select(revision.c.number)) or 0


def extend_watermark(connection: Connection, statement: Statement, now: datetime) -> None:
    """Note up to when the statement's series now reach. It never goes back: later files may cover earlier days."""
    for series, until in _reaches(statement):
        row: Row = {**month_row(series), "data_until": until, "first_received_at": now}
        upsert(connection, reach, row, {"data_until": until}, where=reach.c.data_until < until)


def recompute_reach(connection: Connection, series: SeriesKey) -> None:
    """Note up to when a series reaches after a statement was removed. Since when the month is known stays as it was."""
    days = select(statement_day.c.statement, func.max(statement_day.c.day).label("last")).where(is_month(statement_day, series))
    latest = days.group_by(statement_day.c.statement).subquery()
    query = select(statement_table.c.data_until, latest.c.last).join(latest, latest.c.statement == statement_table.c.id)
    found = [_not_beyond(until, last) for until, last in connection.execute(query) if until]
    mine = is_month(reach, series)
    connection.execute(update(reach).where(mine).values(data_until=max(found)) if found else delete(reach).where(mine))


def _not_beyond(until: datetime, last: date) -> datetime:
    return min(until, datetime.combine(last + timedelta(days=1), time(), PROVIDER_ZONE))


def _reaches(statement: Statement) -> Iterator[tuple[SeriesKey, datetime]]:
    """Yield each series' own reach: what the statement reaches as a whole, but not beyond the series' own last day."""
    until = statement.data_until
    if until is None:
        return
    last_days = {day.key.month: day.key.day for day in sorted(statement.days, key=lambda day: day.key.day)}
    for series, day in last_days.items():
        yield series, _not_beyond(until, day)


def watermark_of(connection: Connection, series: Iterable[SeriesKey]) -> dict[SeriesKey, datetime]:
    """Return for each of these series the latest moment that any of its lines charges for."""
    wanted = tuple(series)
    query = select(*columns_like(reach, SeriesKey), reach.c.data_until)
    found = connection.execute(query.where(or_(*(is_month(reach, one) for one in wanted)))) if wanted else ()
    return {SeriesKey(*key): until for *key, until in found}


def known_since(connection: Connection, account: AccountId, period: BillingPeriod) -> datetime | None:
    """Return when the first bill of that account and period was entered."""
    first = select(func.min(reach.c.first_received_at)).where(reach.c.account == account, reach.c.period == period)
    since: datetime | None = connection.scalar(first)
    return since


def periods_by_account(connection: Connection) -> dict[AccountId, tuple[BillingPeriod, ...]]:
    """Return the periods on record of each account, the oldest first."""
    found: dict[AccountId, list[BillingPeriod]] = {}
    query = select(reach.c.account, reach.c.period).distinct().order_by(reach.c.account, reach.c.period)
    for account, period in connection.execute(query):
        found.setdefault(AccountId(account), []).append(period)
    return {account: tuple(periods) for account, periods in found.items()}
