"""The first tables, and the plan of a self-hosted installation."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and seed the plan."""
    _accounts()
    _avatars()
    _sessions()
    _servers()


def _accounts() -> None:
    plans = op.create_table(
        "plans",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("max_session_seconds", sa.Integer),
        sa.Column("max_concurrent_sessions", sa.Integer, nullable=False),
    )
    op.bulk_insert(
        plans,
        [
            {
                "key": "self_hosted",
                "name": "Self-hosted",
                "max_session_seconds": None,
                "max_concurrent_sessions": 1_000_000,
            }
        ],
    )
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("plan_key", sa.String, sa.ForeignKey("plans.key"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False, index=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
    )


def _avatars() -> None:
    op.create_table(
        "avatars",
        sa.Column("avatar_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), index=True),
        sa.Column("primary_ratio", sa.String, nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "avatar_portraits",
        sa.Column("avatar_id", sa.String, sa.ForeignKey("avatars.avatar_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("profile", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("keypoints", sa.JSON, nullable=False),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False),
        sa.Column("avatar_id", sa.String, nullable=False, index=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("aspect_ratio", sa.String, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("plan_seconds", sa.Double),
        sa.Column("enforced_seconds", sa.Double),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.String),
        sa.CheckConstraint("(status = 'ended') = (ended_at IS NOT NULL)", name="ended_has_a_time"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended_has_a_reason"),
        sa.CheckConstraint("status <> 'started' OR started_at IS NOT NULL", name="started_has_a_time"),
    )
    live = sa.text("ended_at IS NULL")
    op.create_index("ix_sessions_live", "sessions", ["account_id"], sqlite_where=live, postgresql_where=live)
    op.create_table(
        "session_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String),
        sa.UniqueConstraint("session_id", "step", "generation"),
    )


def _servers() -> None:
    op.create_table(
        "avatar_servers",
        sa.Column("boot_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
    )
    op.create_table(
        "slots",
        sa.Column("boot_id", sa.String, sa.ForeignKey("avatar_servers.boot_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.String),
        sa.Column("generation", sa.Integer),
        sa.UniqueConstraint("session_id", "generation"),
        sa.CheckConstraint("(session_id IS NULL) = (generation IS NULL)", name="taken_by_a_generation"),
    )
    op.create_table(
        "leases",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("boot_id", sa.String, nullable=False),
        sa.Column("server", sa.String, nullable=False),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
        sa.Column("served_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    held = sa.text("revoked_at IS NULL")
    op.create_index("ix_leases_held", "leases", ["boot_id"], sqlite_where=held, postgresql_where=held)
