"""Asks the database about acknowledged changes: which of them it has, and which are lost."""

from __future__ import annotations

from dashboard.demo.bench.shops import Shops
from dashboard.demo.truth import Truth

ROWS = 500


def settle(truth: Truth, shops: Shops, drain_seconds: float) -> bool:
    """Settle up to ROWS rows, after the queue was given so long to be written. Whether nothing is left to settle.

    While changes wait in the queue only those are settled that the database has. Raises ShopTrouble.
    """
    asked = truth.unsettled(ROWS + 1)
    more = len(asked) > ROWS
    asked = dict(list(asked.items())[:ROWS])
    if not asked:
        return True
    found, left = shops.versions(list(asked), drain_seconds)
    judged = {row: versions for row, versions in asked.items() if not left or max(versions) <= found.get(row, 0)}
    truth.settle(judged, found)
    return not left and not more
