"""Several series of one month, complete statements, late bills, a second chance for files, what people did by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_amount = sa.Numeric(38, 10).with_variant(sa.Text(), "sqlite")
_total = sa.Numeric(60, 10).with_variant(sa.Text(), "sqlite")
_zone = timezone(timedelta(hours=8))
_place = ("period", "account", "series", "day")


def upgrade() -> None:
    """Build and fill them."""
    _statements()
    _chunks()
    op.add_column("spend", sa.Column("outstanding", _amount, nullable=True))
    _day_totals()
    _reach()
    op.drop_table("authority")
    _coverage()
    _late()
    _attempts()
    _audit()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _at(name: str) -> sa.Column[object]:
    return sa.Column(name, _moment, nullable=False)


def _rows(query: str) -> Iterator[Any]:
    return iter(op.get_bind().execute(sa.text(query)).mappings().all())


def _when(value: object) -> datetime | None:
    """Return a moment as it lies in the tables: text in SQLite."""
    if value is None:
        return None
    return datetime.fromisoformat(value) if isinstance(value, str) else value  # type: ignore[return-value]  # a moment then


def _stamp(value: object) -> str:
    moment = _when(value)
    return moment.astimezone(_zone).strftime("%Y%m%d%H%M%S") if moment else ""


def _stored(moment: datetime) -> datetime | str:
    """Return a moment as the tables hold it."""
    in_utc = moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds") if op.get_bind().dialect.name == "sqlite" else in_utc


def _statements() -> None:
    with op.batch_alter_table("statement") as table:
        table.add_column(sa.Column("stamp", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("gone", sa.Integer(), nullable=False, server_default="0"))
    fill = sa.text("UPDATE statement SET stamp = :stamp WHERE id = :id")
    for row in _rows("SELECT id, exported_at, data_until FROM statement"):
        stamp = _stamp(row["exported_at"]) or _stamp(row["data_until"])
        op.get_bind().execute(fill, {"stamp": stamp, "id": row["id"]})
    with op.batch_alter_table("statement") as table:
        table.alter_column("stamp", server_default=None, existing_type=sa.Text(), existing_nullable=False)
        table.alter_column("gone", server_default=None, existing_type=sa.Integer(), existing_nullable=False)


def _chunks() -> None:
    """Turn the moments up to which days were confirmed into stamps; which stamps old lines have is not known."""
    op.add_column("chunk", sa.Column("up_to", sa.Text(), nullable=False, server_default=""))
    op.add_column("chunk", sa.Column("stamps", sa.Text(), nullable=False, server_default="[]"))
    fill = sa.text(
        "UPDATE chunk SET up_to = :stamp WHERE period = :period AND account = :account AND series = :series AND day = :day"
    )
    for row in _rows("SELECT period, account, series, day, confirmed FROM chunk WHERE confirmed IS NOT NULL"):
        place = {name: row[name] for name in _place}
        op.get_bind().execute(fill, {**place, "stamp": _stamp(row["confirmed"])})
    op.drop_column("chunk", "confirmed")
    op.execute("ALTER TABLE chunk RENAME COLUMN up_to TO confirmed")
    if op.get_bind().dialect.name != "sqlite":
        # In SQLite this would rewrite every chunk, for a default that nobody relies on.
        op.alter_column("chunk", "confirmed", server_default=None)
        op.alter_column("chunk", "stamps", server_default=None)


def _day_totals() -> None:
    op.create_table(
        "day_total",
        *map(_text, _place[:3]),
        sa.Column("day", sa.Date(), nullable=False),
        *map(_text, ("product", "currency")),
        sa.Column("amount", _total, nullable=False),
        _number("lines"),
        sa.PrimaryKeyConstraint(*_place, "product", "currency", name=op.f("pk_day_total")),
        sa.ForeignKeyConstraint(_place, [f"chunk.{column}" for column in _place], name=op.f("fk_day_total_chunk")),
        sqlite_with_rowid=False,
    )
    total = "decimal_sum" if op.get_bind().dialect.name == "sqlite" else "sum"
    columns = f"{', '.join(_place)}, product, currency"
    op.execute(
        f"INSERT INTO day_total ({columns}, amount, lines) SELECT {columns}, {total}(billed_cost), sum(lines) "  # noqa: S608 -- constants
        f"FROM spend GROUP BY {columns}"
    )


def _reach() -> None:
    """Tell the reach of each series apart, as far as what is on record allows: by its last day."""
    reaches = {row["account"]: _when(row["data_until"]) for row in _rows("SELECT account, data_until FROM reach")}
    months = list(_rows("SELECT account, period, series, max(day) AS day FROM chunk GROUP BY account, period, series"))
    statements = list(_rows("SELECT accounts, periods, received_at FROM statement ORDER BY id"))
    op.drop_table("reach")
    op.create_table(
        "reach",
        *map(_text, ("account", "period", "series")),
        *map(_at, ("data_until", "first_received_at")),
        sa.PrimaryKeyConstraint("account", "period", "series", name=op.f("pk_reach")),
    )
    fill = sa.text("INSERT INTO reach VALUES (:account, :period, :series, :data_until, :first_received_at)")
    for month in months:
        last = month["day"] if isinstance(month["day"], date) else date.fromisoformat(month["day"])
        end = datetime.combine(last + timedelta(days=1), time(), _zone)
        until = min(end, reaches.get(month["account"]) or end)
        first = next(
            (
                _when(one["received_at"])
                for one in statements
                if month["account"] in json.loads(one["accounts"]) and month["period"] in json.loads(one["periods"])
            ),
            None,
        )
        place = {name: month[name] for name in ("account", "period", "series")}
        moments = {"data_until": _stored(until), "first_received_at": _stored(first or until)}
        op.get_bind().execute(fill, place | moments)


def _coverage() -> None:
    op.create_table(
        "coverage",
        *map(_text, ("period", "account", "series", "day", "stamp", "reach")),
        sa.PrimaryKeyConstraint(*_place, name=op.f("pk_coverage")),
    )


def _late() -> None:
    op.create_table(
        "late",
        *map(_text, ("digest", "account", "period", "name", "currency")),
        sa.Column("before", _total, nullable=False),
        sa.Column("after", _total, nullable=False),
        _at("at"),
        sa.PrimaryKeyConstraint("digest", "account", "period", name=op.f("pk_late")),
    )
    op.create_index(op.f("ix_late_at"), "late", ["at"])


def _attempts() -> None:
    op.create_table(
        "attempt",
        *map(_text, ("digest", "name")),
        _number("tries"),
        _text("why"),
        _at("at"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_attempt")),
    )
    op.create_table(
        "reading",
        *map(_text, ("source", "file")),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("phase"),
        _number("share"),
        *map(_at, ("began_at", "at")),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_reading")),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        _number("id"),
        _at("at"),
        *map(_text, ("actor", "action", "subject", "detail")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
