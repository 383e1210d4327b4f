"""The table `cross_check`: the sum of the days of a source's months, beside the provider's own totals."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, select

from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import SourceName
from spendwatch.store.columns import Row, document, metadata, texts, upsert

cross_check = Table(
    "cross_check",
    metadata,
    *texts("source", "period", "currency"),
    Column("body", document("cross_check:CrossCheck"), nullable=False),
    PrimaryKeyConstraint("source", "period", "currency"),
)


def put_checks(connection: Connection, checks: Iterable[CrossCheck]) -> None:
    """Record the checks, each as what follows on the one before it."""
    for check in checks:
        before = next((one for one in checks_of(connection, check.period) if _place(one) == _place(check)), None)
        if before and before.account != check.account:
            before = None  # the source has become another one
        now = check.following(before)
        row: Row = {"source": now.source, "period": now.period.label, "currency": now.currency, "body": now}
        upsert(connection, cross_check, row)


def checks_of(connection: Connection, period: BillingPeriod) -> tuple[CrossCheck, ...]:
    """Return the latest checks of that period."""
    query = select(cross_check.c.body).where(cross_check.c.period == period.label)
    return tuple(connection.scalars(query.order_by(*cross_check.primary_key)))


def _place(check: CrossCheck) -> tuple[SourceName, Currency]:
    return check.source, check.currency
