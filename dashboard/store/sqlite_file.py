"""The file of an SQLite store: private from its first byte on, and in WAL mode."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from dashboard.store.errors import StoreUnusable, unavailable

_log = logging.getLogger(__name__)


def prepare(address: URL) -> None:
    """Create the file, and its folder, for its owner only. What exists keeps its mode.

    SQLite gives its -wal and -shm files the mode of the database. Raises StoreUnusable.
    """
    path = _path(address)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnusable(
            f"The database file {path} cannot be written: {error.strerror}.",
            "Check the owner and mode of the data folder (CACHEDECK_DATA).",
        ) from error


def use_wal(engine: Engine, seconds: float) -> None:
    """Switch the file to WAL mode, which it then keeps.

    SQLite does not wait for other processes here but says at once that it is locked (its busy
    handler is not called while the journal changes), hence the loop. Raises StoreUnavailable.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            mode = _switch(engine)
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise unavailable(error) from error
            time.sleep(0.02)
        else:
            break
    if mode != "wal":
        _log.warning("the file system of %s allows no WAL mode: writers will hold up readers", engine.url)


def _switch(engine: Engine) -> str:
    # Outside of any transaction, where alone it is allowed.
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        (mode,) = cursor.fetchone() or ("",)
        return str(mode)
    finally:
        connection.close()


def _path(address: URL) -> Path:
    name = address.database or ""
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    if name in {"", ":memory:"} or "memory" in address.query.values():
        raise StoreUnusable(
            "A database in memory cannot be shared by the web process and the worker.",
            "Name a file in CACHEDECK_DATABASE_URL, or leave it away.",
        )
    return Path(name)
