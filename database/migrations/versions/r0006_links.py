"""Links, by which people without an API key start sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add their table."""
    op.create_table(
        "links",
        sa.Column("link_id", sa.String, primary_key=True),
        sa.Column("account_id", sa.String, sa.ForeignKey("accounts.account_id"), nullable=False),
        sa.Column("avatar_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("aspect_ratio", sa.String, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("use_limit", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.CheckConstraint("use_limit IS NULL OR uses <= use_limit", name="within_its_limit"),
    )
    op.create_index("ix_links_account_id", "links", ["account_id"])
