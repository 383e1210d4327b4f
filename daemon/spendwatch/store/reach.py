"""The tables `reach`, up to when each account's lines charge, and `revision`, which counts every change of the spend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta

from sqlalchemy import CheckConstraint, Column, Connection, Integer, SmallInteger, Table, select, update

from spendwatch.domain.statement import AccountId, Statement
from spendwatch.store.columns import Moment, Row, Words, insert_into, metadata

reach = Table(
    "reach",
    metadata,
    Column("account", Words, primary_key=True),
    Column("data_until", Moment, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("one = 1", name="one"),
)
"""One row, made with the table."""


def hold_revision(connection: Connection) -> None:
    """Hold the revision until this transaction ends: others who would record must wait, on PostgreSQL, too."""
    connection.execute(select(revision.c.number).with_for_update())


def next_revision(connection: Connection) -> None:
    """Count a change."""
    connection.execute(update(revision).values(number=revision.c.number + 1))


def current_revision(connection: Connection) -> int:
    """Return the number of changes so far."""
    return connection.scalar(select(revision.c.number)) or 0


def extend_reach(connection: Connection, statement: Statement) -> None:
    """Note up to when the statement's accounts now reach. It never goes back: later files may cover earlier days."""
    for account, until in _reaches(statement).items():
        row: Row = {"account": account, "data_until": until}
        insertion = insert_into(connection, reach).values(row)
        later = insertion.excluded.data_until
        connection.execute(
            insertion.on_conflict_do_update(
                index_elements=[reach.c.account], set_={"data_until": later}, where=later > reach.c.data_until
            )
        )


def _reaches(statement: Statement) -> Mapping[AccountId, datetime]:
    """Return each account's own reach: what the statement reaches as a whole, but not beyond the account's own last day."""
    until = statement.data_until
    if until is None:
        return {}
    last_days = {day.key.account: day.key.day for day in sorted(statement.days, key=lambda day: day.key.day)}
    ends = {account: datetime.combine(day + timedelta(days=1), time(), until.tzinfo) for account, day in last_days.items()}
    return {account: min(until, ends.get(account, until)) for account in statement.accounts}


def reach_by_account(connection: Connection) -> dict[AccountId, datetime]:
    """Return for each account the latest moment that any of its lines charges for."""
    found = connection.execute(select(reach.c.account, reach.c.data_until))
    return {AccountId(account): until for account, until in found}
