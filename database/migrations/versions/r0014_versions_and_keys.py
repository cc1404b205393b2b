"""Avatar servers say which software they run, and sessions by which key they were created: operators ask for both."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add both; of what is there already neither is known."""
    op.add_column("avatar_servers", sa.Column("version", sa.String))
    op.add_column("sessions", sa.Column("key_id", sa.String))
