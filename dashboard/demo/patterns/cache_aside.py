"""Cache-aside: the application looks into the cache, falls back to the database and fills the cache itself.

A writer changes the row first and then removes the keys. Between a reader's load and its SET a writer may do both,
and the reader then puts the old row back; it stays until its TTL ends. The same holds for an invalidation that the
cache could not be told of. Staleness is therefore bounded by the TTL, not excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from dashboard.demo.encoding import Document, Undecodable, decode, encode
from dashboard.demo.patterns import Answer
from dashboard.demo.remote import CacheTrouble, Refused, Remote, Unavailable
from dashboard.demo.ttl import ABSENT_SECONDS


class CacheAside:
    """The pattern over one cache. Two round trips for a miss, one for a hit and for an invalidation."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def get(self, key: str, load: Callable[[], Document | None], ttl: float) -> Answer:
        try:
            stored = self._remote.ask(lambda client: client.get(key))
        except Unavailable:
            return Answer(load(), "bypass")
        except Refused:
            stored = None  # a foreign type under the key, which SET replaces, or SET is refused as well
        if isinstance(stored, bytes):
            with suppress(Undecodable):
                return Answer(decode(stored), "hit")
        document = load()
        kept = self._keep(key, document, ABSENT_SECONDS if document is None else ttl)
        return Answer(document, "miss" if kept else "bypass")

    def forget(self, keys: Sequence[str]) -> bool:
        try:
            self._remote.ask(lambda client: client.unlink(*keys))
        except CacheTrouble:
            return False
        return True

    def _keep(self, key: str, document: Document | None, seconds: float) -> bool:
        try:
            self._remote.ask(lambda client: client.set(key, encode(document), px=round(seconds * 1000)))
        except CacheTrouble:
            return False
        return True
