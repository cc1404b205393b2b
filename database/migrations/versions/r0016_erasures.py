"""Accounts that are erased: the receipt, and of the ledger what bookkeeping needs without saying whose it was."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "erasures",
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("account_sha256", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name="pk_erasures"),
        sa.UniqueConstraint("account_sha256", name="uq_erasures_account_sha256"),
    )
    op.create_table(
        "erased_objects",
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", "key_sha256", name="pk_erased_objects"),
        sa.ForeignKeyConstraint(["receipt_id"], ["erasures.receipt_id"], name="fk_erased_objects_receipt_id_erasures"),
    )
    op.create_table(
        "erased_charges",
        sa.Column("charge_id", sa.String(64), nullable=False),
        sa.Column("receipt_id", sa.String, nullable=False),
        sa.Column("charged_at", sa.BigInteger, nullable=False),
        sa.Column("served_ms", sa.BigInteger, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("included_minutes", sa.Integer, nullable=False),
        sa.Column("purchased_minutes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("charge_id", name="pk_erased_charges"),
        sa.ForeignKeyConstraint(["receipt_id"], ["erasures.receipt_id"], name="fk_erased_charges_receipt_id_erasures"),
    )
    op.create_index("ix_erased_charges_receipt_id", "erased_charges", ["receipt_id"])
