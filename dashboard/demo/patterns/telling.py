"""What patterns have in common: telling the cache that rows have changed, which may fail and then is no error.

Where the cache cannot be told, its old entry is served by whoever can still reach it, until the relay (relay.py), which
has the change from the database, tells of it, or the TTL ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.patterns import Change, Changed, Rows


def changed_and_forgotten(rows: Rows, entries: Entries, change: Change) -> Changed:
    """Change the row, then have its entry forgotten."""
    version = rows.change(change.kind, change.row, change.values)
    if version is None:
        return Changed(None)
    return Changed(version, told=forgotten(entries, [change.key]))


def forgotten(entries: Entries, keys: Sequence[str]) -> bool:
    """Have entries forgotten, whatever they are. False where the cache could not be told."""
    try:
        entries.forget(keys)
    except CacheTrouble:
        return False
    return True


def outdated(entries: Entries, key: str, version: int) -> bool:
    """Have an entry forgotten unless it is of this version or a newer one. False where the cache could not be told."""
    try:
        entries.outdate([(key, version)])
    except CacheTrouble:
        return False
    return True
