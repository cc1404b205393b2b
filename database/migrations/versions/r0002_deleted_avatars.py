"""Avatars can be marked as deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the mark, and an index of the rows that bear it."""
    op.add_column("avatars", sa.Column("deleted_at", sa.BigInteger))
    marked = sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_avatars_deleted", "avatars", ["deleted_at"], sqlite_where=marked, postgresql_where=marked)
