"""What the shop keeps in the cache alone: sessions, carts, rate limits, who is here, what sells, what is searched.

None of it has a row in the database. When the cache is away or evicts a key the shop forgets that one thing and
answers all the same. Everything is bounded: by a TTL or by trimming.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.client import Pipeline

from dashboard.demo.caching.remote import CacheTrouble, Remote
from dashboard.demo.caching.ttl import Lifetimes
from dashboard.demo.keyspace import Keyspace

REQUESTS_A_MINUTE = 1200  # by one session; more is refused
BESTSELLERS_KEPT = 200
SEARCHES_KEPT = 100
ORDERS_KEPT = 1000


@dataclass(frozen=True)
class Window:
    """What the shop window shows; `bestsellers` are product ids, the first sells best."""

    online: int
    bestsellers: tuple[int, ...]
    searches: tuple[str, ...]


class Visits:
    """Every method is one round trip, and none raises for trouble with the cache."""

    def __init__(
        self, remote: Remote, keys: Keyspace, lifetimes: Lifetimes, clock: Callable[[], float] = time.time
    ) -> None:
        self._remote = remote
        self._keys = keys
        self._lifetimes = lifetimes
        self._clock = clock

    def arrive(self, sid: str, path: str) -> bool:
        """Note a request of a session; False where it has made too many in this minute."""
        now = int(self._clock())
        rate = self._keys.rate(sid, now // 60)
        session = self._keys.session(sid)
        online = self._keys.online(now // 60)

        def commands(pipe: Pipeline) -> None:
            pipe.incr(rate)
            self._expire(pipe, rate, "rate")
            pipe.hset(session, mapping={"seen": now, "last": path})
            pipe.hincrby(session, "pages", 1)
            self._expire(pipe, session, "session")
            pipe.sadd(online, sid)
            self._expire(pipe, online, "online")

        try:
            requests = int(self._remote.ask_all(commands)[0])
        except CacheTrouble:
            return True
        return requests <= REQUESTS_A_MINUTE

    def put_in_cart(self, sid: str, product_id: int, quantity: int) -> bool:
        """Add pieces to a session's cart; False where the cart cannot be kept now."""
        cart = self._keys.cart(sid)

        def commands(pipe: Pipeline) -> None:
            pipe.hincrby(cart, str(product_id), quantity)
            self._expire(pipe, cart, "cart")

        return self._tell(commands)

    def order(self, sid: str, product_id: int, quantity: int) -> bool:
        """Note that a session has ordered: in the stream for the warehouse and among the bestsellers."""

        def commands(pipe: Pipeline) -> None:
            fields = {"session": sid, "product": product_id, "quantity": quantity}
            pipe.xadd(self._keys.orders, fields, maxlen=ORDERS_KEPT, approximate=True)  # type: ignore[arg-type]
            pipe.zincrby(self._keys.bestsellers, quantity, str(product_id))
            pipe.zremrangebyrank(self._keys.bestsellers, 0, -BESTSELLERS_KEPT - 1)
            pipe.unlink(self._keys.cart(sid))

        return self._tell(commands)

    def searched(self, query: str) -> bool:
        """Note a search for the list of the last ones."""

        def commands(pipe: Pipeline) -> None:
            pipe.lpush(self._keys.searches, query)
            pipe.ltrim(self._keys.searches, 0, SEARCHES_KEPT - 1)

        return self._tell(commands)

    def window(self) -> Window:
        """What goes on in the shop; nothing where the cache is away."""
        minute = int(self._clock() // 60)

        def commands(pipe: Pipeline) -> None:
            pipe.scard(self._keys.online(minute))
            pipe.zrevrange(self._keys.bestsellers, 0, 9)
            pipe.lrange(self._keys.searches, 0, 9)

        try:
            online, best, searches = self._remote.ask_all(commands)
        except CacheTrouble:
            return Window(0, (), ())
        return Window(online, tuple(map(int, best)), tuple(query.decode() for query in searches))

    def _tell(self, commands: Callable[[Pipeline], None]) -> bool:
        try:
            self._remote.ask_all(commands)
        except CacheTrouble:
            return False
        return True

    def _expire(self, pipe: Pipeline, key: str, ttl_class: str) -> None:
        pipe.pexpire(key, round(self._lifetimes.of(ttl_class) * 1000))
