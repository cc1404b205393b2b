"""A session may be controlled by a client's socket, which ends at some process of the API."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table of control addresses."""
    op.create_table(
        "control_lines",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
    )
