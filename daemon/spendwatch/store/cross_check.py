"""The table `cross_check`: the sum of the days of a source's months, beside the provider's own totals."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, select

from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.store.columns import Moment, Row, Total, Words, insert_into, metadata

cross_check = Table(
    "cross_check",
    metadata,
    Column("source", Words, nullable=False),
    Column("period", Words, nullable=False),
    Column("currency", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("days", Total, nullable=False),
    Column("total", Total, nullable=False),
    Column("at", Moment, nullable=False),
    Column("goal", Total),
    Column("since", Moment),
    PrimaryKeyConstraint("source", "period", "currency"),
)


def put_checks(connection: Connection, checks: Iterable[CrossCheck]) -> None:
    """Record the checks, each as what follows on the one before it."""
    for check in checks:
        before = next((one for one in checks_of(connection, check.period) if _place(one) == _place(check)), None)
        if before and before.account != check.account:
            before = None  # the source has become another one
        now = check.following(before)
        row: Row = {
            "source": now.source,
            "period": now.period.label,
            "currency": now.currency,
            "account": now.account,
            "days": now.days,
            "total": now.total,
            "at": now.at,
            "goal": now.goal,
            "since": now.since,
        }
        insertion = insert_into(connection, cross_check).values(row)
        newer = {column.name: insertion.excluded[column.name] for column in cross_check.c if not column.primary_key}
        connection.execute(insertion.on_conflict_do_update(index_elements=list(cross_check.primary_key), set_=newer))


def checks_of(connection: Connection, period: BillingPeriod) -> tuple[CrossCheck, ...]:
    """Return the latest checks of that period."""
    query = select(cross_check).where(cross_check.c.period == period.label).order_by(*cross_check.primary_key)
    return tuple(
        CrossCheck(
            source=SourceName(row.source),
            account=AccountId(row.account),
            period=period,
            currency=Currency(row.currency),
            days=row.days,
            total=row.total,
            at=row.at,
            goal=row.goal,
            since=row.since,
        )
        for row in connection.execute(query)
    )


def _place(check: CrossCheck) -> tuple[SourceName, Currency]:
    return check.source, check.currency
