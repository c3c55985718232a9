"""The keys of a list, by the primary that serves them: what a walk over named keys goes through instead of SCAN."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.cache.servers.connect import Cache, Node


class Listing:
    """Keys of a cache, grouped anew when a primary has failed. A walk's cursor is a place in one group."""

    def __init__(self, cache: Cache, keys: Sequence[bytes]) -> None:
        self._cache = cache
        self._keys = keys
        self._groups: dict[str, list[bytes]] | None = None

    def of(self, node: Node) -> Sequence[bytes]:
        """The keys that this primary serves, in the order of the list. Raises CacheError; no round trip."""
        if self._groups is None:
            self._groups = {name: keys for name, (_, keys) in self._cache.group(self._keys).items()}
        return self._groups.get(node.name, ())

    def regroup(self) -> None:
        """Look again who serves what, when it is next asked for."""
        self._groups = None

    def slice(self, node: Node, cursor: int, count: int) -> tuple[int, Sequence[bytes]]:
        """About `count` keys from a cursor on, and the next cursor: 0 at the end, as SCAN's."""
        keys = self.of(node)
        following = cursor + count
        return (following if following < len(keys) else 0), keys[cursor:following]
