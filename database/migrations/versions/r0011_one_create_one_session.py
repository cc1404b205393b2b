"""Repeats of a create find its session; creates without a free slot wait in line."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add what repeats, duplicates and the line are found by."""
    op.add_column("sessions", sa.Column("duplicate_key", sa.String(64)))
    living = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_sessions_duplicate_key", "sessions", ["duplicate_key"], sqlite_where=living, postgresql_where=living
    )
    op.create_table(
        "creates",
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), primary_key=True),
        sa.Column("repeat_key", sa.String(64), primary_key=True),
        sa.Column("keyed", sa.Boolean, nullable=False),
        sa.Column("body_mac", sa.String, nullable=False),
        sa.Column("session_id", sa.String, nullable=False, unique=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("code", sa.String),
        sa.Column("message", sa.String),
        sa.Column("details", sa.JSON),
    )
    op.create_table(
        "waiting",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False),
        sa.Column("entered_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
