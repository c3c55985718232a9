"""One batch of a retiming by a script on the server: scanned, judged and changed in one step, so that a key that
somebody changes meanwhile is judged by what it is."""

from __future__ import annotations

import secrets
import time
from typing import Any

from dashboard.cache.retiming.change import Change, Jitter
from dashboard.cache.retiming.tally import COUNTED, Acted
from dashboard.cache.retiming.task import Batch, Task
from dashboard.cache.servers import scripts
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import error_of, sentence_of

_SCRIPT = scripts.load("servers/clock.lua", "walking/judge.lua", "retiming/retime.lua")


def batch_by_script(cache: Cache, node: Node, task: Task, command: str, cursor: int, count: int) -> Batch:
    """About `count` keys from the cursor on, by `command` (EVAL or EVAL_RO). One round trip, atomic.

    Raises CacheError; then nothing was done, unless it is that no answer came.
    """
    reply = cache.execute(command, _SCRIPT, 0, *_arguments(task, cursor, count), node=node)
    following, scanned, *rest = reply
    counts = dict(zip(COUNTED, rest, strict=False))
    refusal, ended_by, ended, before, after, took = rest[len(COUNTED) :]
    acted = Acted(
        **counts,
        refusal=sentence_of(refusal, cache.name) if refusal else "",
        before=_slots(before),
        after=_slots(after),
    )
    error = error_of(ended_by.decode(), ended, cache.name) if ended else None
    return Batch(int(following), int(scanned), acted, error, scripts.held(took))


def _arguments(task: Task, cursor: int, count: int) -> list[Any]:
    selection = task.selection
    return [
        cursor,
        count,
        b"" if selection.glob == b"*" else selection.glob,
        selection.type,
        *selection.ttl_bounds,
        *selection.size_bounds,
        *_change(task.change),
        secrets.randbits(31),
        int(task.acts),
        round(task.origin * 1000),
        round(time.time() * 1000),
    ]


def _change(change: Change) -> tuple[str, float, str | int]:
    if isinstance(change, Jitter):
        return change.unit, round(change.amount * 1000) if change.unit == "s" else change.amount, change.direction
    return "range", round(change.low * 1000), round(change.high * 1000)


def _slots(flat: list[int]) -> dict[int, int]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
