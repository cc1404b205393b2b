"""Freezes of admissions: for everybody, or for one account."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table; nothing is frozen."""
    op.create_table(
        "admission_freezes",
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.PrimaryKeyConstraint("scope", name="pk_admission_freezes"),
    )
