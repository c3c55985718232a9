"""Glob patterns exactly as the servers read them (`stringmatchlen` in src/util.c of Redis and Valkey). Pure.

A pattern is a sequence of tokens: a run of stars, or a set of bytes of which one must stand there. A class that is not
closed ends with the pattern, `[^` and `[^]` take any byte, `[]` takes none, the ends of a range may stand in either
order, and a range's end may be `]`. The server compares the bytes of a range as C's `char`, which has a sign on x86
and none on ARM: a range from below 0x80 to above it means different bytes there. Questions about two patterns are
answered for both.

Matching here takes time in proportion to the pattern's length times the key's. Servers before Redis 6.2.11 and 7.0.9
need time that grows with the stars as a power (CVE-2022-36021): hence the limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

STARS_LIMIT = 16
WILD_LIMIT = 1024  # bytes from a pattern's first wildcard to its last; what stands outside is compared but once a key
MOST_STEPS = 200_000  # of a comparison of two patterns: some tenths of a second

STAR = -1
"""The token of a run of stars. Every other is a set of bytes: bit n of the number is set where byte n is taken."""

ANY = (1 << 256) - 1
_STAR, _QUESTION, _OPEN, _CLOSE, _ESCAPE, _CARET, _DASH = b"*?[]\\^-"


def parse(pattern: bytes, *, signed: bool = True) -> tuple[int, ...]:
    """The pattern's tokens. signed: bytes of 0x80 and above come before 0x00, as on x86."""
    tokens: list[int] = []
    for kind, start, end in _pieces(pattern):
        if kind == _STAR:
            tokens.append(STAR)
        elif kind == _QUESTION:
            tokens.append(ANY)
        elif kind == _OPEN:
            tokens.append(_class(pattern[start + 1 : end], signed))
        else:
            tokens.append(1 << pattern[end - 1])
    return tuple(tokens)


def collapsed(pattern: bytes) -> bytes:
    """The pattern with each run of stars as one. It matches the same keys, the one with the empty name included:
    newer servers do not take that for a match of `**`."""
    return b"".join(b"*" if kind == _STAR else pattern[start:end] for kind, start, end in _pieces(pattern))


def stars(pattern: bytes) -> int:
    """How many runs of stars the pattern has."""
    return sum(kind == _STAR for kind, _, _ in _pieces(pattern))


def wild_length(pattern: bytes) -> int:
    """How many bytes there are from the beginning of the first wildcard to the end of the last."""
    wild = [(start, end) for kind, start, end in _pieces(pattern) if kind]
    return wild[-1][1] - wild[0][0] if wild else 0


def is_wild(pattern: bytes) -> bool:
    """Whether the pattern has any wildcard: one without matches a single key, by one look-up."""
    return any(kind for kind, _, _ in _pieces(pattern))


def literal(pattern: bytes) -> bytes | None:
    """The one key that the pattern matches; None where it has a wildcard."""
    pieces = list(_pieces(pattern))
    return None if any(kind for kind, _, _ in pieces) else bytes(pattern[end - 1] for _, _, end in pieces)


def matches(pattern: bytes, key: bytes) -> bool:
    """Whether a server (of x86) finds the key by the pattern."""
    return matcher(pattern).fullmatch(key) is not None


def may_match(pattern: bytes, key: bytes) -> bool:
    """Whether a server of any kind finds the key by the pattern."""
    return any(matcher(pattern, signed=signed).fullmatch(key) for signed in (True, False))


def must_match(pattern: bytes, key: bytes) -> bool:
    """Whether servers of every kind find the key by the pattern."""
    return all(matcher(pattern, signed=signed).fullmatch(key) for signed in (True, False))


