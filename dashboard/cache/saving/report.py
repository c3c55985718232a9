"""What measuring a saving has found: the sample, and what each way to hold it takes. Pure, and plain for JSON."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.estimate import NOTHING, Estimate
from dashboard.cache.walking.progress import Progress

LEAST_SAMPLE = 20  # keys; fewer say nothing
FIELDS = 100  # of a hash: many enough that the hash itself costs little, few enough that it is quick
VALUE_LIMIT = 16 * 1024  # bytes; a larger value gains nothing from where it lies
NOTICEABLE = 0.05  # of the memory: less is not worth changing a program

DEFAULT_ENTRIES, DEFAULT_VALUE = 128, 64  # hash-max-listpack-*, as most releases have them


@dataclass(frozen=True)
class Way:
    """How the sample was held. bytes: in all; compact: how many of the `holders` keys there were stayed listpacks."""

    bytes: int
    holders: int
    compact: int = 0


@dataclass(frozen=True)
class Saving:
    """What was measured. stage: what is being done, "" at the end.

    sampled: keys. mean: bytes of a value. too_large: keys whose values are over VALUE_LIMIT and were left out.
    unfit: sampled keys that are too long for a listpack by the server's limits. with_ttl: of the sampled.
    entries, value: hash-max-listpack-entries and -value, `told` whether the managed server said them.
    fields: of a hash. strings, hashes, timed: the three ways; timed has a TTL on each field, and is None where no key
    has a TTL or the private server knows none. by: what measured; managed: the server it is measured for, and its
    allocator. fields_expire: whether it knows TTLs of fields.
    """

    namespace: str
    keys: Estimate = NOTHING
    stage: str = ""
    sampled: int = 0
    mean: float = 0.0
    too_large: int = 0
    unfit: int = 0
    with_ttl: int = 0
    entries: int = DEFAULT_ENTRIES
    value: int = DEFAULT_VALUE
    told: bool = False
    fields: int = FIELDS
    strings: Way | None = None
    hashes: Way | None = None
    timed: Way | None = None
    by: str = ""
    managed: str = ""
    fields_expire: bool = False

    def per_key(self, way: Way | None) -> float | None:
        """Bytes of one sampled key, held in this way."""
        return way.bytes / self.sampled if way and self.sampled else None

    def share(self, way: Way | None) -> float | None:
        """What this way saves of what the strings take, 0 to 1; negative where it takes more."""
        return 1 - way.bytes / self.strings.bytes if way and self.strings and self.strings.bytes > 0 else None

    def gain(self, way: Way | None) -> Estimate | None:
        """Bytes that it would save in the whole namespace, at its count of keys; negative where it costs."""
        if way is None or self.strings is None or not self.sampled:
            return None
        each = (self.strings.bytes - way.bytes) / self.sampled
        bounds = sorted((each * self.keys.low, each * self.keys.high))
        return Estimate(each * self.keys.value, bounds[0], bounds[1])

    @property
    def saves(self) -> bool:
        """Whether it is worth thinking about."""
        return (self.share(self.hashes) or 0.0) >= NOTICEABLE


@dataclass(frozen=True)
class SavingSnapshot:
    """What the measuring yields again and again."""

    progress: Progress
    saving: Saving
