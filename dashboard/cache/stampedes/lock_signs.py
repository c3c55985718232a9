"""Signs of a lock: keys that were written and have the name of another key within theirs. Pure.

Who lets one reader refill a key and keeps the others waiting mostly does so by a key of its own: `lock:api:product:17`,
`api:product:17:mutex`, `api:lock:product:17`. Told from others that only belong to the same thing
(`api:product:17:reviews`) by a word for a lock in its name, or by being written and removed within seconds. A lock
whose name is a digest, or that is kept elsewhere, cannot be seen.
"""

from __future__ import annotations

import re
from collections import OrderedDict

LONGEST_LOOKED_AT = 512  # bytes of a name
SHORT_SECONDS = 30.0
"""A key that was removed so soon after it was written may have been a lock."""
MOST_WRITTEN = 10_000
MOST_SIGNS = 20_000

_WORD = re.compile(
    rb"(?i:(?<![a-z])(?:lock|mutex|semaphore|lease|guard|(?:single|in)?[-_]?flight|loading|refreshing|computing"
    rb"|(?:re)?building|regenerating|dogpile|leader)(?:s|ed|ing)?(?![a-z]))"
    rb"|(?<=[a-z])(?:Lock|Mutex)(?![a-z])"
)
_APART = re.compile(rb"[^A-Za-z0-9\x80-\xff]+")

Parts = tuple[bytes, ...]


class LockSigns:
    """Remembers the last keys that look like locks. Times are seconds of one clock, and never go back."""

    def __init__(self, most_written: int = MOST_WRITTEN, most_signs: int = MOST_SIGNS) -> None:
        self._most_written, self._most_signs = most_written, most_signs
        self._written: OrderedDict[bytes, float] = OrderedDict()
        self._signs: OrderedDict[Parts, tuple[float, bytes]] = OrderedDict()

    def written(self, key: bytes, at: float) -> None:
        if len(key) > LONGEST_LOOKED_AT:
            return
        if _WORD.search(key):
            self._note(_parts(_WORD.sub(b" ", key)), key, at, whole=True)
            return
        written = self._written
        written[key] = at
        written.move_to_end(key)
        if len(written) > self._most_written:
            written.popitem(last=False)

    def removed(self, key: bytes, at: float) -> None:
        since = self._written.pop(key, None)
        if since is not None and at - since <= SHORT_SECONDS:
            self._note(_parts(key), key, since, whole=False)

    def of(self, key: bytes, since: float) -> bytes | None:
        """The name of a lock of this key that was taken at `since` or later; None where no sign of one was seen."""
        found = self._signs.get(_parts(key[:LONGEST_LOOKED_AT]))
        return found[1] if found is not None and found[0] >= since and found[1] != key else None

    def _note(self, parts: Parts, key: bytes, at: float, *, whole: bool) -> None:
        """For every name that this one begins or ends with."""
        size = len(parts)
        names = {parts[begin:] for begin in range(size)} | {parts[:end] for end in range(1, size + 1)}
        if not whole:
            names.discard(parts)
        signs = self._signs
        for name in names:
            signs[name] = (at, key)
            signs.move_to_end(name)
        while len(signs) > self._most_signs:
            signs.popitem(last=False)


def _parts(key: bytes) -> Parts:
    return tuple(part for part in _APART.split(key) if part)
