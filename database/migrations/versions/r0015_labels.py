"""Labels of avatar servers, and what plans and accounts require of them; a session keeps what it was admitted with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add them; nobody has labels, and nobody requires any."""
    op.add_column("avatar_servers", sa.Column("labels", sa.JSON))
    for table in ("plans", "accounts", "sessions"):
        op.add_column(table, sa.Column("requires", sa.JSON))
