"""Runs migrations on a given connection and transaction."""

from alembic import context

from spendwatch.store.schema import VERSION_TABLE
from spendwatch.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
