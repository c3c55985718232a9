"""What each key of the cache is made from: how its document is read from the database, and how long it is fresh.

Said once: the reading pages ask for it, the writing patterns, and read-through, whose whole idea it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

from dashboard.demo.caching.ttl import Lifetimes
from dashboard.demo.encoding import Document
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Load
from dashboard.demo.sql.shop import Shop


class Sources:
    """By the names of Keyspace. `of` raises KeyError for a key that no document of the shop has."""

    def __init__(self, keys: Keyspace, shop: Shop, lifetimes: Lifetimes) -> None:
        self._keys = keys
        self._lifetimes = lifetimes
        self._kinds: tuple[tuple[re.Pattern[str], str, Callable[[str], Document | None]], ...] = (
            (re.compile(r"api:user:(\d+)"), "profile", lambda found: shop.user(int(found))),
            (re.compile(r"api:user:(\d+):posts"), "posts", lambda found: shop.posts(int(found))),
            (re.compile(r"api:product:(\d+)"), "product", lambda found: shop.product(int(found))),
            (re.compile(r"api:price:(.*)", re.DOTALL), "price", shop.price),
            (re.compile(r"api:search:(.*)"), "search", lambda found: _searched(shop, found)),
            (re.compile(r"api:(catalogue)"), "catalogue", lambda _found: shop.catalogue()),
        )

    def of(self, key: str) -> tuple[Load, float]:
        """(how to read the document from the database, seconds for which a new entry of it is fresh)"""
        name = key.removeprefix(self._keys.prefix)
        for pattern, ttl_class, read in self._kinds:
            if found := pattern.fullmatch(name):
                return partial(read, found[1]), self._lifetimes.of(ttl_class)
        raise KeyError(key)


def _searched(shop: Shop, query: str) -> Document:
    asked = parse_qs(query)
    return shop.search(tuple(asked["q"][0].split()), int(asked["page"][0]))
