"""Which requests the shop's visitors send: what they look at, and what they change in between."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.demo.keyspace import sku
from dashboard.demo.words import CITIES, descriptions, subjects
from dashboard.demo.zipf import Zipf

VISITORS = 1500  # sessions under way at a time
STRANGERS = 0.5  # share of the reads that come without a session: apps, crawlers, other services
LEAVES = 0.004  # chance that the visitor who sent a request is replaced by a new one
SKEW = 1.1  # Zipf exponent of users, products and searches
QUERIES = 3000  # different searches
FEW_PAGES = (70, 15, 8, 4, 3)  # how often each page of results is asked for


@dataclass(frozen=True)
class Request:
    """One HTTP request: `body` is JSON or None, `sid` the session that sends it, empty for none."""

    method: str
    path: str
    sid: str
    body: bytes | None = None


class Mix:
    """An endless series of requests, the same for the same seed. Not safe for threads by itself."""

    def __init__(self, users: int, products: int, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - load, not secrets
        self._users = users
        self._user = Zipf(users, SKEW, self._random)
        self._product = Zipf(products, SKEW, self._random)
        self._queries = self._make_queries()
        self._query = Zipf(len(self._queries), SKEW, self._random)
        self._visitors = [self._new_visitor() for _ in range(VISITORS)]
        weighted: list[tuple[float, Callable[[], tuple[str, str, object]]]] = [
            (27, self._see_user),
            (19, self._see_posts),
            (24, self._see_product),
            (14, self._search),
            (10, self._see_price),
            (0.5, self._see_nobody),
            (0.4, lambda: ("GET", "/catalogue", None)),
            (0.4, lambda: ("GET", "/", None)),
            (2, self._put_in_cart),
            (1, self._order),
            (0.8, self._change_price),
            (0.6, self._move),
            (0.3, self._write_post),
        ]
        self._weights = [weight for weight, _ in weighted]
        self._kinds = [kind for _, kind in weighted]

    def next(self) -> Request:
        """The next request of the series."""
        (kind,) = self._random.choices(self._kinds, self._weights)
        method, path, body = kind()
        if body is None:
            sid = "" if self._random.random() < STRANGERS else self._session()
            return Request(method, path, sid)
        return Request(method, path, self._session(), json.dumps(body).encode())

    def _see_user(self) -> tuple[str, str, object]:
        return "GET", f"/users/{self._user.draw()}", None

    def _see_posts(self) -> tuple[str, str, object]:
        return "GET", f"/users/{self._user.draw()}/posts", None

    def _see_nobody(self) -> tuple[str, str, object]:
        return "GET", f"/users/{self._users + self._random.randrange(1, 50)}", None

    def _see_product(self) -> tuple[str, str, object]:
        return "GET", f"/products/{self._product.draw()}", None

    def _see_price(self) -> tuple[str, str, object]:
        return "GET", f"/prices/{sku(self._product.draw())}", None

    def _search(self) -> tuple[str, str, object]:
        (page,) = self._random.choices(range(1, len(FEW_PAGES) + 1), FEW_PAGES)
        query = urlencode({"q": self._queries[self._query.draw() - 1], "page": page})
        return "GET", f"/search?{query}", None

    def _put_in_cart(self) -> tuple[str, str, object]:
        return "POST", "/carts", self._pieces()

    def _order(self) -> tuple[str, str, object]:
        return "POST", "/orders", self._pieces()

    def _change_price(self) -> tuple[str, str, object]:
        cents = self._random.randrange(2, 300) * 50 - 1
        return "PUT", f"/prices/{sku(self._product.draw())}", {"cents": cents}

    def _move(self) -> tuple[str, str, object]:
        city = self._random.choice(CITIES)
        return "PUT", f"/users/{self._user.draw()}", {"city": city, "bio": f"Now in {city}."}

    def _write_post(self) -> tuple[str, str, object]:
        words = self._random.choices(self._queries, k=60)
        body = {"product": self._product.draw(), "title": f"About {words[0]}", "body": " ".join(words)}
        return "POST", f"/users/{self._user.draw()}/posts", body

    def _pieces(self) -> dict[str, int]:
        return {"product": self._product.draw(), "quantity": self._random.randrange(1, 4)}

    def _make_queries(self) -> list[str]:
        whats, whiches = subjects(), descriptions()
        pairs = [f"{self._random.choice(whiches)} {self._random.choice(whats)}" for _ in range(QUERIES)]
        return list(dict.fromkeys([*whats, *whiches, *pairs]))[:QUERIES]

    def _session(self) -> str:
        place = int(self._random.random() * VISITORS)
        sid = self._visitors[place]
        if self._random.random() < LEAVES:
            self._visitors[place] = self._new_visitor()
        return sid

    def _new_visitor(self) -> str:
        return f"{self._random.getrandbits(64):016x}"
