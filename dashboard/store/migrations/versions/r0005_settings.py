"""Changes of settings and trials of them, silences, samples of what commands cost, compressed samples, and workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# SQLite counts up by itself only in a column whose type is exactly INTEGER.
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _take_bytes_in_samples()
    _make_command_samples()
    _make_setting_changes()
    _make_trials()
    _make_silences()
    _make_workers()
    op.bulk_insert(sa.table("locks", sa.column("name", sa.String(32))), [{"name": "settings"}])


def _take_bytes_in_samples() -> None:
    """From now on samples are compressed. Those that are there stay as they are, as bytes, and are read too."""
    with op.batch_alter_table("samples") as samples:
        samples.alter_column(
            "counters",
            existing_type=sa.Text(),
            type_=sa.LargeBinary(),
            existing_nullable=False,
            postgresql_using="convert_to(counters, 'UTF8')",
        )
    if op.get_bind().dialect.name == "sqlite":  # which keeps what it has been given, whatever the column is called
        op.execute(sa.text("UPDATE samples SET counters = CAST(counters AS BLOB)"))


def _make_command_samples() -> None:
    op.create_table(
        "command_samples",
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("node", sa.String(255), nullable=False),
        sa.Column("resolution", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slot_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("counters", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("cache", "node", "resolution", "slot_ms", name="pk_command_samples"),
    )
    op.create_index(
        "ix_command_samples_cache_resolution_slot_ms", "command_samples", ["cache", "resolution", "slot_ms"]
    )


def _make_setting_changes() -> None:
    op.create_table(
        "setting_changes",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("replicas", sa.Boolean(), nullable=False),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("takes_back", sa.BigInteger(), nullable=True),
        sa.Column("persisted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_setting_changes"),
        sqlite_autoincrement=True,  # a number is never given twice: the audit trail knows changes by it
    )
    op.create_index("ix_setting_changes_cache_id", "setting_changes", ["cache", "id"])


def _make_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("open", sa.String(300), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=True),
        sa.Column("taken_back", sa.BigInteger(), nullable=True),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("replicas", sa.Boolean(), nullable=False),
        sa.Column("guards", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("comparison", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.UniqueConstraint("open", name="uq_trials_open"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trials_cache_id", "trials", ["cache", "id"])


def _make_silences() -> None:
    op.create_table(
        "silences",
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("cache", "rule", name="pk_silences"),
    )


def _make_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM locks WHERE name = 'settings'"))
    for table in ("workers", "silences", "trials", "setting_changes", "command_samples"):
        op.drop_table(table)
    op.execute(sa.text("DELETE FROM samples"))  # the version before cannot read what is compressed
    with op.batch_alter_table("samples") as samples:
        samples.alter_column(
            "counters",
            existing_type=sa.LargeBinary(),
            type_=sa.Text(),
            existing_nullable=False,
            postgresql_using="convert_from(counters, 'UTF8')",
        )
