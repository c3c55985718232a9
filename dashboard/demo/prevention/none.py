"""No prevention: everybody who finds nothing loads.

Only the fill of whoever has the lease counts, as everywhere, so that no slow reader brings an old document back.
"""

from __future__ import annotations

from dashboard.demo.caching.reading import Read
from dashboard.demo.patterns import Answer


class Unprevented:
    """The stampede, to compare with."""

    def read(self, read: Read) -> Answer:
        look = read.look()
        return read.hit(look) if look.found else read.load(look)

    def life(self, ttl: float) -> float:
        return ttl
