"""What goes on with a cache's settings, for the banner on each of its screens: from the store only."""

from __future__ import annotations

import time

from dashboard.store import trials, workers
from dashboard.store.errors import StoreError
from dashboard.views.deck import deck
from dashboard.views.eviction.setting_words import Banner, banner


def banners(cache: str) -> list[Banner]:
    """The cache's open trial, and its measurement with notifications; [] where the store does not answer."""
    try:
        found = trials.open_on(deck().store, [cache])
        alive = workers.alive(deck().store) if found else 0
    except StoreError:
        return []  # the page itself says what is wrong with the database
    return [banner(one, time.time(), alive) for one in found]
