"""Between an invalidation and its row: a long list of keys stands there once, compressed, and out of its task."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping

from dashboard.store.invalidation import (
    Asked,
    Invalidation,
)
from dashboard.store.schema import InvalidationRow
from dashboard.store.trail import storable

LONGEST_INLINE = 4096
"""Characters of a list of keys that stand in a task and in its jobs' arguments: lists of jobs read and draw these."""


def new_row(cache: str, task: Mapping[str, str], asked: Asked, seconds: float) -> InvalidationRow:
    now, (short, names) = time.time(), parted(task)
    return InvalidationRow(
        cache=cache,
        task=written(short),
        names=names,
        actor=storable(asked.actor),
        address=storable(asked.address),
        reason=storable(asked.reason),
        source=asked.source,
        created_at=now,
        expires_at=now + seconds,
        needs="",
        approved_by="",
        token_id=asked.token_id,
        idempotency=None if asked.idempotency is None else storable(asked.idempotency),
        fingerprint=asked.fingerprint,
    )


def written(task: Mapping[str, str]) -> str:
    return json.dumps(dict(task), separators=(",", ":"), sort_keys=True)


def parted(task: Mapping[str, str]) -> tuple[Mapping[str, str], bytes | None]:
    """The task without a long list, which nobody can take for a selection, and the list."""
    names = task.get("keys", "")
    if len(names) <= LONGEST_INLINE:
        return task, None
    told = {"listed": str(names.count("\n") + 1), "first": names.partition("\n")[0][:LONGEST_INLINE]}
    return {**task, "keys": "", **told}, zlib.compress(names.encode("utf-8", "surrogatepass"), 1)


def whole(task: Mapping[str, str], names: bytes | None) -> Mapping[str, str]:
    kept = {name: value for name, value in task.items() if name not in ("listed", "first")}
    return kept if names is None else {**kept, "keys": zlib.decompress(names).decode("utf-8", "surrogatepass")}


def invalidation_of(row: InvalidationRow) -> Invalidation:
    return Invalidation(
        number=row.id,
        cache=row.cache,
        task=json.loads(row.task),
        actor=row.actor,
        address=row.address,
        reason=row.reason,
        source=row.source,
        created_at=row.created_at,
        planned_at=row.planned_at,
        expires_at=row.expires_at,
        plan_job=row.plan_job,
        run_job=row.run_job,
        keys=row.keys,
        keys_low=row.keys_low,
        keys_high=row.keys_high,
        memory=row.memory,
        needs=row.needs,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        token_id=row.token_id,
        idempotency=row.idempotency,
        fingerprint=row.fingerprint,
    )
