"""The table `late`: bills that changed a month after it should have been final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, select

from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.series_selection import DayTotal, authorities, main_currency
from spendwatch.domain.statement import AccountId, Statement
from spendwatch.store.columns import Moment, Row, document, metadata, texts, upsert
from spendwatch.store.day_total import totals_of
from spendwatch.store.watermark import known_since

late = Table(
    "late",
    metadata,
    *texts("digest", "account", "period"),
    Column("at", Moment, nullable=False, index=True),
    Column("body", document("discrepancy:Discrepancy"), nullable=False),
    PrimaryKeyConstraint("digest", "account", "period"),
)

NO_CURRENCY = Currency("")
"""Of a month without lines."""

Spent = Mapping[tuple[AccountId, BillingPeriod], Money]


def spent_in_closed(connection: Connection, statement: Statement, closing: PeriodClose, *, like: Spent | None = None) -> Spent:
    """Return what was spent in the statement's final months, as far as they were watched while they were open.

    In the currency of what it is to be compared with, if that has one.
    """
    found: dict[tuple[AccountId, BillingPeriod], Money] = {}
    for period in statement.periods:
        closed_at = closing.closed.get(period)
        if closed_at is None:
            continue
        totals = totals_of(connection, period)
        for account in statement.accounts:
            since = known_since(connection, account, period)
            if since and since < closed_at:
                mine = [one for one in totals if one.series.account == account]
                earlier = (like or {}).get((account, period))
                found[account, period] = _spent(mine, closing, earlier.currency if earlier else NO_CURRENCY)
    return found


def _spent(totals: list[DayTotal], closing: PeriodClose, currency: Currency) -> Money:
    counts = set(authorities(totals, closing.products).values())
    wanted = currency or main_currency(totals)
    mine = (one for one in totals if one.series in counts and one.product in closing.products and one.currency == wanted)
    return Money.total((one.amount for one in mine), wanted)


def put_late(connection: Connection, statement: Statement, before: Spent, after: Spent, *, name: str, now: datetime) -> None:
    """Note which final months the statement has changed."""
    for (account, period), spent in after.items():
        earlier = replace(before[account, period], currency=spent.currency)
        if earlier != spent:
            digest = statement.digest
            change = Discrepancy(Disagreement.FINAL_MONTH, account, period, spent, earlier, digest=digest, file=name, at=now)
            row: Row = {"digest": digest, "account": account, "period": period.label, "at": now, "body": change}
            upsert(connection, late, row)


def late_since(connection: Connection, since: datetime) -> tuple[Discrepancy, ...]:
    """Return the final months that were changed since then, the earliest change first."""
    query = select(late.c.at, late.c.body).where(late.c.at >= since)
    rows = connection.execute(query.order_by(late.c.at, late.c.digest, late.c.account, late.c.period))
    return tuple(replace(change, at=at) for at, change in rows)
