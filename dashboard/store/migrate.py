"""Bringing the tables up to this program's schema, once, whoever comes first."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from dashboard.store.errors import StoreUnusable

FOLDER = Path(__file__).with_name("migrations")

ADVISORY_LOCK = int.from_bytes(b"cachedck")
"""Any number does that nobody else uses in the same PostgreSQL database."""

# Alembic's environment is a global of its module.
_one_at_a_time = threading.Lock()


def migrate(engine: Engine) -> None:
    """Run the migrations that are missing, all in one transaction, while other processes wait.

    `engine` must begin its transactions with the write lock. Raises StoreUnusable for a database
    that a newer Cachedeck has migrated.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with _one_at_a_time:
        if _is_current(engine, scripts):
            return
        with engine.begin() as connection:
            _hold_others(connection)
            _refuse_the_future(connection, scripts)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _is_current(engine: Engine, scripts: ScriptDirectory) -> bool:
    with engine.execution_options(cachedeck_writes=False).connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == set(scripts.get_heads())


def _hold_others(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE has done it already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def _refuse_the_future(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise StoreUnusable(
            f"The database has the schema {', '.join(sorted(unknown))} of a newer Cachedeck.",
            "Start the newer version, or restore the backup that was made before it.",
        )
