"""What the views of the shop work with."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from dashboard.demo.caching.copies import Copies
from dashboard.demo.caching.invalidations import Invalidations
from dashboard.demo.caching.queue import Queue
from dashboard.demo.caching.remote import Remote
from dashboard.demo.counters import Counters
from dashboard.demo.flusher import Flusher
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.prevention.revalidate import Revalidate
from dashboard.demo.relay import Relay
from dashboard.demo.sources import Sources
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop
from dashboard.demo.switchboard import Switchboard
from dashboard.demo.visits import Visits

EXTENSION = "demo-shop"


@dataclass(frozen=True)
class Parts:
    """Of one application. `start` begins its threads, `close` ends them and releases its connections."""

    keys: Keyspace
    database: Database
    shop: Shop
    rows: Rows
    remote: Remote
    sources: Sources
    visits: Visits
    board: Switchboard
    counters: Counters
    copies: Copies
    invalidations: Invalidations
    relay: Relay
    queue: Queue
    flusher: Flusher
    revalidate: Revalidate

    def start(self) -> None:
        self.invalidations.start()
        self.relay.start()
        self.flusher.start()

    def close(self) -> None:
        self.flusher.close()
        self.relay.close()
        self.invalidations.close()
        self.revalidate.close()
        self.database.close()
        self.remote.close()


def parts() -> Parts:
    """Those of the current application."""
    found: Parts = current_app.extensions[EXTENSION]
    return found
