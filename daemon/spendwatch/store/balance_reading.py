"""The table `balance_reading`: readings of each account's balance, term by term, with their time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, and_, func, select, update
from sqlalchemy.engine import RowMapping

from spendwatch.domain.balance_reading import BalanceReading, RecordedReading
from spendwatch.domain.statement import AccountId
from spendwatch.store.columns import Moment, Row, StoredText, document, metadata, upsert

balance_reading = Table(
    "balance_reading",
    metadata,
    Column("account", StoredText, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("read_at", Moment, nullable=False),
    # Since when successive readings are equal: such a row stands for all of them.
    Column("since", Moment, nullable=False),
    Column("first_read_at", Moment, nullable=False),
    Column("body", document("balance_reading:BalanceReading"), nullable=False),
    PrimaryKeyConstraint("account", "as_of"),
)


def put_reading(connection: Connection, reading: BalanceReading) -> None:
    """Record a reading; of two of the same moment the one that came later counts.

    Where nothing changed since the latest one but the time, that is moved on and no row added: who is asked every minute
    would fill the table with one answer.
    """
    latest = next(iter(readings_of(connection, reading.account, 1)), None)
    if latest and latest.reading.as_of <= reading.as_of and latest.reading.says_the_same(reading):
        is_new, known = latest.reading.as_of < reading.as_of, latest.reading.read_at
        place = and_(balance_reading.c.account == reading.account, balance_reading.c.as_of == latest.reading.as_of)
        connection.execute(
            update(balance_reading)
            .where(place)
            .values(
                as_of=reading.as_of,
                read_at=reading.read_at if is_new else max(known, reading.read_at),
                first_read_at=min(latest.first_read_at, reading.read_at),
            )
        )
        return
    as_of, read_at = reading.as_of, reading.read_at
    row: Row = {"account": reading.account, "as_of": as_of, "read_at": read_at, "since": as_of, "first_read_at": read_at}
    upsert(connection, balance_reading, {**row, "body": reading}, where=balance_reading.c.read_at <= reading.read_at)


def latest_readings(connection: Connection) -> Mapping[AccountId, RecordedReading]:
    """Return of each account the reading that holds for the latest moment."""
    latest = select(balance_reading.c.account, func.max(balance_reading.c.as_of).label("as_of"))
    last = latest.group_by(balance_reading.c.account).subquery()
    is_last = and_(balance_reading.c.account == last.c.account, balance_reading.c.as_of == last.c.as_of)
    rows = connection.execute(select(balance_reading).join(last, is_last)).mappings()
    return {AccountId(row["account"]): _recorded(row) for row in rows}


def readings_of(connection: Connection, account: AccountId, limit: int = 1000) -> tuple[RecordedReading, ...]:
    """Return the readings of an account's balance, the latest first."""
    query = select(balance_reading).where(balance_reading.c.account == account)
    rows = connection.execute(query.order_by(balance_reading.c.as_of.desc()).limit(limit)).mappings()
    return tuple(map(_recorded, rows))


def _recorded(row: RowMapping) -> RecordedReading:
    """Return the reading with its times of now: they move on, and the document stays."""
    return RecordedReading(replace(row["body"], as_of=row["as_of"], read_at=row["read_at"]), row["since"], row["first_read_at"])
