"""What the views of the shop work with."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from dashboard.demo.copies import Copies
from dashboard.demo.database import Database
from dashboard.demo.invalidations import Invalidations
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Pattern
from dashboard.demo.remote import Remote
from dashboard.demo.rows import Rows
from dashboard.demo.shop import Shop
from dashboard.demo.ttl import Lifetimes
from dashboard.demo.visits import Visits

EXTENSION = "demo-shop"


@dataclass(frozen=True)
class Parts:
    """Of one application; `close` releases its connections to the database and the cache."""

    keys: Keyspace
    database: Database
    rows: Rows
    shop: Shop
    remote: Remote
    pattern: Pattern
    visits: Visits
    lifetimes: Lifetimes
    copies: Copies
    invalidations: Invalidations

    def close(self) -> None:
        self.invalidations.close()
        self.database.close()
        self.remote.close()


def parts() -> Parts:
    """Those of the current application."""
    found: Parts = current_app.extensions[EXTENSION]
    return found
