"""How often the keys of each namespace are looked up, from a sample of commands; with the misses, its hit ratio. Pure.

A sample comes in bursts, and what one application does at one moment is alike: so the interval is as wide as the bursts
differ (the variance of a ratio of cluster totals, W. G. Cochran, Sampling Techniques, 1977, 9A.5, as Kish's design
effect).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dashboard.cache.estimate import Estimate, share_from_sample

_FIRST = frozenset(
    """get getrange substr strlen getbit bitcount bitpos getex getdel hget hmget hgetall hlen hstrlen hexists hkeys
    hvals hrandfield hscan lrange lindex llen lpos smembers sismember smismember scard srandmember sscan zrange
    zrevrange zrangebyscore zrevrangebyscore zrangebylex zrevrangebylex zscore zmscore zrank zrevrank zcard
    zcount zlexcount zrandmember zscan xrange xrevrange xlen geopos geodist geohash geosearch type ttl pttl
    expiretime pexpiretime dump""".split()
)
_ALL = frozenset("mget exists touch sinter sunion sdiff pfcount".split())
_LINE = re.compile(rb"[0-9.]+ \[([0-9]+) .*?\] (?=\")")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
MOST_KEYS = 1000
"""Looked up by one command that are taken into account."""


def looked_up(line: bytes) -> tuple[int, list[bytes]]:
    """(database, keys that the command looks up) of a line of MONITOR; no keys where it reads none."""
    head = _LINE.match(line)
    words = _WORD.finditer(line, head.end()) if head else iter(())
    command = next(words, None)
    if head is None or command is None:
        return -1, []
    name = command[1].lower()
    most = 1 if name.decode("latin-1") in _FIRST else MOST_KEYS if name.decode("latin-1") in _ALL else 0
    return int(head[1]), [_plain(word[1]) for word, _ in zip(words, range(most), strict=False)]


def _plain(word: bytes) -> bytes:
    return _ESCAPE.sub(_unescaped, word) if b"\\" in word else word


def _unescaped(found: re.Match[bytes]) -> bytes:
    text = found[1]
    if len(text) == 3:
        return bytes([int(text[1:], 16)])
    return _ESCAPED.get(text, text)


class Lookups:
    """Of one primary: look-ups in bursts, by namespace. At most `most` namespaces; what is rarer comes too late."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self.bursts = self.sampled = 0
        self._squares = 0.0
        self._of: dict[bytes, tuple[int, float, float]] = {}  # sum of x, of x*x, of x*n

    def add(self, found: Mapping[bytes, int], whole: int) -> None:
        """A burst with so many look-ups in all, and those of each namespace."""
        if not whole:
            return
        self.bursts += 1
        self.sampled += whole
        self._squares += whole * whole
        for name, number in found.items():
            known = self._of.get(name)
            if known is None and len(self._of) >= self._most:
                continue
            total, squares, products = known or (0, 0.0, 0.0)
            self._of[name] = (total + number, squares + number * number, products + number * whole)

    def of(self, name: bytes, population: int) -> Estimate:
        """How many of `population` look-ups were of this namespace."""
        total, squares, products = self._of.get(name, (0, 0.0, 0.0))
        effect = self._effect(total, squares, products)
        share = share_from_sample(total / effect, self.sampled / effect)
        return Estimate(share.value * population, share.low * population, share.high * population)

    def _effect(self, total: int, squares: float, products: float) -> float:
        """How many times larger the variance is than that of a random sample."""
        share = total / self.sampled if self.sampled else 0.0
        if self.bursts < 2 or not 0 < share < 1:
            return 1.0
        between = max(squares - 2 * share * products + share * share * self._squares, 0.0)
        variance = between * self.bursts / (self.bursts - 1) / self.sampled**2
        return max(variance / (share * (1 - share) / self.sampled), 1.0)


def hit_ratio(lookups: Estimate, misses: int, error: int = 0) -> Estimate:
    """1 - misses / look-ups, 0 to 1. misses: at most so many, and `error` fewer at least."""

    def ratio(missed: float, of: float) -> float:
        return max(1 - missed / of, 0.0) if of > 0 else 0.0

    value = ratio(misses, lookups.value)
    return Estimate(
        value, min(ratio(misses, lookups.low), value), max(ratio(max(misses - error, 0), lookups.high), value)
    )
