"""Which workers live: each says so every few seconds, and takes itself out when it is stopped.

Trials are taken back and jobs carried out by workers only, so whoever asks for one is told where none lives.
"""

from __future__ import annotations

import time

from sqlalchemy import delete, func, select

from dashboard.store.engine import Store
from dashboard.store.schema import WorkerRow

BEAT_SECONDS = 5.0
DEAD_SECONDS = 20.0
"""A worker that has said nothing for so long is dead, or hangs."""
FORGET_SECONDS = 3600.0


def beat(store: Store, worker: str, now: float | None = None) -> None:
    """Say that a worker lives; those that died long ago are forgotten. Raises StoreUnavailable."""
    now = time.time() if now is None else now
    with store.write() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - FORGET_SECONDS))
        row = session.get(WorkerRow, worker)
        if row is None:
            session.add(WorkerRow(id=worker, started_at=now, seen_at=now))
        else:
            row.seen_at = now


def leave(store: Store, worker: str) -> None:
    """Say that a worker is stopped. Raises StoreUnavailable."""
    with store.write() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.id == worker))


def alive(store: Store, now: float | None = None) -> int:
    """How many workers live. A sign of life from the future counts as one: the clock was set back since.

    Raises StoreUnavailable.
    """
    now = time.time() if now is None else now
    with store.read() as session:
        return session.scalar(select(func.count()).where(WorkerRow.seen_at > now - DEAD_SECONDS)) or 0
