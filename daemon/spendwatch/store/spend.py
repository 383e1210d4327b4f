"""The table `spend`: the roll-up for all sums."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Select,
    Table,
    false,
    func,
    or_,
    select,
)

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.scope import Dimension, Seen
from spendwatch.domain.standing import SpendSum
from spendwatch.domain.statement import AccountId, ChargeKind, DayKey, SeriesKey, SpendRow, WorkspaceId
from spendwatch.store.bulk import no_conflict, put_columns
from spendwatch.store.columns import Amount, ExactSum, batches, columns_of, metadata, texts
from spendwatch.store.day import day_row, is_month

T = TypeVar("T")

_DIMENSIONS = SpendRow._fields[:-3]
"""What rows are told apart by."""

spend = Table(
    "spend",
    metadata,
    *columns_of(DayKey),
    Column("position", Integer, nullable=False),
    *texts(*_DIMENSIONS),
    Column("billed_cost", Amount, nullable=False),
    Column("lines", Integer, nullable=False),
    # What of it is not paid yet; nothing where the bills do not show it.
    Column("outstanding", Amount),
    # A month's rows lie together: sums over a period, and over some of its days, read nothing else.
    PrimaryKeyConstraint("period", "account", "series", "day", "position"),
    ForeignKeyConstraint(["period", "account", "series", "day"], ["day.period", "day.account", "day.series", "day.day"]),
    sqlite_with_rowid=False,
)


def put_rows(connection: Connection, day: ResolvedDay) -> None:
    """Record the roll-up of a day that has none."""
    first, place = 0, day_row(day.key)
    for batch in batches(day.rows()):
        # Column by column: a bill of many resources has as many rows as lines.
        columns = dict(zip(SpendRow._fields, zip(*batch, strict=True), strict=True))
        same = {name: [value] * len(batch) for name, value in place.items()}
        positions = range(first, first + len(batch))
        put_columns(connection, spend, {**same, "position": positions, **columns}, no_conflict)
        first += len(batch)


def rows_by_day(connection: Connection, month: SeriesKey) -> dict[DayKey, list[SpendRow]]:
    """Return the roll-up of each day of a series."""
    columns = (spend.c[name] for name in SpendRow._fields)
    query = select(spend.c.day, *columns).where(is_month(spend, month)).order_by(spend.c.day, spend.c.position)
    found: dict[DayKey, list[SpendRow]] = {}
    for on, *values in connection.execute(query):
        row = SpendRow(*values)
        key = DayKey(month.account, month.period, month.series, on)
        found.setdefault(key, []).append(row._replace(charge=ChargeKind(row.charge)))
    return found


def rows_of(
    series: Iterable[SeriesKey], products: Collection[str] | None = None, days: tuple[date, date] | None = None
) -> ColumnElement[bool]:
    """Return the condition that a row belongs to one of these series, and to these products and days."""
    wanted = or_(false(), *(is_month(spend, one) for one in series))
    if products is not None:
        wanted &= spend.c.product.in_(products)
    return wanted if days is None else wanted & (spend.c.day >= days[0]) & (spend.c.day < days[1])


def sums(
    connection: Connection,
    series: Sequence[SeriesKey],
    by: Sequence[Dimension],
    *,
    products: Sequence[str] | None,
    days: tuple[date, date] | None,
    workspaces: Collection[WorkspaceId] | None = None,
) -> tuple[SpendSum, ...]:
    """Return exact sums over these series of one period by these dimensions and the currency, in their order."""
    groups = [spend.c[dimension.value] for dimension in by]
    total = ExactSum(spend.c.billed_cost).label("total")
    query = select(*groups, spend.c.currency, total, func.sum(spend.c.lines).label("charges"))
    query = query.where(rows_of(series, products, days))
    if workspaces is not None:
        query = query.where(spend.c.workspace.in_(workspaces))
    query = query.group_by(*groups, spend.c.currency).order_by(*groups, spend.c.currency)
    has_days = Dimension.DAY in by
    return tuple(
        SpendSum(dict(zip(by, map(str, values) if has_days else values, strict=True)), currency, total, int(charges))
        for *values, currency, total, charges in connection.execute(query).all()
    )


def named_together(connection: Connection) -> frozenset[Seen]:
    """Return what the bills on record name together, whatever series."""
    names = (spend.c[name] for name in Seen._fields)
    return frozenset(Seen(*row) for row in connection.execute(select(*names).distinct()))


def charges_since(connection: Connection, since: date) -> Mapping[AccountId, frozenset[tuple[str, ChargeKind]]]:
    """Return for each account the commodity codes it was charged for since that day, each with the kinds of charge.

    In any series: nothing is summed up here.
    """
    found = connection.execute(_charged_since(since, spend.c.account, spend.c.commodity, spend.c.charge))
    return _by_account((account, (commodity, ChargeKind(charge))) for account, commodity, charge in found)


def products_charged_since(connection: Connection, since: date) -> Mapping[AccountId, frozenset[str]]:
    """Return for each account the products that it was charged for since that day, in any series."""
    found = connection.execute(_charged_since(since, spend.c.account, spend.c.product))
    return _by_account((account, product) for account, product in found)


def _charged_since(since: date, *columns: Column[Any]) -> Select[*tuple[Any, ...]]:
    # The billing month wins over the date: a day's lines may stand in the bill of the month before.
    earliest = BillingPeriod(since.year, since.month).previous()
    return select(*columns).distinct().where(spend.c.period >= earliest, spend.c.day >= since)


def _by_account(found: Iterable[tuple[str, T]]) -> Mapping[AccountId, frozenset[T]]:
    sets: dict[AccountId, set[T]] = {}
    for account, one in found:
        sets.setdefault(AccountId(account), set()).add(one)
    return {account: frozenset(ones) for account, ones in sets.items()}
