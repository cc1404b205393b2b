"""Alembic's environment: runs migrations on the connection that `upgrade` hands over. Opens none itself."""

from alembic import context

from database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
