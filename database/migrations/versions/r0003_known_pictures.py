"""A picture that an account sends again is recognised."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what a picture is recognised by; avatars that are there already are not."""
    op.add_column("avatars", sa.Column("pipeline", sa.String))
    op.add_column("avatars", sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()))
    living = sa.text("deleted_at IS NULL")
    op.create_index(
        "uq_avatars_picture",
        "avatars",
        ["account_id", "source_sha256", "pipeline"],
        unique=True,
        sqlite_where=living,
        postgresql_where=living,
    )
