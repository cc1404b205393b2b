"""Sessions are listed page by page, and their audit rows say in which run of a workflow, and for how long."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the list's index, and what the timeline tells of a step; older rows tell nothing."""
    for name, kind in (
        ("workflow_id", sa.String),
        ("run_id", sa.String),
        ("took_ms", sa.BigInteger),
        ("details", sa.JSON),
    ):
        op.add_column("session_events", sa.Column(name, kind))
    started = sa.text("started_at IS NOT NULL")
    op.create_index(
        "ix_sessions_started",
        "sessions",
        ["account_id", "started_at", "session_id"],
        sqlite_where=started,
        postgresql_where=started,
    )
