"""How every pattern reads: look into the cache, else load from the database and, if it is our turn, fill.

Whose turn it is entries.py decides, by the lease. What the others do meanwhile is a matter of stampede prevention
(prevention/), which is exchanged at run time. Whatever the cache does, the database answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from dashboard.demo.caching.entries import Entries, Look, Pending, new_token
from dashboard.demo.caching.remote import CacheTrouble
from dashboard.demo.caching.ttl import ABSENT_SECONDS
from dashboard.demo.counters import Counters
from dashboard.demo.encoding import Document
from dashboard.demo.patterns import Answer, Load, Source

Share = Callable[[str, Load], Document | None]

_COUNTED_AS: dict[Source, str] = {"hit": "hits", "miss": "misses", "stale": "stale", "bypass": "bypasses"}


@dataclass(frozen=True)
class Wanted:
    """What a reader asks for; `pending`: with the change that the database has yet to get; `share` calls the load, or
    somebody else's of the same key that begins no earlier."""

    key: str
    load: Load
    ttl: float
    pending: bool
    share: Share


class Prevention(Protocol):
    """One way of reading, which says who loads what is not there, and when."""

    def read(self, read: Read) -> Answer:
        """Answer one reader. May raise CacheTrouble before anything was loaded."""
        ...

    def life(self, ttl: float) -> float:
        """Seconds for which an entry lies in the cache that is meant to be fresh for `ttl` seconds."""
        ...


class Read:
    """One read of one document, in the steps that preventions are made of."""

    def __init__(self, entries: Entries, counters: Counters, wanted: Wanted, prevention: Prevention) -> None:
        self._entries = entries
        self._counters = counters
        self._wanted = wanted
        self._prevention = prevention
        self._token = new_token()

    def count(self, name: str) -> None:
        self._counters.count(name)

    def ttl_of(self, document: Document | None) -> float:
        """Seconds for which a document is fresh: an absent one briefly."""
        return ttl_of(document, self._wanted.ttl)

    def look(self, *, remaining: bool = False) -> Look:
        """What lies in the cache, with what remains of its life where that is asked for; if nothing does and nobody
        else fills it, it is our turn (`leased`). Raises CacheTrouble."""
        look = self._entries.look(self._wanted.key, self._token, pending=self._wanted.pending, remaining=remaining)
        if look.foreign:
            self.count("foreign")
        return look

    def take(self, seen: Look) -> Look | None:
        """Make it our turn to refresh an entry that was `seen`; None where it is somebody else's, or was refreshed
        since, or the cache refuses: what was seen is still good."""
        with suppress(CacheTrouble):
            look = self._entries.take(self._wanted.key, self._token, pending=self._wanted.pending)
            if look.leased and look.remaining <= seen.remaining:
                return look
            if look.leased:
                self._entries.release(self._wanted.key, self._token)
        return None

    def hit(self, look: Look, source: Source = "hit") -> Answer:
        """What was found, as an answer."""
        return Answer(overlaid(look.document, look.pending), source)

    def load(self, look: Look) -> Answer:
        """Read the database, and fill if it is our turn. Raises what the load raises."""
        started = time.perf_counter()
        document = overlaid(self._loaded(look), look.pending)
        took = time.perf_counter() - started
        if look.leased and not self._filled(document, took):
            return Answer(document, "bypass")
        return Answer(document, "miss")

    def bypass(self) -> Answer:
        """Read the database, past the cache."""
        return Answer(self._wanted.share(self._wanted.key, self._counted("loads")), "bypass")

    def _counted(self, *names: str) -> Load:
        """The load, counted where it is really made."""

        def load() -> Document | None:
            for name in names:
                self.count(name)
            return self._wanted.load()

        return load

    def _loaded(self, look: Look) -> Document | None:
        load = self._counted("loads") if look.leased else self._counted("loads", "duplicate_loads")
        try:
            return self._wanted.share(self._wanted.key, load)
        except BaseException:
            # Others may wait for us; but not where an entry is there: till the lease ends, the database has its rest.
            if look.leased and not look.found:
                with suppress(CacheTrouble):
                    self._entries.release(self._wanted.key, self._token)
            raise

    def _filled(self, document: Document | None, took: float) -> bool:
        """False where the cache is away or refuses to keep it; one that may be out of date is not kept, and that
        is as it should be."""
        life = self._prevention.life(self.ttl_of(document))
        try:
            if not self._entries.fill(self._wanted.key, self._token, document, life, took):
                self.count("refused_fills")
        except CacheTrouble:
            return False
        return True


class Reader:
    """Reads for all patterns. `prevention` may be exchanged at any time, also while others read."""

    def __init__(self, entries: Entries, counters: Counters, prevention: Prevention) -> None:
        self._entries = entries
        self._counters = counters
        self.prevention = prevention

    def get(
        self,
        key: str,
        load: Load,
        ttl: float,
        *,
        pending: bool = False,
        share: Share = lambda _key, load: load(),
        outdated: bool = False,
    ) -> Answer:
        """The document under `key`, `load`ed where the cache has none, fresh for `ttl` seconds. With `pending`
        the change that the database has yet to get is laid over it. `outdated`: what lies there is known to be older
        than the row, and is not looked at. Raises only what `load` raises."""
        prevention = self.prevention
        read = Read(self._entries, self._counters, Wanted(key, load, ttl, pending, share), prevention)
        try:
            answer = read.bypass() if outdated else prevention.read(read)
        except CacheTrouble:
            answer = read.bypass()
        self._counters.count(_COUNTED_AS[answer.source])
        return answer

    def life(self, document: Document | None, ttl: float) -> float:
        """Seconds for which a document lies in the cache that whoever writes puts there."""
        return self.prevention.life(ttl_of(document, ttl))


def ttl_of(document: Document | None, ttl: float) -> float:
    return min(ttl, ABSENT_SECONDS) if document is None else ttl


def overlaid(document: Document | None, pending: Pending | None) -> Document | None:
    """A row as it will be once the database has got the pending change; as it is where that is there already."""
    if document is None or pending is None or document.get("version", 0) >= pending.version:
        return document
    return {**document, **pending.values, "version": pending.version}
