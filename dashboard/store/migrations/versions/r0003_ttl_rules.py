"""TTL rules, with the set that every deck starts with.

Its ranges are the usual advice for each kind of key. They are rows like any other: operators change and remove
them, and a later release adds nothing behind their backs.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MINUTE, HOUR = 60.0, 3600.0

SESSIONS = "Sessions: 15 to 30 min after the last request, so that a stolen one is soon worth nothing."
PROFILES = "Profiles change rarely: from an hour on they spare the database, after a day they are read anew."
CATALOGUE = "Catalogue pages are read by all and changed a few times a day: 1 to 6 h."
SEARCHES = "Search results are many, each asked for by few: after 5 to 15 min most are not asked for again."
RATE_LIMITS = (
    "Rate limits live as long as their window, which is a second to an hour. "
    "A counter without TTL locks its client out for ever."
)
REAL_TIME = "Prices, stocks and presence are wrong after a minute; below half a minute caching hardly pays."

STARTING_SET = (
    ("sess:*", 15 * MINUTE, 30 * MINUTE, SESSIONS),
    ("*session:*", 15 * MINUTE, 30 * MINUTE, SESSIONS),
    ("api:user:*", HOUR, 24 * HOUR, PROFILES),
    ("*profile*", HOUR, 24 * HOUR, PROFILES),
    ("*catalog*", HOUR, 6 * HOUR, CATALOGUE),
    ("*product:*", HOUR, 6 * HOUR, CATALOGUE),
    ("*search:*", 5 * MINUTE, 15 * MINUTE, SEARCHES),
    ("rate:*", 1.0, HOUR, RATE_LIMITS),
    ("*ratelimit:*", 1.0, HOUR, RATE_LIMITS),
    ("*price*", 30.0, MINUTE, REAL_TIME),
    ("stock:*", 30.0, MINUTE, REAL_TIME),
    ("online:*", 30.0, MINUTE, REAL_TIME),
    ("*presence:*", 30.0, MINUTE, REAL_TIME),
)
"""(pattern, shortest, longest, why); times are seconds. Names as they are common, and as the demo shop has them.

There is no rule for `user:*`: a pattern cannot tell `user:1`, a profile, from `user:1:cart`, which is none.
"""


def upgrade() -> None:
    rules = op.create_table(
        "ttl_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cache", sa.String(255), nullable=False),
        sa.Column("pattern", sa.LargeBinary(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("built_in", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ttl_rules"),
        sa.UniqueConstraint("cache", "pattern", name="uq_ttl_rules_cache_pattern"),
    )
    now = time.time()
    op.bulk_insert(
        rules,
        [
            {
                "cache": "",
                "pattern": pattern.encode(),
                "low": low,
                "high": high,
                "reason": reason,
                "built_in": True,
                "created_at": now,
            }
            for pattern, low, high, reason in STARTING_SET
        ],
    )
    locks = sa.table("locks", sa.column("name", sa.String(32)))
    op.bulk_insert(locks, [{"name": "ttl_rules"}])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM locks WHERE name = 'ttl_rules'"))
    op.drop_table("ttl_rules")
