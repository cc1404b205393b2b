"""A lease says why its session ended: the avatar tells the room."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the reason; older leases have none."""
    op.add_column("leases", sa.Column("ended_as", sa.String))
