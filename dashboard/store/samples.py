"""Figures of the managed servers over time: INFO's numbers, every 2 s by default, thinned out as they grow old.

    as sampled (every 2 s by default)   kept 1 h     1,800 rows a node
    the last of each minute             kept 24 h    1,440
    the last of each 15 min             kept 30 d    2,880

What each function does stands at Thinned's methods (thinned.py).
"""

from __future__ import annotations

from dashboard.store.schema import SampleRow
from dashboard.store.thinned import RAW, Kept, Taken, Thinned

__all__ = ["KEPT_SECONDS", "MINUTE", "QUARTER", "RAW", "Sample", "compact", "latest", "load", "save"]

MINUTE, QUARTER = 60, 900
KEPT_SECONDS: Kept = {RAW: 3600.0, MINUTE: 86400.0, QUARTER: 30 * 86400.0}

Sample = Taken[float]

_table: Thinned[float] = Thinned(SampleRow, KEPT_SECONDS)

save, load, latest, compact = _table.save, _table.load, _table.latest, _table.compact
