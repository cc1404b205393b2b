"""A lease says when its avatar server ends the session by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the moment and its reason; leases that are held already have none until they are followed."""
    op.add_column("leases", sa.Column("stop_at", sa.BigInteger))
    op.add_column("leases", sa.Column("stop_reason", sa.String))
