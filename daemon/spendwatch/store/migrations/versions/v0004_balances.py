"""Readings of balances with their history, how their sources fare, and what rounds remember of balances and forecasts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_amount = sa.Numeric(38, 10).with_variant(sa.Text(), "sqlite")
_total = sa.Numeric(60, 10).with_variant(sa.Text(), "sqlite")
_terms = (
    "cash",
    "credit",
    "credit_refund",
    "unsettled_current",
    "unsettled_previous",
    "unsettled_both",
    "reported",
    "available_credit",
    "bank_acceptance",
    "negative_bill",
    "quota",
    "quota_consumed",
    "mybank_credit",
    "quota_limit",
)


def upgrade() -> None:
    """Build them."""
    op.create_table(
        "balance_reading",
        _text("account"),
        *map(_at, ("as_of", "read_at", "since")),
        *map(_text, ("origin", "currency")),
        *(sa.Column(term, _amount, nullable=True) for term in _terms),
        _text("other_cash"),
        sa.Column("is_reseller_quota", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "as_of", name=op.f("pk_balance_reading")),
    )
    op.create_table(
        "balance_health",
        _text("account"),
        _at("first_tried_at"),
        *(sa.Column(name, _moment, nullable=True) for name in ("last_read_at", "failing_since")),
        sa.Column("failures", sa.Integer(), nullable=False),
        _text("trouble"),
        sa.Column("is_lasting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_balance_health")),
    )
    op.create_table(
        "balance_watch",
        *map(_text, ("account", "origin", "currency")),
        *(sa.Column(name, _total, nullable=True) for name in ("funds", "net", "top_up")),
        *(sa.Column(name, _moment, nullable=True) for name in ("topped_up_at", "positive_since")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_balance_watch")),
    )
    op.create_table(
        "runway_reached",
        _text("account"),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("clear_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("account", "threshold", name=op.f("pk_runway_reached")),
    )
    op.create_table(
        "foretold",
        *map(_text, ("period", "account", "scope", "threshold", "height")),
        sa.Column("through", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("period", "account", "scope", "threshold", "height", name=op.f("pk_foretold")),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _at(name: str) -> sa.Column[object]:
    return sa.Column(name, _moment, nullable=False)
