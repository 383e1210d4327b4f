"""What kind of trouble a source is in, and the provider's own totals beside those of its days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_total = sa.Numeric(60, 10).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the column and build the table."""
    with op.batch_alter_table("source_health") as table:
        table.add_column(sa.Column("cause", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("source_health") as table:
        table.alter_column("cause", server_default=None, existing_type=sa.Text(), existing_nullable=False)
    op.create_table(
        "cross_check",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("source", "period", "currency", "account")),
        sa.Column("days", _total, nullable=False),
        sa.Column("total", _total, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("goal", _total, nullable=True),
        sa.Column("since", _moment, nullable=True),
        sa.PrimaryKeyConstraint("source", "period", "currency", name=op.f("pk_cross_check")),
    )
