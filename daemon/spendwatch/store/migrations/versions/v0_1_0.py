"""The tables of 0.1.0. Until that is released they are those of the program; the release writes them down here."""

from alembic import op

from spendwatch.store.tables import metadata
from spendwatch.store.watermark import begin_revision

revision = "0.1.0"
down_revision = None


def upgrade() -> None:
    """Build them."""
    metadata.create_all(op.get_bind(), checkfirst=False)
    begin_revision(op.get_bind())
