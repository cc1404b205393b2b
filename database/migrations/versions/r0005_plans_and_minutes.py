"""Plans with prices' worth of limits, accounts that can be closed, minutes that are reserved, billed and bought."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_HOURS_4 = 4 * 3600

_PLANS = [
    # key, name, sessions at once, seconds a session, minutes a period, pictures a period, paid
    ("free", "Free", 1, _HOURS_4, 120, 0, False),
    ("explorer", "Explorer", 5, _HOURS_4, 600, 20, True),
    ("growth", "Growth", 10, _HOURS_4, 2_000, 60, True),
    ("pro", "Pro", 20, _HOURS_4, 6_000, 180, True),
    ("enterprise", "Enterprise", 1_000_000, None, None, None, True),
]
_TIMERS = ("nobody_joined_s", "participants_left_s", "agent_left_s")


def upgrade() -> None:
    """Add columns and tables; what is there already keeps its plan without limits."""
    _plans()
    _accounts()
    _minutes()
    _pictures()


def _plans() -> None:
    for name in ("included_minutes", "avatar_allowance", "requests_per_minute"):
        op.add_column("plans", sa.Column(name, sa.Integer))
    op.add_column("plans", sa.Column("paid", sa.Boolean, nullable=False, server_default=sa.true()))
    for name in _TIMERS:
        op.add_column("plans", sa.Column(name, sa.Double))
    plans = sa.table(
        "plans",
        sa.column("key", sa.String),
        sa.column("name", sa.String),
        sa.column("max_concurrent_sessions", sa.Integer),
        sa.column("max_session_seconds", sa.Integer),
        sa.column("included_minutes", sa.Integer),
        sa.column("avatar_allowance", sa.Integer),
        sa.column("paid", sa.Boolean),
    )
    names = [column.name for column in plans.columns]
    op.bulk_insert(plans, [dict(zip(names, plan, strict=True)) for plan in _PLANS])


def _accounts() -> None:
    op.add_column("accounts", sa.Column("plan_since", sa.BigInteger))
    op.add_column("accounts", sa.Column("closed_at", sa.BigInteger))
    for name in _TIMERS:
        op.add_column("accounts", sa.Column(name, sa.Double))


def _minutes() -> None:
    op.add_column("sessions", sa.Column("reserved_minutes", sa.Integer))
    op.add_column("sessions", sa.Column("attended_at", sa.BigInteger))
    op.create_table(
        "minute_packs",
        sa.Column("pack_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False, index=True),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("minutes_left", sa.Integer, nullable=False),
        sa.Column("bought_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.CheckConstraint("minutes_left BETWEEN 0 AND minutes", name="no_more_than_bought"),
    )
    op.create_table(
        "charges",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False),
        sa.Column("charged_at", sa.BigInteger, nullable=False),
        sa.Column("served_ms", sa.BigInteger, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("included_minutes", sa.Integer, nullable=False),
        sa.Column("purchased_minutes", sa.Integer, nullable=False),
        sa.Column("packs", sa.JSON, nullable=False),
        sa.CheckConstraint("minutes = included_minutes + purchased_minutes", name="nothing_twice"),
    )
    op.create_index("ix_charges_period", "charges", ["account_id", "charged_at"])


def _pictures() -> None:
    op.create_table(
        "made_avatars",
        sa.Column("avatar_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False),
        sa.Column("reserved_at", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.BigInteger),
    )
    op.create_index("ix_made_avatars_period", "made_avatars", ["account_id", "reserved_at"])
    op.execute(
        "INSERT INTO made_avatars (avatar_id, account_id, reserved_at, made_at)"
        " SELECT avatar_id, account_id, created_at, created_at FROM avatars WHERE account_id IS NOT NULL"
    )
