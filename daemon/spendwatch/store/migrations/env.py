"""Runs migrations on the connection, and in the transaction, that we are given."""

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
