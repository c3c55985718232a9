"""What tests of schedules run in processes of their own."""

from __future__ import annotations

from dashboard.store import schedules
from dashboard.store.engine import open_store


def take_schedules(url: str, number: int) -> list[int]:
    """Take all that is due; which this process got."""
    store = open_store(url)
    won = [one.id for one in schedules.due(store, ["main"], 1001.0) if schedules.take(store, one, 1001.0, 2000.0)]
    store.close()
    return won
