"""Which requests the shop's visitors send: what they look at, and what they change in between."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.demo.keyspace import sku
from dashboard.demo.visitors.traffic import ShopSize, Traffic
from dashboard.demo.visitors.truth import Row
from dashboard.demo.visitors.zipf import Zipf
from dashboard.demo.words import CITIES, descriptions, subjects

VISITORS = 1500  # sessions under way at a time
STRANGERS = 0.5  # share of the reads that come without a session: apps, crawlers, other services
LEAVES = 0.004  # chance that the visitor who sent a request is replaced by a new one
QUERIES = 3000  # different searches
FEW_PAGES = (70, 15, 8, 4, 3)  # how often each page of results is asked for


@dataclass(frozen=True)
class Request:
    """One HTTP request: `body` is JSON or None, `sid` the session that sends it, empty for none.

    `row` is the row whose version the answer says, None where it says none.
    """

    method: str
    path: str
    sid: str
    body: bytes | None = None
    row: Row | None = None


@dataclass(frozen=True)
class _Wish:
    method: str
    path: str
    body: object = None
    row: Row | None = None


class Mix:
    """An endless series of requests, the same for the same seed and traffic. Not safe for threads by itself."""

    def __init__(self, size: ShopSize, traffic: Traffic, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - load, not secrets
        self._size = size
        self._queries = self._make_queries()
        self._visitors = [self._new_visitor() for _ in range(VISITORS)]
        self.turn(traffic, redraw=True)

    def turn(self, traffic: Traffic, *, redraw: bool) -> None:
        """From now on with another traffic. `redraw` where rows or skew differ: that takes 0.1 s for a million rows."""
        self._traffic = traffic
        if redraw:
            self._user = Zipf(traffic.users, traffic.skew, self._random)
            self._product = Zipf(traffic.products, traffic.skew, self._random)
            self._query = Zipf(len(self._queries), traffic.skew, self._random)

    def next(self) -> Request:
        """The next request of the series."""
        writes = self._random.random() < self._traffic.write_share
        hot = self._random.random() < self._traffic.hot_share
        reads = ROW_READS if self._random.random() < self._traffic.row_share else READS
        weighted = (HOT_WRITES if writes else HOT_READS) if hot else (WRITES if writes else reads)
        (kind,) = self._random.choices(*weighted)
        wish = kind(self)
        if wish.body is None:
            sid = "" if self._random.random() < STRANGERS else self._session()
            return Request(wish.method, wish.path, sid, None, wish.row)
        return Request(wish.method, wish.path, self._session(), json.dumps(wish.body).encode(), wish.row)

    def see_user(self) -> _Wish:
        user = self._user.draw()
        return _Wish("GET", f"/users/{user}", row=("user", user))

    def see_posts(self) -> _Wish:
        user = self._user.draw()
        return _Wish("GET", f"/users/{user}/posts", row=("posts", user))

    def see_nobody(self) -> _Wish:
        return _Wish("GET", f"/users/{self._size.users + self._random.randrange(1, 50)}")

    def see_product(self) -> _Wish:
        return _product(self._product.draw())

    def see_hot_product(self) -> _Wish:
        return _product(self._hot)

    def see_price(self) -> _Wish:
        return _price(self._product.draw())

    def see_hot_price(self) -> _Wish:
        return _price(self._hot)

    def see_catalogue(self) -> _Wish:
        return _Wish("GET", "/catalogue")

    def see_window(self) -> _Wish:
        return _Wish("GET", "/")

    def search(self) -> _Wish:
        (page,) = self._random.choices(range(1, len(FEW_PAGES) + 1), FEW_PAGES)
        query = urlencode({"q": self._queries[self._query.draw() - 1], "page": page})
        return _Wish("GET", f"/search?{query}")

    def put_in_cart(self) -> _Wish:
        return _Wish("POST", "/carts", self._pieces(self._product.draw()))

    def order(self) -> _Wish:
        return self._order(self._product.draw())

    def order_hot(self) -> _Wish:
        return self._order(self._hot)

    def change_price(self) -> _Wish:
        return self._new_price(self._product.draw())

    def change_hot_price(self) -> _Wish:
        return self._new_price(self._hot)

    def move(self) -> _Wish:
        user, city = self._user.draw(), self._random.choice(CITIES)
        return _Wish("PUT", f"/users/{user}", {"city": city, "bio": f"Now in {city}."}, ("user", user))

    def write_post(self) -> _Wish:
        words = self._random.choices(self._queries, k=60)
        body = {"product": self._product.draw(), "title": f"About {words[0]}", "body": " ".join(words)}
        user = self._user.draw()
        return _Wish("POST", f"/users/{user}/posts", body, ("posts", user))

    @property
    def _hot(self) -> int:
        """The product that sells best anyway."""
        return self._product.id_of(1)

    def _order(self, product: int) -> _Wish:
        return _Wish("POST", "/orders", self._pieces(product), ("product", product))

    def _new_price(self, product: int) -> _Wish:
        cents = self._random.randrange(2, 300) * 50 - 1
        return _Wish("PUT", f"/prices/{sku(product)}", {"cents": cents}, ("price", sku(product)))

    def _pieces(self, product: int) -> dict[str, int]:
        return {"product": product, "quantity": self._random.randrange(1, 4)}

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


def _product(product: int) -> _Wish:
    return _Wish("GET", f"/products/{product}", row=("product", product))


def _price(product: int) -> _Wish:
    return _Wish("GET", f"/prices/{sku(product)}", row=("price", sku(product)))


_Kinds = tuple[list[Callable[[Mix], _Wish]], list[float]]
# What is asked for, and how often in relation to the others.
READS: _Kinds = (
    [
        Mix.see_user,
        Mix.see_posts,
        Mix.see_product,
        Mix.search,
        Mix.see_price,
        Mix.see_nobody,
        Mix.see_catalogue,
        Mix.see_window,
    ],
    [27, 19, 24, 14, 10, 0.5, 0.4, 0.4],
)
WRITES: _Kinds = ([Mix.put_in_cart, Mix.order, Mix.change_price, Mix.move, Mix.write_post], [2, 1, 0.8, 0.6, 0.3])
ROW_READS: _Kinds = ([Mix.see_user, Mix.see_product], [1, 1])
HOT_READS: _Kinds = ([Mix.see_hot_product, Mix.see_hot_price], [4, 1])
HOT_WRITES: _Kinds = ([Mix.order_hot, Mix.change_hot_price], [4, 1])
