"""Stampedes found in the events of keys while they come, in bounded memory. Pure.

An episode of a key begins with its first miss and ends with its refill and a while for late duplicates. It is a
stampede where there were many misses before the refill and

    the key was written as a whole several times, of which once would have done, or
    no sign of a lock was seen (lock_signs.py), and so many misses came within the time that a refill takes in its
    namespace.

With a lock, those who wait may miss as often as they like: they load nothing, and one refill is seen. What is missed
and never filled is no stampede, but a miss for ever, and is listed apart.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dashboard.cache.events.heavy_hitters import Heavy
from dashboard.cache.selecting.fold import folding
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.stampedes.episode import LONG_NAME, Followed, KeyName, cut, shown
from dashboard.cache.stampedes.events import GONE, NEW, WHOLE
from dashboard.cache.stampedes.lock_signs import SHORT_SECONDS, LockSigns
from dashboard.cache.stampedes.refill_times import RefillTimes
from dashboard.cache.stampedes.report import AbsentKey, Alert, Cause, MissedKey, MissedNamespace, Stampedes

THRESHOLD = 20
"""Misses of an episode from which it may be a stampede."""
REDUNDANT = 3
"""Refills too many from which they are no chance of two that came at the same moment."""
MOST_KEYS = 20_000
"""Keys followed at the same time, at about 500 bytes each: 10 MB."""
MOST_COUNTED = 5_000
MOST_NAMESPACES = 1_000
MOST_ALERTS = 200
LISTED = 50
QUIET_SECONDS = 3.0
"""A key without a miss for so long, or for as long as refills take in its namespace, begins a new episode with the
next one."""
ABSENT_SECONDS = 10.0
"""Missed for so long and never filled, a key is taken for one that never is."""
LEAST_ABSENT = 10
SOON_SECONDS = 1.0
"""Misses must come within the time that a refill takes in their namespace, or within so long where that is less or not
known. And so long a lock or a refill is waited for, before a stampede is told that still goes on."""
LEAST_GRACE, MOST_GRACE = 0.05, 10.0
TOGETHER_SECONDS = 2.0


class StampedeCount:
    """Is given events, and tells what they mean. Times are seconds of one clock, and never go back. Not thread-safe."""

    def __init__(self, separator: bytes, threshold: int = THRESHOLD, most_keys: int = MOST_KEYS) -> None:
        self._namespace_of = folding(separator)
        self._threshold = threshold
        self._most_keys = most_keys
        self._keys: OrderedDict[KeyName, Followed] = OrderedDict()
        self._gone: OrderedDict[KeyName, Cause] = OrderedDict()
        self._locks = LockSigns()
        self._counted: Heavy[KeyName] = Heavy(MOST_COUNTED)
        self._namespaces: Heavy[bytes] = Heavy(MOST_NAMESPACES)
        self._of_namespace: dict[bytes, RefillTimes] = {}
        self._times = RefillTimes()
        self._due: list[tuple[float, int, float, Followed]] = []
        self._pushed = 0
        self._alerts: dict[KeyName, Alert] = {}
        self.held = self.alerts_dropped = self.given_up = 0

    @property
    def misses(self) -> int:
        return self._namespaces.total

    @property
    def followed(self) -> int:
        """Keys that are followed just now."""
        return len(self._keys)

    def take(self, node: str, events: Sequence[tuple[str, bytes]], at: float) -> None:
        """Events of a primary in their order, all of this moment."""
        self.until(at)
        missed, written = self.missed, self.written
        for what, key in events:
            if what == "keymiss":
                missed(key, at, node)
            elif what in GONE:
                self.gone(GONE[what], key, at)
            else:
                written(what, key, at)

    def missed(self, key: bytes, at: float, node: str = "") -> None:
        """A key was asked for that is not there."""
        name = key if len(key) <= LONG_NAME else cut(key)
        record = self._keys.get(name)
        if record is None or record.filled >= 0:
            record = self._followed(name, key, at, node, record)
        else:
            self._keys.move_to_end(name)
            if at - record.last > max(QUIET_SECONDS, record.within):
                record.begin_anew(at)
        peak = record.peak
        record.missed(at)
        self._counted.add(name)
        dropped = self._namespaces.add(record.namespace)
        if dropped is not None:
            self._of_namespace.pop(dropped, None)
        if peak < self._threshold <= record.peak and record.cause:
            self._look_at(record, at + SOON_SECONDS)

    def gone(self, cause: Cause, key: bytes, at: float) -> None:
        """A key was removed."""
        name = key if len(key) <= LONG_NAME else cut(key)
        record = self._keys.get(name)
        if record is not None:
            record.removed = record.filled >= 0
        gone = self._gone
        gone[name] = cause
        gone.move_to_end(name)
        if len(gone) > self._most_keys:
            gone.popitem(last=False)
        if cause == "deleted":
            self._locks.removed(key, at)

    def written(self, what: str, key: bytes, at: float) -> None:
        """A key was written; `what`: the event's name."""
        name = key if len(key) <= LONG_NAME else cut(key)
        self._gone.pop(name, None)
        record = self._keys.get(name)
        if record is None:
            self._locks.written(key, at)
        elif record.filled < 0:
            self._locks.written(key, at)
            self._filled(record, what, at)
        elif what == NEW or (what in WHOLE and not record.fresh) or (record.removed and what not in WHOLE):
            record.refills += 1
            record.fresh, record.removed = what == NEW, False
        else:
            record.fresh = False

    def until(self, now: float) -> None:
        """Nothing else has happened before `now`: episodes that are over by then are judged."""
        while self._due and self._due[0][0] <= now:
            _, _, began, record = heapq.heappop(self._due)
            if record.closed or record.began != began:
                continue
            if record.filled >= 0:
                self._close(record)
            elif not self._lock_of(record):
                self._tell(record, "")
                if now - record.last <= max(QUIET_SECONDS, record.within):
                    self._look_at(record, now + SOON_SECONDS)

    def lost(self, now: float, node: str) -> None:
        """From now on nothing is known of a primary: what its keys were at is not known any more."""
        self.until(now)
        for record in [one for one in self._keys.values() if one.node == node]:
            record.closed = True
            del self._keys[record.name]
        self._gone.clear()

    def told(self, now: float, begun: float = 0.0, listed: int = LISTED) -> Stampedes:
        """What was found by now; `begun`: the moment from which episodes count their time."""
        self.until(now)
        return Stampedes(
            self.misses,
            tuple(self._alerts_told(begun)),
            tuple(
                MissedKey(shown(one.name), self._namespace_text(one.name), one.count, one.error)
                for one in self._counted.top(listed)
            ),
            tuple(self._namespaces_told(listed)),
            tuple(self._absent(now, listed)),
            self._times.number,
            self._times.quantile(0.5),
            self._times.quantile(0.99),
            self.held,
            self.alerts_dropped,
            self.given_up,
        )

    def _followed(self, name: KeyName, key: bytes, at: float, node: str, before: Followed | None) -> Followed:
        """A new record; `before`: that of an episode which is over, as the key was filled and is gone again."""
        if before is not None:
            self._close(before)
        namespace = self._namespace_of(key)
        times = self._of_namespace.get(namespace)
        within = max(times.slow() if times else 0.0, SOON_SECONDS)
        record = Followed(name, namespace, node, at, self._gone.pop(name, ""), within)
        self._keys[name] = record
        if len(self._keys) > self._most_keys:
            _, oldest = self._keys.popitem(last=False)
            if oldest.filled >= 0:
                self._close(oldest)
            elif oldest.misses > 1 and at - oldest.last < QUIET_SECONDS:
                self.given_up += 1
            oldest.closed = True
        return record

    def _filled(self, record: Followed, what: str, at: float) -> None:
        took = at - record.began
        record.filled, record.refills, record.fresh = at, 1, what == NEW
        self._times.add(took)
        found = self._of_namespace.get(record.namespace)
        if found is None and record.namespace in self._namespaces:
            found = self._of_namespace[record.namespace] = RefillTimes()
        if found is not None:
            found.add(took)
        self._look_at(record, at + min(max(2 * took, LEAST_GRACE), MOST_GRACE))

    def _look_at(self, record: Followed, when: float) -> None:
        self._pushed += 1
        if len(self._due) >= 4 * self._most_keys:
            self._due = [one for one in self._due if not one[3].closed]
            heapq.heapify(self._due)
        heapq.heappush(self._due, (when, self._pushed, record.began, record))

    def _close(self, record: Followed) -> None:
        """Judge an episode that has ended with a refill, and follow its key no more."""
        record.closed = True
        if self._keys.get(record.name) is record:
            del self._keys[record.name]
        if not record.told and record.peak < self._threshold:
            return
        lock = self._lock_of(record)
        if lock and not record.told and record.refills - 1 < REDUNDANT:
            self.held += 1
        else:
            self._tell(record, lock)

    def _lock_of(self, record: Followed) -> str:
        if not isinstance(record.name, bytes):
            return ""
        # It may have been taken in an episode before, of the same load that takes long.
        found = self._locks.of(record.name, max(record.first, record.began - SHORT_SECONDS))
        return printable(found) if found is not None else ""

    def _tell(self, record: Followed, lock: str) -> None:
        again, record.told = record.told, True
        one = record.episode(lock)
        known = self._alerts.get(record.name)
        if known is None:
            if not self._room(one.misses):
                self.alerts_dropped += 1
                return
            alert = Alert(shown(record.name), printable(record.namespace), 1, one.misses, one, one)
        elif again:
            # It was told while it went on: what it has come to takes the place of what it was.
            was = known.latest
            worst = one if known.worst == was or one.misses > known.worst.misses else known.worst
            alert = replace(known, misses=known.misses + one.misses - was.misses, latest=one, worst=worst)
        else:
            worst = one if one.misses > known.worst.misses else known.worst
            alert = replace(
                known, episodes=known.episodes + 1, misses=known.misses + one.misses, latest=one, worst=worst
            )
        self._alerts[record.name] = alert

    def _room(self, misses: int) -> bool:
        """Whether there is room for an alert of so many misses; made by giving up a smaller one."""
        if len(self._alerts) < MOST_ALERTS:
            return True
        least = min(self._alerts, key=lambda name: self._alerts[name].misses)
        if self._alerts[least].misses >= misses:
            return False
        del self._alerts[least]
        self.alerts_dropped += 1
        return True

    def _alerts_told(self, begun: float) -> Iterator[Alert]:
        """The latest first."""
        found = sorted(self._alerts.values(), key=lambda one: one.latest.at, reverse=True)
        for one in found:
            at = one.latest.at
            together = sum(
                other.namespace == one.namespace and abs(other.latest.at - at) <= TOGETHER_SECONDS for other in found
            )
            yield replace(
                one,
                latest=replace(one.latest, at=at - begun),
                worst=replace(one.worst, at=one.worst.at - begun),
                together=together,
            )

    def _namespaces_told(self, listed: int) -> Iterator[MissedNamespace]:
        for one in self._namespaces.top(listed):
            times = self._of_namespace.get(one.name) or RefillTimes()
            yield MissedNamespace(
                printable(one.name), one.count, one.error, times.number, times.quantile(0.5), times.quantile(0.99)
            )

    def _absent(self, now: float, listed: int) -> list[AbsentKey]:
        never = (
            one
            for one in self._keys.values()
            if one.filled < 0 and one.unfilled >= LEAST_ABSENT and now - one.first >= ABSENT_SECONDS
        )
        chosen = heapq.nlargest(listed, never, key=lambda one: one.unfilled)
        return [
            AbsentKey(shown(one.name), printable(one.namespace), one.unfilled, one.last - one.first, one.cause)
            for one in chosen
        ]

    def _namespace_text(self, name: KeyName) -> str:
        return printable(self._namespace_of(name if isinstance(name, bytes) else name.beginning))
