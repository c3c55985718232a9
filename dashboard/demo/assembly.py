"""Puts the shop together: database, cache, the four patterns, and what keeps them true to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from dashboard.demo.caching.copies import Copies
from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.invalidations import Invalidations
from dashboard.demo.caching.queue import Queue
from dashboard.demo.caching.reading import Prevention, Reader
from dashboard.demo.caching.remote import Remote
from dashboard.demo.caching.ttl import JITTER, Lifetimes
from dashboard.demo.counters import Counters
from dashboard.demo.flusher import Flusher
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.knobs import Knobs
from dashboard.demo.parts import Parts
from dashboard.demo.patterns import Pattern
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.patterns.read_through import ReadThrough
from dashboard.demo.patterns.write_behind import WriteBehind
from dashboard.demo.patterns.write_through import WriteThrough
from dashboard.demo.prevention.mutex import Mutex
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.prevention.revalidate import Revalidate
from dashboard.demo.prevention.xfetch import XFetch
from dashboard.demo.relay import Relay
from dashboard.demo.sources import Sources
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.making import Size
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop
from dashboard.demo.switchboard import Switchboard
from dashboard.demo.visits import Visits


@dataclass(frozen=True)
class Plan:
    """What a shop is to be. database: sqlite:///path or postgresql://..., as text or as SQLAlchemy's URL; cache: redis://,
    rediss:// or unix://; prefix: in front of all its keys; size: counts only where the database is made."""

    database: str | sa.URL = field(repr=False)
    cache: str = field(repr=False)
    prefix: str = ""
    knobs: Knobs = field(default_factory=Knobs)
    size: Size | None = None


def assemble(plan: Plan) -> Parts:
    """Everything, connected to nothing but the database, with no thread begun.

    Raises BadCacheUrl, BadDatabase, and OSError or SQLAlchemyError where the database cannot be used.
    """
    counters = Counters()
    keys, remote, lifetimes, copies = (
        Keyspace(plan.prefix),
        Remote(plan.cache, counters=counters),
        Lifetimes(),
        Copies(),
    )
    database = Database(plan.database, size=plan.size, counted=lambda: counters.count("queries"))
    shop, rows, entries = Shop(database), Rows(database), Entries(remote, keys)
    sources = Sources(keys, shop, lifetimes)
    revalidate = Revalidate()
    preventions: Mapping[str, Prevention] = {
        "none": Unprevented(),
        "mutex": Mutex(),
        "xfetch": XFetch(),
        "revalidate": revalidate,
    }
    reader = Reader(entries, counters, preventions[plan.knobs.prevention])
    flusher = Flusher(remote, keys, rows, counters)
    invalidations = Invalidations(plan.cache, remote, copies, counters)
    patterns: Mapping[str, Pattern] = {
        "cache-aside": CacheAside(reader, entries, rows),
        "read-through": ReadThrough(reader, entries, rows, sources.of),
        "write-through": WriteThrough(reader, entries, rows),
        "write-behind": WriteBehind(reader, entries, remote, keys, rows, counters),
    }

    def apply(knobs: Knobs) -> None:
        database.latency = knobs.latency_ms / 1000
        lifetimes.jitter = JITTER if knobs.jitter else 0.0
        lifetimes.scale = knobs.ttl_scale
        reader.prevention = preventions[knobs.prevention]

    board = Switchboard(plan.knobs, patterns, apply, flusher.drain)

    def outdate(changes: Sequence[tuple[str, int | None]]) -> int:
        return entries.outdate(changes) if board.knobs.events else 0

    def tell(changed: Sequence[str]) -> bool:
        return not board.knobs.events or invalidations.tell(changed)

    return Parts(
        keys=keys,
        database=database,
        shop=shop,
        rows=rows,
        remote=remote,
        sources=sources,
        visits=Visits(remote, keys, lifetimes),
        board=board,
        counters=counters,
        copies=copies,
        invalidations=invalidations,
        relay=Relay(database, keys, outdate, tell, lambda done: counters.count("relayed", done)),
        queue=Queue(remote, keys),
        flusher=flusher,
        revalidate=revalidate,
    )
