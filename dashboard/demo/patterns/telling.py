"""What patterns have in common: telling the cache that rows have changed, which may fail and then is no error.

What the cache could not be told is remembered and told first when it answers again, before anything is read from it. So
a process never reads an entry that is older than its own changes; where the cache answers and refuses to forget it (a
primary that has become a replica, a right that was taken away), the process reads past it. For the others the relay
(relay.py) tells, which has every change from the database; it may take a second or two more.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.patterns import Change, Changed, Rows

MOST_UNTOLD = 10_000  # rows; of more, the oldest are left to the relay
AT_ONCE = 500  # rows


def changed_and_forgotten(rows: Rows, teller: Teller, change: Change) -> Changed:
    """Change the row, then have its entry forgotten."""
    version = rows.change(change.kind, change.row, change.values)
    if version is None:
        return Changed(None)
    return Changed(version, told=teller.forget([change.key]))


class Teller:
    """Tells one cache. Thread-safe; nothing is raised for trouble with the cache."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._untold: dict[str, int | None] = {}  # by key, the version below which it is out of date; None: any is
        self._noting = threading.Lock()

    def forget(self, keys: Sequence[str]) -> bool:
        """Have entries forgotten, whatever they are. False where the cache could not be told."""
        try:
            self._entries.forget(keys)
        except CacheTrouble:
            self._remember(dict.fromkeys(keys))
            return False
        return True

    def outdate(self, key: str, version: int) -> bool:
        """Have an entry forgotten unless it is of this version or a newer one. False where the cache could not be
        told."""
        self._remember({key: version})
        return self.catch_up()

    def catch_up(self) -> bool:
        """Tell what could not be told; False where it still cannot. Costs nothing where there is nothing to tell."""
        try:
            while some := self._some():
                self._entries.outdate(some)
                self._told(some)
        except CacheTrouble:
            return False
        return True

    def owes(self, key: str) -> bool:
        """Catch up; whether the cache has still to be told that what lies under `key` is out of date."""
        return not self.catch_up() and key in self._untold

    def _remember(self, changed: dict[str, int | None]) -> None:
        with self._noting:
            for key, version in changed.items():
                before = self._untold.pop(key, 0)
                self._untold[key] = None if before is None or version is None else max(before, version)
            for key in list(islice(self._untold, max(0, len(self._untold) - MOST_UNTOLD))):
                del self._untold[key]

    def _some(self) -> list[tuple[str, int | None]]:
        if not self._untold:
            return []
        with self._noting:
            return list(islice(self._untold.items(), AT_ONCE))

    def _told(self, some: Sequence[tuple[str, int | None]]) -> None:
        """These, unless they have changed again since."""
        with self._noting:
            for key, version in some:
                if self._untold.get(key, 0) == version:
                    del self._untold[key]
