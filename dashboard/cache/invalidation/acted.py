"""What one call of an invalidation did with its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dashboard.cache.errors import CacheError

PARTS = 60  # of a window, in which it is counted how many keys expire


@dataclass
class Acted:
    """What one call did with its keys. done: removed or lowered. gone: or no longer selected.

    changed: have other values than were kept. refused: by the server. left: were not touched (gone or unchanged).
    error: what ended it before its last key. undone: keys that this has hindered among the ones that were handled.
    expiry: keys by part of the window. held: seconds of the server, where told. handled: how many keys it was about.
    elsewhere: keys that this server does not serve just now.
    """

    handled: int
    done: int = 0
    unchanged: int = 0
    gone: int = 0
    changed: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    left: list[bytes] = field(default_factory=list)
    elsewhere: list[bytes] = field(default_factory=list)
    undone: list[bytes] = field(default_factory=list)
    refusal: str = ""
    error: CacheError | None = None
    expiry: Mapping[int, int] = field(default_factory=dict)
    held: float | None = None

    @property
    def untouched(self) -> set[bytes]:
        return {*self.changed, *self.refused, *self.left, *self.elsewhere, *self.undone}
