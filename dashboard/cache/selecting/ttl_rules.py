"""TTL rules: which keys should live for how long, and why. Pure.

A rule's pattern knows `*` only. Each key is held against every rule on its own, so "show these keys"
is the selection of the rule's pattern with a TTL condition, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

PATTERN_LIMIT = 512
STARS_LIMIT = 8
LONGEST = 10 * 365 * 86400


class BadRule(ValueError):
    """A rule that says nothing sensible; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Rule:
    """Keys of `pattern` should have a TTL of `low` to `high` seconds. `id` is the store's; 0 where there is none."""

    pattern: bytes
    low: float
    high: float
    reason: str = ""
    id: int = 0

    def __post_init__(self) -> None:
        if not self.pattern or len(self.pattern) > PATTERN_LIMIT:
            raise BadRule(f"A rule's pattern has 1 to {PATTERN_LIMIT} bytes.")
        if any(byte in self.pattern for byte in b"?[]\\"):
            raise BadRule("A rule's pattern knows * only: no ?, no [ ], no backslash.")
        if self.pattern.count(b"*") > STARS_LIMIT:
            raise BadRule(f"A rule's pattern has at most {STARS_LIMIT} stars.")
        if not 0 < self.low <= self.high <= LONGEST:
            raise BadRule("A rule's range is from more than 0 s to at most 10 years, its lower end first.")

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The literal parts between the stars; the first and the last one stand at the key's ends."""
        return tuple(self.pattern.split(b"*"))

    def covers(self, key: bytes) -> bool:
        """Whether the pattern matches a key; linear in its length, as analysis.lua does it."""
        first, *middle = self.parts
        if not middle:
            return key == first
        last = middle.pop()
        if len(key) < len(first) + len(last) or not key.startswith(first) or not key.endswith(last):
            return False
        at, end = len(first), len(key) - len(last)
        for part in middle:
            at = key.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    def place(self, pttl_ms: int) -> str:
        """Where a key with this PTTL reply stands: "without", "below", "inside" or "above"."""
        if pttl_ms < 0:
            return "without"
        if pttl_ms < self.low * 1000:
            return "below"
        return "above" if pttl_ms > self.high * 1000 else "inside"
