"""How long memory lasts at its present growth. Pure."""

from __future__ import annotations

from dashboard.cache.statistics.picture import Span

# Growth below this share of the limit in the window is noise: buffers, rehashing tables.
NOTICEABLE = 0.005
# Of fewer seconds nothing is concluded.
ENOUGH_SECONDS = 30.0


def seconds_until(one: Span, limit: float) -> float | None:
    """Until a primary uses `limit` bytes, at the growth of the last minutes; None where it does not grow noticeably.

    0 where it uses them already. By what the server counts against maxmemory (Reading.counted_memory).
    """
    if one.recent is None or one.recent.restarted or not limit or one.recent.seconds < ENOUGH_SECONDS:
        return None
    gained = one.recent.gained.get("used_memory", 0.0)
    if gained <= limit * NOTICEABLE:
        return None
    return max(limit - one.latest.counted_memory, 0.0) * one.recent.seconds / gained
