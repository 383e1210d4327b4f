"""Corrects times recorded by a wrong clock: none may be in the future or before this program existed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, and_, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from spendwatch.domain.alert import AlertState
from spendwatch.domain.period import FIRST_RELEASE
from spendwatch.store.acknowledgement import acknowledgement
from spendwatch.store.alert import alert, change_alerts
from spendwatch.store.attempt import attempt
from spendwatch.store.balance_book import balance_health
from spendwatch.store.balance_memory import balance_watch
from spendwatch.store.balance_reading import balance_reading
from spendwatch.store.columns import Moment
from spendwatch.store.database import Database
from spendwatch.store.health_book import account_bills, channel_health, source_health
from spendwatch.store.late_charges import late
from spendwatch.store.source_memory import original
from spendwatch.store.statement import rejection

_AHEAD = timedelta(minutes=1)
"""The clocks of two machines that take turns may differ by so much."""

_BY_AGE = (source_health, account_bills, channel_health, balance_health, balance_watch)
_TABLES = (*_BY_AGE, alert, attempt, late, rejection, original)
_NOTED = (
    *(column for table in _TABLES for column in table.c if isinstance(column.type, Moment)),
    acknowledgement.c.at,  # until when it lasts lies ahead
)
"""What waits and ages go by. What a person reads afterwards (the audit, notifications, deliveries) stays as it was written."""


def shift_moments(database: Database, step: timedelta) -> None:
    """Let what goes by ages keep them when the clock is set: a bill that came a minute ago came a minute ago."""
    with database.writing() as connection:
        for table in _BY_AGE:
            keys, columns = tuple(table.primary_key), [column for column in _NOTED if column.table is table]
            for row in connection.execute(select(*keys, *columns)).all():
                moments = zip(columns, row[len(keys) :], strict=True)
                moved = {column.name: moment + step for column, moment in moments if moment}
                if moved:
                    place = (key == value for key, value in zip(keys, row, strict=False))
                    connection.execute(update(table).where(*place).values(moved))


def correct_moments(database: Database, now: datetime) -> datetime | None:
    """Let nothing be noted later than now, so that nothing waits for it; return the latest moment that was, if any."""
    with database.reading() as connection:
        wrong = (select(func.max(column)).where(_is_wrong(column, now)) for column in (*_NOTED, balance_reading.c.as_of))
        found: datetime | None = max(filter(None, map(connection.scalar, wrong)), default=None)
    if found is None:
        return None
    with database.writing() as connection:
        change_alerts(connection)
        _reopen(connection, now)
        for column in _NOTED:
            connection.execute(update(column.table).where(_is_wrong(column, now)).values({column.name: now}))
        _correct_readings(connection, now)
    return found


def _is_wrong(column: Column[datetime], now: datetime) -> ColumnElement[bool]:
    return or_(column > now + _AHEAD, column < FIRST_RELEASE)


def _reopen(connection: Connection, now: datetime) -> None:
    """Let alerts of a month go on that were ended when the clock showed another month, and not by the configuration."""
    is_of_month = and_(alert.c.period != "", alert.c.state == AlertState.RESOLVED, ~alert.c.lapsed)
    query = update(alert).where(is_of_month, _is_wrong(alert.c.resolved_at, now))
    connection.execute(query.values(state=AlertState.FIRING, resolved_at=None))


def _correct_readings(connection: Connection, now: datetime) -> None:
    """Let balances that were read ahead of now be older than the next one; they keep their order."""
    place = balance_reading.c.account, balance_reading.c.as_of
    rows = connection.execute(select(*place).where(place[1] > now + _AHEAD).order_by(place[1].desc())).all()
    for back, (account, as_of) in enumerate(rows):
        moment = now - timedelta(microseconds=back)
        row = update(balance_reading).where(place[0] == account, place[1] == as_of)
        connection.execute(row.values(as_of=moment, read_at=moment, since=moment, first_read_at=moment))
