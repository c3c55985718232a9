"""Asks the database about acknowledged changes: which of them it has, and which are lost."""

from __future__ import annotations

from typing import Literal

from dashboard.demo.bench.shops import Shops
from dashboard.demo.visitors.truth import Truth

ROWS = 500

Settled = Literal["all", "some", "waiting"]


def settle(truth: Truth, shops: Shops, drain_seconds: float) -> Settled:
    """Settle up to ROWS rows, after the queue was given so long to be written. Raises ShopTrouble.

    `some`: there are more rows. `waiting`: changes are still in the queue, so only those are settled that the database
    has, as the others may yet come.
    """
    asked = truth.unsettled(ROWS + 1)
    more = len(asked) > ROWS
    asked = dict(list(asked.items())[:ROWS])
    if not asked:
        return "all"
    found, left = shops.versions(list(asked), drain_seconds)
    judged = {row: versions for row, versions in asked.items() if not left or max(versions) <= found.get(row, 0)}
    truth.settle(judged, found)
    if left:
        return "waiting"
    return "some" if more else "all"
