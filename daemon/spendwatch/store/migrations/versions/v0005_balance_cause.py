"""What kind of trouble there is with the place where a balance is read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("balance_health") as table:
        table.add_column(sa.Column("cause", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("balance_health") as table:
        table.alter_column("cause", server_default=None, existing_type=sa.Text(), existing_nullable=False)
