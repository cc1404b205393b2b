"""Webhooks: whom to tell, what there is to tell, and how far that has come."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the endpoints, the outbox and its deliveries."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint_id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("sealed_secret", sa.String, nullable=False),
        sa.Column("sealed_previous", sa.String),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_webhook_endpoints"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.account_id"], name="fk_webhook_endpoints_account_id_accounts"
        ),
    )
    op.create_index("ix_webhook_endpoints_account_id", "webhook_endpoints", ["account_id"])
    op.create_table(
        "webhook_events",
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_webhook_events"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_webhook_events_account_id_accounts"),
    )
    op.create_index("ix_webhook_events_account_id", "webhook_events", ["account_id", "at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("endpoint_id", sa.String, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "endpoint_id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_events.event_id"], name="fk_webhook_deliveries_event_id_webhook_events"
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.endpoint_id"],
            name="fk_webhook_deliveries_endpoint_id_webhook_endpoints",
        ),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["changed_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