@lru_cache(256)
def matcher(pattern: bytes, *, signed: bool = True) -> re.Pattern[bytes]:
    """A regular expression whose `fullmatch` takes the keys that the pattern takes.

    Each part between two stars is taken where it first fits and never tried further on (an atomic group), which
    changes nothing about the answer; so the time stays in proportion to both lengths.
    """
    parts: list[list[int]] = [[]]
    for token in parse(pattern, signed=signed):
        if token == STAR:
            parts.append([])
        else:
            parts[-1].append(token)
    first, *others = ("".join(map(_expression, part)) for part in parts)
    if not others:
        return re.compile(first.encode("latin-1"), re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{middle}.*{others[-1]}".encode("latin-1"), re.DOTALL)


def may_overlap(one: bytes, other: bytes) -> bool:
    """Whether some key could be matched by both patterns. Exact: where False, no key ever is."""
    for pattern, key in ((one, literal(other)), (other, literal(one))):
        if key is not None:
            return may_match(pattern, key)
    return any(_overlap(parse(one, signed=signed), parse(other, signed=signed)) for signed in (True, False))


def covers(outer: bytes, inner: bytes) -> bool:
    """Whether `outer` matches every key that `inner` matches. Exact, but for pairs that would take more than
    MOST_STEPS to compare: those are not covered."""
    key = literal(inner)
    if key is not None:
        return must_match(outer, key)
    both = ((parse(outer, signed=signed), parse(inner, signed=signed)) for signed in (True, False))
    return all(_covers(outer_tokens, inner_tokens) for outer_tokens, inner_tokens in both)


# --- reading a pattern --------------------------------------------------------------------------------------------


def _pieces(pattern: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, start, end) of each token; the kind is `*`, `?`, `[` or, for a byte that stands for itself, 0."""
    at, size = 0, len(pattern)
    while at < size:
        start, byte = at, pattern[at]
        at += 1
        if byte == _STAR:
            while at < size and pattern[at] == _STAR:
                at += 1
            yield _STAR, start, at
        elif byte == _QUESTION:
            yield _QUESTION, start, at
        elif byte == _OPEN:
            at = _end_of_class(pattern, at)
            yield _OPEN, start, at
        else:
            if byte == _ESCAPE and at < size:
                at += 1
            yield 0, start, at


def _end_of_class(pattern: bytes, at: int) -> int:
    """Where a class ends whose `[` stands before `at`."""
    size = len(pattern)
    if at < size and pattern[at] == _CARET:
        at += 1
    while at < size:
        at, low, _ = _member(pattern, at)
        if low is None:
            break
    return at


def _member(text: bytes, at: int) -> tuple[int, int | None, int]:
    """(where the next one begins, low, high) of a class's member at `at`; low is None for the `]` that closes it."""
    left = len(text) - at
    if left >= 2 and text[at] == _ESCAPE:
        return at + 2, text[at + 1], text[at + 1]
    if text[at] == _CLOSE:
        return at + 1, None, 0
    if left >= 3 and text[at + 1] == _DASH:
        return at + 3, text[at], text[at + 2]
    return at + 1, text[at], text[at]


def _class(text: bytes, signed: bool) -> int:
    """The bytes of a class; `text` is what follows its `[`."""
    negated = text[:1] == b"^"
    at, taken = int(negated), 0
    while at < len(text):
        at, low, high = _member(text, at)
        if low is None:
            break
        taken |= _range(low, high, signed)
    return ANY & ~taken if negated else taken


def _range(low: int, high: int, signed: bool) -> int:
    low, high = min(low, high), max(low, high)
    if signed and low < 0x80 <= high:  # as numbers with a sign: from high - 256, through -1 and 0, to low
        return ((1 << 256) - (1 << high)) | ((1 << (low + 1)) - 1)
    return (1 << (high + 1)) - (1 << low)


def _expression(token: int) -> str:
    """A regular expression for one byte, as text of which each character is a byte."""
    if token == ANY:
        return "."
    if not token:
        return "(?!)"
    members = [byte for byte in range(256) if token >> byte & 1]
    if len(members) == 1:
        return re.escape(chr(members[0]))
    return "[" + "".join(f"\\x{byte:02x}" for byte in members) + "]"


# --- two patterns -------------------------------------------------------------------------------------------------
# A place of a pattern is how many of its tokens have been passed, a set of places the number whose bits those are.


def _star_places(tokens: Sequence[int]) -> int:
    return sum(1 << place for place, token in enumerate(tokens) if token == STAR)


def _places_by_token(tokens: Sequence[int]) -> dict[int, int]:
    """Each token but stars, and the places before it."""
    found: dict[int, int] = {}
    for place, token in enumerate(tokens):
        if token != STAR:
            found[token] = found.get(token, 0) | 1 << place
    return found


def _overlap(one: Sequence[int], other: Sequence[int]) -> bool:
    if 0 in one or 0 in other:
        return False
    stars_of_other = _star_places(other)
    every = (1 << (len(other) + 1)) - 1
    alike = _places_by_token(other)
    meeting: dict[int, int] = {}
    reached = 1 | (stars_of_other & 1) << 1
    for token in one:
        if token == STAR:
            reached = every & ~((reached & -reached) - 1)  # any number of the other's tokens
            continue
        if token not in meeting:
            meeting[token] = sum(places for mask, places in alike.items() if mask & token)
        reached = (reached & meeting[token]) << 1 | reached & stars_of_other
        reached |= (reached & stars_of_other) << 1
        if not reached:
            return False
    return bool(reached >> len(other))


@dataclass(frozen=True)
class _Outer:
    """The places that the outer pattern can stand at, byte by byte."""

    stars: int
    taking: dict[int, int]  # byte: places whose token takes it
    end: int

    def begin(self) -> int:
        return self._settled(1)

    def step(self, places: int, byte: int) -> int:
        return self._settled((places & self.taking[byte]) << 1 | places & self.stars)

    def _settled(self, places: int) -> int:
        """With stars passed by, and without places before the last star: what fits from those fits from it."""
        places |= (places & self.stars) << 1
        standing = places & self.stars
        return places >> (standing.bit_length() - 1) << (standing.bit_length() - 1) if standing else places

    def takes_all(self, places: int) -> bool:
        """Whether whatever follows is matched: a star at the pattern's end has been reached."""
        return bool(self.end and places & self.stars & 1 << (self.end - 1))


def _covers(outer: Sequence[int], inner: Sequence[int]) -> bool:
    if 0 in inner:
        return True
    samples = _samples({*outer, *inner} - {STAR})
    alike = _places_by_token(outer)
    taking = {byte: sum(places for token, places in alike.items() if token >> byte & 1) for byte in samples}
    machine = _Outer(_star_places(outer), taking, len(outer))
    steps: dict[int, list[int]] = {}
    begun = (0, machine.begin())
    seen, waiting, spent = {begun}, [begun], 0
    while waiting:
        place, places = waiting.pop()
        if machine.takes_all(places):
            continue
        if place == len(inner):
            if not places >> len(outer):
                return False
            continue
        token = inner[place]
        if token == STAR:
            following = {(place, machine.step(places, byte)) for byte in samples} | {(place + 1, places)}
            spent += len(samples)
        else:
            if token not in steps:
                steps[token] = [byte for byte in samples if token >> byte & 1]
            following = {(place + 1, machine.step(places, byte)) for byte in steps[token]}
            spent += len(steps[token])
        if spent > MOST_STEPS or any(not left for _, left in following):
            return False  # too many to say, or something of the inner pattern fits nowhere
        waiting += following - seen
        seen |= following
    return True


def _samples(masks: set[int]) -> list[int]:
    """A byte of each kind: two bytes of one kind are taken by the same masks."""
    kinds = [ANY]
    for mask in masks:
        kinds = [part for kind in kinds for part in (kind & mask, kind & ~mask) if part]
    return [(kind & -kind).bit_length() - 1 for kind in kinds]
