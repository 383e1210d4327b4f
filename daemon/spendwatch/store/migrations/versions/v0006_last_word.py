"""By which budget each alert was judged, and at which amount it was last put into words."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ADDED = ("budget", "told_amount")
_SPEND, _BUDGET = "spend", "budget"


def upgrade() -> None:
    """Add the columns and fill them from what was said: the budget from the first word, the amount from the last."""
    with op.batch_alter_table("alert") as table:
        for name in _ADDED:
            table.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
    _fill()
    # SQLite builds the table anew, and what it reads of the old one lacks this constraint.
    state = sa.CheckConstraint("state IN ('firing', 'resolved')", name=op.f("ck_alert_state"))
    with op.batch_alter_table("alert", table_args=(state,)) as table:
        for name in _ADDED:
            table.alter_column(name, server_default=None, existing_type=sa.Text(), existing_nullable=False)


def _fill() -> None:
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE alert SET told_amount = amount WHERE told_at IS NOT NULL"))
    said = connection.execute(sa.text("SELECT alert, body FROM notification ORDER BY created_at, id")).all()
    budget_then = "CASE budget WHEN '' THEN :budget ELSE budget END"
    fill = sa.text(f"UPDATE alert SET budget = {budget_then}, told_amount = :spend WHERE id = :alert")  # noqa: S608 -- a constant
    for alert, body in said:
        facts = json.loads(body)["facts"]
        if _SPEND in facts:
            (budget, _), (spend, _) = facts.get(_BUDGET, ("", "")), facts[_SPEND]
            connection.execute(fill, {"budget": budget, "spend": spend, "alert": alert})
