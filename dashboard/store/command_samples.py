"""What commands had cost on the managed servers over time: every 15 s, thinned out as they grow old.

    as sampled               kept 1 h     240 rows a node
    the last of each 5 min   kept 24 h    288
    the last of each hour    kept 30 d    720

A row is a few kilobytes, some times one of samples.py, and fewer of them are drawn: so they are thinned out further.
What each function does stands at Thinned's methods (thinned.py).
"""

from __future__ import annotations

from dashboard.store.schema import CommandSampleRow
from dashboard.store.thinned import RAW, Kept, Taken, Thinned

__all__ = [
    "FIVE_MINUTES",
    "HOUR",
    "KEPT_SECONDS",
    "RAW",
    "CommandSample",
    "Numbers",
    "compact",
    "latest",
    "load",
    "save",
]

FIVE_MINUTES, HOUR = 300, 3600
KEPT_SECONDS: Kept = {RAW: 3600.0, FIVE_MINUTES: 86400.0, HOUR: 30 * 86400.0}

Numbers = list[list[float] | str]
"""Of one command, in whatever groups the caller keeps them."""

CommandSample = Taken[Numbers]

_table: Thinned[Numbers] = Thinned(CommandSampleRow, KEPT_SECONDS)

save, load, latest, compact = _table.save, _table.load, _table.latest, _table.compact
