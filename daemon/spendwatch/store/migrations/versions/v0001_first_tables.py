"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_amount = sa.Numeric(38, 10).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Build them."""
    _statements()
    _spend()
    _alerts()
    _deliveries()
    _health()


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _at(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, _moment, nullable=nullable)


def _statements() -> None:
    op.create_table(
        "statement",
        _number("id"),
        *map(_text, ("digest", "name", "source", "layout", "series", "kind", "tax_basis", "accounts", "periods")),
        *map(_number, ("lines", "new", "changed", "same")),
        *map(_at, ("data_until", "exported_at")),
        _at("received_at", nullable=False),
        _text("remarks"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("digest", name=op.f("uq_statement_digest")),
    )
    op.create_table(
        "rejection",
        *map(_text, ("digest", "name", "source")),
        _at("at", nullable=False),
        _text("reason"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_rejection")),
    )
    op.create_index(op.f("ix_rejection_at"), "rejection", ["at"])


def _spend() -> None:
    place = ("period", "account", "series", "day")
    op.create_table(
        "chunk",
        *map(_text, place[:3]),
        sa.Column("day", sa.Date(), nullable=False),
        _text("digest"),
        _number("lines"),
        sa.Column("confirmed", _moment),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(*place, name=op.f("pk_chunk")),
    )
    dimensions = ("workspace", "api_key", "model", "type", "channel", "item", "commodity", "product", "owner", "tags")
    op.create_table(
        "spend",
        *map(_text, place[:3]),
        sa.Column("day", sa.Date(), nullable=False),
        _number("position"),
        *map(_text, (*dimensions, "charge", "currency")),
        sa.Column("billed_cost", _amount, nullable=False),
        _number("lines"),
        sa.PrimaryKeyConstraint(*place, "position", name=op.f("pk_spend")),
        sa.ForeignKeyConstraint(place, [f"chunk.{column}" for column in place], name=op.f("fk_spend_chunk")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "authority",
        *map(_text, ("account", "period", "series")),
        sa.PrimaryKeyConstraint("account", "period", name=op.f("pk_authority")),
    )
    op.create_table(
        "reach",
        _text("account"),
        _at("data_until", nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_reach")),
    )
    op.create_table(
        "revision",
        sa.Column("one", sa.SmallInteger(), nullable=False, autoincrement=False),
        _number("number"),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_revision")),
        sa.CheckConstraint("one = 1", name=op.f("ck_revision_one")),
    )
    op.execute("INSERT INTO revision (one, number) VALUES (1, 0)")


def _alerts() -> None:
    op.create_table(
        "alert",
        *map(_text, ("id", "rule", "account", "scope", "threshold", "period", "height")),
        _number("episode"),
        *map(_text, ("severity", "state")),
        _at("since", nullable=False),
        *map(_at, ("resolved_at", "told_at")),
        _number("times_told"),
        *map(_text, ("amount", "summary")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.CheckConstraint("state IN ('firing', 'resolved')", name=op.f("ck_alert_state")),
    )
    op.create_index(op.f("ix_alert_period"), "alert", ["period"])
    op.create_index(op.f("ix_alert_state"), "alert", ["state"])
    op.create_table(
        "notification",
        *map(_text, ("id", "alert")),
        _at("created_at", nullable=False),
        _text("body"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
    )
    op.create_index(op.f("ix_notification_alert"), "notification", ["alert"])


def _deliveries() -> None:
    op.create_table(
        "delivery",
        *map(_text, ("id", "notification", "channel", "target", "state")),
        _number("attempts"),
        _at("due_at", nullable=False),
        _at("attempt_started_at"),
        _text("claim", nullable=True),
        sa.Column("maybe_repeated", sa.Boolean(), nullable=False),
        sa.Column("rendered", sa.LargeBinary(), nullable=True),
        _text("last_error"),
        _at("settled_at"),
        _at("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.ForeignKeyConstraint(["notification"], ["notification.id"], name=op.f("fk_delivery_notification")),
        sa.CheckConstraint(
            "state IN ('pending', 'attempting', 'delivered', 'dead', 'cancelled')", name=op.f("ck_delivery_state")
        ),
    )
    op.create_index(op.f("ix_delivery_notification"), "delivery", ["notification"])
    op.create_index(op.f("ix_delivery_state_channel_due_at"), "delivery", ["state", "channel", "due_at"])


def _health() -> None:
    op.create_table(
        "source_health",
        _text("name"),
        _at("first_seen_at", nullable=False),
        *map(_at, ("last_looked_at", "last_bill_at", "failing_since")),
        _number("failures"),
        _text("trouble"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source_health")),
    )
    op.create_table(
        "channel_health",
        _text("name"),
        _at("failing_since"),
        _number("failures"),
        _text("trouble"),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel_health")),
    )
