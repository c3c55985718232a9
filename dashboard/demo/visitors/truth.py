"""The truth about stale reads and lost writes, as only the one who sent the changes can know it.

Every change of a row raises its version by at least 1 and is acknowledged with it. A read that began after an
acknowledgement and shows an older version is *stale*. A change that was acknowledged and whose version the database
never gets, or gets for another change, is *lost*.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

Row = tuple[str, int | str]  # kind and id, such as ("user", 42), ("price", "SKU-00017")
MOST_ROWS = 100_000  # what was acknowledged longest ago is forgotten first, and with it whether it was lost
MOST_CHANGES = 100  # of one row that the database has not been asked about
ASKABLE = ("user", "product", "price")  # the shop tells which version its database has of these


class Truth:
    """Acknowledged versions by row. Safe for threads; memory is bounded by MOST_ROWS and MOST_CHANGES."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._lock = threading.Lock()
        self._most_rows = most_rows
        self._newest: OrderedDict[Row, int] = OrderedDict()
        self._unsettled: OrderedDict[Row, list[int]] = OrderedDict()
        self._lost = 0

    @property
    def lost(self) -> int:
        """Changes that are known to be lost, so far."""
        return self._lost

    def newest(self, row: Row) -> int:
        """The newest acknowledged version of a row, 0 for one that was not changed. To be asked *before* a request."""
        with self._lock:
            return self._newest.get(row, 0)

    def acknowledged(self, row: Row, version: int, before: int) -> None:
        """Note that a change was acknowledged; `before` is what `newest` gave before it was sent."""
        with self._lock:
            changes = self._unsettled.setdefault(row, []) if row[0] in ASKABLE else []
            if version <= before or version in changes:
                # Made from a row that did not know changes acknowledged earlier: it takes their place.
                replaced = [one for one in changes if one >= version]
                self._lost += len(replaced) or 1
                changes[:] = [one for one in changes if one < version]
                self._newest[row] = version
            else:
                self._newest[row] = max(version, self._newest.get(row, 0))
            changes.append(version)
            del changes[:-MOST_CHANGES]
            self._newest.move_to_end(row)
            for kept in (self._newest, self._unsettled):
                if len(kept) > self._most_rows:
                    kept.popitem(last=False)

    def unsettled(self, most: int) -> dict[Row, tuple[int, ...]]:
        """Up to so many rows, the earliest first, with the acknowledged versions that the database may yet have to
        get."""
        with self._lock:
            rows = list(self._unsettled)[:most]
            return {row: tuple(self._unsettled[row]) for row in rows}

    def settle(self, asked: Mapping[Row, tuple[int, ...]], found: Mapping[Row, int]) -> int:
        """Judge changes given by `unsettled` by the versions `found` in the database since; how many of them are lost.
        A row that was not found has lost all of them.

        A row whose loss was counted is as the database has it from now on, so that its reads do not count as well.
        """
        lost = 0
        with self._lock:
            for row, versions in asked.items():
                if row not in self._unsettled:
                    continue
                stored = found.get(row, 0)
                # Somebody else may have settled some of them since they were asked about.
                missing = sum(one > stored for one in self._unsettled[row] if one in versions)
                lost += missing
                left = [one for one in self._unsettled[row] if one not in versions]
                if left:
                    self._unsettled[row] = left
                else:
                    del self._unsettled[row]
                if missing and self._newest.get(row, 0) <= max(versions):
                    self._newest[row] = stored
            self._lost += lost
        return lost
