"""Invalidations with their plans and approvals, tokens of the API, schedules; jobs that pause and go on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite counts up by itself only in a column whose type is exactly INTEGER.
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _let_jobs_pause()
    _make_tokens()
    _make_invalidations()
    _make_schedules()
    op.bulk_insert(sa.table("locks", sa.column("name", sa.String(32))), [{"name": "invalidations"}])


def _let_jobs_pause() -> None:
    op.add_column("jobs", sa.Column("pausing", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("queued_at", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("about", sa.BigInteger(), nullable=True))
    op.execute(sa.text("UPDATE jobs SET queued_at = created_at"))
    op.create_index("ix_jobs_about", "jobs", ["about"])


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("beginning", sa.String(16), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("patterns", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("name", name="uq_tokens_name"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )


def _make_invalidations() -> None:
    op.create_table(
        "invalidations",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("planned_at", sa.Double(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("plan_job", sa.BigInteger(), nullable=True),
        sa.Column("run_job", sa.BigInteger(), nullable=True),
        sa.Column("keys", sa.Double(), nullable=True),
        sa.Column("keys_low", sa.Double(), nullable=True),
        sa.Column("keys_high", sa.Double(), nullable=True),
        sa.Column("memory", sa.Double(), nullable=True),
        sa.Column("needs", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.Double(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("idempotency", sa.String(255), nullable=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("names", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invalidations"),
        sa.UniqueConstraint("plan_job", name="uq_invalidations_plan_job"),
        sa.UniqueConstraint("run_job", name="uq_invalidations_run_job"),
        sa.UniqueConstraint("token_id", "idempotency", name="uq_invalidations_token_id_idempotency"),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_invalidations_token_id"),
        sqlite_autoincrement=True,  # a number is never given twice: the vault and scripts know invalidations by it
    )
    op.create_index("ix_invalidations_cache_id", "invalidations", ["cache", "id"])


def _make_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("cron", sa.String(255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=True),
        sa.Column("last_at", sa.Double(), nullable=True),
        sa.Column("last_invalidation", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_enabled_next_at", "schedules", ["enabled", "next_at"])
    op.create_index("ix_schedules_cache_id", "schedules", ["cache", "id"])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM locks WHERE name = 'invalidations'"))
    for table in ("schedules", "invalidations", "tokens"):
        op.drop_table(table)
    op.drop_index("ix_jobs_about", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        for column in ("about", "queued_at", "pausing"):
            jobs.drop_column(column)
