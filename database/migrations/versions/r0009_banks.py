"""What renderers have prepared of a portrait."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Portraits that are there already have none."""
    op.add_column("avatar_portraits", sa.Column("banks", sa.JSON))
