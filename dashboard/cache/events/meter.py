"""Meter: how much comes, by the second and by channel. Pure; not thread-safe."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from dashboard.cache.events.heavy_hitters import Heavy, Hitter

SECONDS = 60
"""That are remembered one by one."""
CHANNELS = 200
"""Counters of channels: one that carries more than 1/200 of all messages is not overlooked."""
LONGEST = 256
"""Bytes of a channel's name that are told apart here."""


class Meter:
    """total, bytes: since it began at `begun` (seconds, of any clock, which is the caller's)."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.total = 0
        self.bytes = 0
        self._second = 0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=SECONDS)  # of each full second: (messages, bytes)
        self._at_second = (0, 0)
        self._channels: Heavy[bytes] = Heavy(CHANNELS)

    def add(self, channels: Iterable[bytes], messages: int, size: int) -> None:
        """Messages, by their channels (b"" is none, and not counted), and the bytes that they took on the network."""
        self.total += messages
        self.bytes += size
        for name, times in Counter(channels).items():
            if name:
                self._channels.add(name[:LONGEST], times)

    def tick(self, now: float) -> bool:
        """Close the seconds that have passed; whether one has."""
        passed = int(now - self.begun) - self._second
        if passed <= 0:
            return False
        before_messages, before_bytes = self._at_second
        # A late tick has several seconds in it: what came in them is spread evenly, all of it counted.
        messages, size = self.total - before_messages, self.bytes - before_bytes
        for number in range(min(passed, SECONDS)):
            left = min(passed, SECONDS) - number
            share = (messages // left, size // left)
            self._seconds.append(share)
            messages, size = messages - share[0], size - share[1]
        self._second += passed
        self._at_second = (self.total, self.bytes)
        return True

    @property
    def rate(self) -> int:
        """Messages in the last full second."""
        return self._seconds[-1][0] if self._seconds else 0

    @property
    def byte_rate(self) -> int:
        """Bytes in the last full second."""
        return self._seconds[-1][1] if self._seconds else 0

    @property
    def seconds(self) -> tuple[int, ...]:
        """Messages of each of the last full seconds, the oldest first; at most SECONDS."""
        return tuple(one for one, _ in self._seconds)

    def busiest(self, most: int) -> tuple[Hitter[bytes], ...]:
        return tuple(self._channels.top(most))
