"""When keys expire, in slots of time counted from one moment: fine for what is near, coarse for what is far. Pure.

    slot 0 to 3599      one second each, the next hour
    slot 3600 to 4979   one minute each, up to a day
    slot 4980 to 5675   one hour each, up to 30 days
    slot 5676           later

analysis.lua does the same sums on the server; a test compares the two.
"""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
SECONDS_END, MINUTES_END, HOURS_END = HOUR, DAY, 30 * DAY
FIRST_MINUTE = SECONDS_END
FIRST_HOUR = FIRST_MINUTE + (MINUTES_END - SECONDS_END) // MINUTE
LATER = FIRST_HOUR + (HOURS_END - MINUTES_END) // HOUR
COUNT = LATER + 1

# Upper ends, in seconds, of the buckets in which TTLs are shown; the last bucket has none. Each is a slot's edge.
TTL_BOUNDS = (1, 10, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY)
TTL_LABELS = (
    "under 1 s",
    "1 to 10 s",
    "10 s to 1 min",
    "1 to 5 min",
    "5 to 15 min",
    "15 min to 1 h",
    "1 to 6 h",
    "6 h to 1 day",
    "1 to 7 days",
    "7 to 30 days",
    "over 30 days",
)


def slot_of(milliseconds: float) -> int:
    """The slot of an instant so many milliseconds after the beginning; what is past counts as the first."""
    seconds = max(int(milliseconds // 1000), 0)
    if seconds < SECONDS_END:
        return seconds
    if seconds < MINUTES_END:
        return FIRST_MINUTE + (seconds - SECONDS_END) // MINUTE
    if seconds < HOURS_END:
        return FIRST_HOUR + (seconds - MINUTES_END) // HOUR
    return LATER


def start_of(slot: int) -> int:
    """Seconds from the beginning to the start of a slot; of COUNT, to where the last but one ends."""
    if slot <= FIRST_MINUTE:
        return slot
    if slot <= FIRST_HOUR:
        return SECONDS_END + (slot - FIRST_MINUTE) * MINUTE
    return MINUTES_END + (min(slot, LATER) - FIRST_HOUR) * HOUR


def bucket_of(slot: int) -> int:
    """Which of TTL_LABELS a slot belongs to."""
    start = start_of(slot)
    return next((index for index, bound in enumerate(TTL_BOUNDS) if start < bound), len(TTL_BOUNDS))


BUCKETS = tuple(bucket_of(slot) for slot in range(COUNT))
"""bucket_of() of each slot."""
