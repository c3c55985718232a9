"""The queue of background work: huey, on SQLite in the data folder or on Redis or PostgreSQL by setting.

What stands in it: messages.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey

from dashboard.jobs.messages import JsonSerializer
from dashboard.settings import BadSettings, Settings

NAME = "cachedeck"
BUSY_SECONDS = 5.0  # how long a writer waits for another process's transaction on the SQLite file


def make_queue(settings: Settings) -> Huey:
    """The queue that CACHEDECK_QUEUE_URL names, without its tasks. Raises BadSettings.

    Results are not kept: what a task has to tell, it writes to the store.
    """
    url = settings.queue
    scheme = url.partition("://")[0]
    make = _STORAGES.get(scheme)
    if make is None:
        raise BadSettings(
            f"CACHEDECK_QUEUE_URL: begins with none of {', '.join(f'{name}://' for name in sorted(_STORAGES))}."
        )
    return make(url, {"results": False, "serializer": JsonSerializer()})


def _sqlite(url: str, options: dict[str, Any]) -> Huey:
    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise BadSettings(f"CACHEDECK_QUEUE_URL: {path} cannot be written ({error.strerror}).") from None
    return SqliteHuey(NAME, filename=str(path), timeout=BUSY_SECONDS, **options)


def _redis(url: str, options: dict[str, Any]) -> Huey:
    # redis-py knows Valkey's own scheme by the older name only.
    return RedisHuey(NAME, url=url.replace("valkey", "redis", 1) if url.startswith("valkey") else url, **options)


def _postgres(url: str, options: dict[str, Any]) -> Huey:
    # libpq wants a plain scheme where SQLAlchemy's URLs name a driver.
    return PostgresHuey(NAME, dsn="postgresql://" + url.partition("://")[2], table_prefix=NAME, **options)


_STORAGES: dict[str, Callable[[str, dict[str, Any]], Huey]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "valkey": _redis,
    "valkeys": _redis,
    "postgres": _postgres,
    "postgresql": _postgres,
    "postgresql+psycopg": _postgres,
}
