"""One batch of a retiming by plain commands, where a script may not be run.

A key is judged by one pipeline and changed by the next, so what somebody does to it between the two is lost: a TTL
that was set meanwhile is overwritten. A key that was removed and made anew meanwhile would get a TTL, too.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from typing import Any

from dashboard.cache.analysis.slots import slot_of
from dashboard.cache.errors import CacheError, TimedOut, Unreachable, translate
from dashboard.cache.retiming.change import drawn
from dashboard.cache.retiming.tally import Acted
from dashboard.cache.retiming.task import Batch, Task
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.servers.refusals import of_one_key
from dashboard.cache.walking.filtering import seconds_of
from dashboard.cache.walking.walk import scan_command

_draw = secrets.SystemRandom().random


def batch_by_commands(cache: Cache, node: Node, task: Task, cursor: int, count: int) -> Batch:
    """About `count` keys from the cursor on. Up to three round trips: SCAN, what they are, PEXPIRE. Raises CacheError
    as long as nothing was changed; what goes wrong later is the batch's `error`."""
    following, found = cache.execute(*scan_command(task.selection, cursor, count), node=node)
    keys = list(dict.fromkeys(found))
    counting = _Counting(task)
    wanted = _judged(cache, node, task, keys, counting) if keys else {}
    unsure, error = 0, None
    if task.acts and wanted:
        commands = [("PEXPIRE", key, new) for key, (_, new) in wanted.items()]
        try:
            replies = cache.pipeline(node, commands)
        except (TimedOut, Unreachable) as failure:
            return Batch(int(following), len(found), counting.acted(), failure, unsure=len(commands))
    else:
        replies = [1] * len(wanted)
    for (pttl, new), reply in zip(wanted.values(), replies, strict=True):
        if isinstance(reply, Exception):
            problem = reply if isinstance(reply, CacheError) else translate(reply, cache.name)
            counting.refused(problem, pttl)
            error = error or (None if of_one_key(problem) else problem)
        elif int(reply):
            counting.changed(pttl, new)
        else:
            counting.counts["found"] -= 1
            counting.counts["gone"] += 1
    return Batch(int(following), len(found), counting.acted(), error, unsure=unsure)


def _judged(
    cache: Cache, node: Node, task: Task, keys: list[bytes], counting: _Counting
) -> dict[bytes, tuple[int, int]]:
    """(PTTL now, PTTL wanted) of each key that is to be changed; all others are counted. One pipeline."""
    selection = task.selection
    commands: list[tuple[Any, ...]] = [("PTTL", key) for key in keys]
    if selection.size:
        commands += [("MEMORY", "USAGE", key) for key in keys]
    # After the PTTLs: an expiry at a whole second is then never taken for one of the second before.
    *replies, clock = cache.pipeline(node, [*commands, ("TIME",)])
    counting.now = _now(cache, clock, strict=selection.at_instant)
    sizes = replies[len(keys) :] if selection.size else [0] * len(keys)
    wanted = {}
    for key, pttl, size in zip(keys, replies, sizes, strict=False):
        bad = next((reply for reply in (pttl, size) if isinstance(reply, Exception)), None)
        if bad is not None:
            problem = bad if isinstance(bad, CacheError) else translate(bad, cache.name)
            if not of_one_key(problem):
                raise problem
            counting.refused(problem, -1)
        elif pttl == -2 or size is None:
            counting.counts["gone"] += 1
        elif selection.takes_ttl(pttl, counting.now) and selection.takes_size(int(size)):
            counting.counts["found"] += 1
            new = drawn(task.change, pttl, _draw)
            if new is None:
                counting.kept(pttl)
            else:
                wanted[key] = (pttl, new)
    return wanted


def _now(cache: Cache, reply: Any, *, strict: bool) -> float:
    if not isinstance(reply, Exception):
        return seconds_of(reply)
    if strict:
        raise reply if isinstance(reply, CacheError) else translate(reply, cache.name)
    return time.time()


class _Counting:
    """An Acted that is being counted."""

    def __init__(self, task: Task) -> None:
        self._origin = task.origin
        self.now = 0.0
        self.counts: Counter[str] = Counter()
        self._refusal = ""
        self._before: Counter[int] = Counter()
        self._after: Counter[int] = Counter()

    def kept(self, pttl: int) -> None:
        self.counts["without" if pttl == -1 else "unchanged"] += 1
        self._note(pttl, pttl)

    def refused(self, problem: CacheError, pttl: int) -> None:
        self.counts["refused"] += 1
        self._refusal = self._refusal or problem.sentence
        self._note(pttl, pttl)

    def changed(self, pttl: int, new: int) -> None:
        self.counts["changed"] += 1
        if pttl == -1:
            self.counts["given"] += 1
        elif new != pttl:
            self.counts["lengthened" if new > pttl else "shortened"] += 1
        self._note(pttl, new)

    def _note(self, before: int, after: int) -> None:
        for slots, pttl in ((self._before, before), (self._after, after)):
            if pttl >= 0:
                slots[slot_of(pttl + (self.now - self._origin) * 1000)] += 1

    def acted(self) -> Acted:
        return Acted(**self.counts, refusal=self._refusal, before=self._before, after=self._after)
