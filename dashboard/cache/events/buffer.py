"""Buffer: the last events that a sieve let through, numbered, from which any number of watchers read.

A watcher holds nothing but the number of what it has read last. So one that is slow costs no memory and keeps nobody
waiting: what it comes too late for is counted as lost to it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from dashboard.cache.events.event import Event, Gap, Item
from dashboard.cache.events.sieve import Sieve

BEATS = 16
"""Of tell() that are remembered: who is a few behind gets each as the others had it."""
CUT_LATELY = 2 * BEATS
"""Batches that are remembered: most watchers ask for the same ones."""
KEPT = 1000
"""Events of a subscription that are kept, so that a page which is opened later begins with them."""


@dataclass(frozen=True)
class Batch:
    """What passed the sieve after number `after`, up to `upto`.

    items: (number, event or gap), the oldest first. lost: events that were there no more. skipped: events that were
    there, but more than were asked for; `items` has an even selection of them then, and every gap.
    """

    after: int
    upto: int
    items: tuple[tuple[int, Item], ...]
    lost: int = 0
    skipped: int = 0

    @property
    def empty(self) -> bool:
        return self.after == self.upto


class Buffer:
    """Thread-safe. `epoch`: a name for this buffer's numbers, another one after each restart. `passed`: the number of
    the last event. `closed`: nothing will come any more; why: the sentence that says so."""

    def __init__(self, sieve: Sieve, most: int = KEPT) -> None:
        self.sieve = sieve
        self.epoch = secrets.token_hex(4)
        self.begun_at = time.time()
        self.passed = 0
        self.closed = False
        self.why = ""
        self.takes = sieve.judge()
        self._kept: deque[Item] = deque(maxlen=most)
        self._changed = threading.Lock()
        self._bells: list[threading.Lock] = []
        self._told = 0
        self._beats = deque([0], maxlen=BEATS)
        self._cut_lately: OrderedDict[tuple[int, int, int], Batch] = OrderedDict()

    def add(self, items: Sequence[Item], passed: int | None = None) -> None:
        """Take what has passed the sieve. passed: how many did, where `items` are only the last of them. Those who wait
        are woken by tell() alone."""
        with self._changed:
            self._kept.extend(items)
            self.passed += len(items) if passed is None else passed

    def tell(self) -> None:
        """Wake those who wait, if there is something new for them."""
        with self._changed:
            if self._told == self.passed:
                return
            self._told = self.passed
            self._beats.append(self.passed)
            bells, self._bells = self._bells, []
        _ring(bells)

    def close(self, why: str = "") -> None:
        with self._changed:
            self.closed, self.why = True, why
            bells, self._bells = self._bells, []
        _ring(bells)

    def wait(self, after: int, seconds: float) -> bool:
        """Until something was told of after this number, so long at most; whether there is."""
        # A lock for each who waits and not a Condition, which all of them would have to acquire again, one after the
        # other: with 200 that takes longer than to send them what they wait for.
        bell = threading.Lock()
        bell.acquire()
        with self._changed:
            if self._told > after or self.closed:
                return self._told > after
            self._bells.append(bell)
        if not bell.acquire(timeout=seconds):
            with self._changed, suppress(ValueError):
                self._bells.remove(bell)
        return self._told > after

    def batch(self, after: int, most: int) -> Batch:
        """What was told of after this number."""
        with self._changed:
            return self._remembered(after, max(self._told, after), most)

    def beat(self, after: int, most: int) -> Batch:
        """What was told of after this number, up to the next time that something was told. So watchers get one and the
        same object, even those that are behind, and whoever draws it need do so once.

        Who is so late that a part of it is there no more passes over what is left, but for gaps and the last beat.
        """
        with self._changed:
            beats, upto = self._beats, max(self._told, after)
            before_last = beats[-2] if len(beats) > 1 else 0
            if after >= before_last:
                return self._remembered(after, upto, most)
            if after < self.passed - len(self._kept):
                return self._remembered(after, before_last, 0)
            if after >= beats[0]:
                upto = next(one for one in beats if one > after)
            return self._remembered(after, upto, most)

    def kept(self) -> tuple[Item, ...]:
        """All that is there, the oldest first."""
        with self._changed:
            return tuple(self._kept)

    @property
    def oldest(self) -> int:
        """The number of the oldest that is there; passed + 1 where nothing is."""
        with self._changed:
            return self.passed - len(self._kept) + 1

    def _remembered(self, after: int, upto: int, most: int) -> Batch:
        key = (after, upto, most)
        found = self._cut_lately.get(key)
        if found is None:
            found = self._cut_lately[key] = self._cut(after, upto, most)
            if len(self._cut_lately) > CUT_LATELY:
                self._cut_lately.popitem(last=False)
        return found

    def _cut(self, after: int, upto: int, most: int) -> Batch:
        first = self.passed - len(self._kept) + 1
        begin = max(after + 1, first)
        lost = begin - after - 1 if upto > after else 0
        there = list(islice(self._kept, begin - first, upto - first + 1)) if upto >= begin else []
        chosen = _evenly(list(enumerate(there, begin)), most)
        # What was lost may be more than what is new: a watcher that is that late has lost up to what is there.
        return Batch(after, upto, tuple(chosen), min(lost, upto - after), len(there) - len(chosen))


def _ring(bells: Iterable[threading.Lock]) -> None:
    for bell in bells:
        bell.release()


def _evenly(items: list[tuple[int, Item]], most: int) -> list[tuple[int, Item]]:
    """At most so many events, evenly from all over, and every gap."""
    if len(items) <= most:
        return items
    gaps = [one for one in items if isinstance(one[1], Gap)]
    events = [one for one in items if isinstance(one[1], Event)]
    step = len(events) / max(most, 1)
    # The last is among them: what is newest says how things are.
    chosen = [events[len(events) - 1 - int(number * step)] for number in range(most)] if events else []
    return sorted([*gaps, *chosen], key=lambda one: one[0])
