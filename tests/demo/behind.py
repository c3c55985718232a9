"""Write-behind with all that belongs to it, over a real cache and a real database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from dashboard.demo.caching.entries import Entries
from dashboard.demo.caching.queue import CLAIM_AFTER_SECONDS, Queue
from dashboard.demo.caching.reading import Reader
from dashboard.demo.caching.remote import Remote
from dashboard.demo.counters import Counters
from dashboard.demo.flusher import Flusher
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.patterns import Answer, Change, Changed
from dashboard.demo.patterns.write_behind import WriteBehind
from dashboard.demo.prevention.none import Unprevented
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.rows import Rows
from dashboard.demo.sql.shop import Shop

TTL = 60.0


@dataclass
class Behind:
    """One process's worth of it. Users and prices of the tiny shop: 1 to 30, SKU-00001 to SKU-00040."""

    database: Database
    url: str
    consumer: str = "tests"
    claim_after: float = CLAIM_AFTER_SECONDS
    timeout: float = 60.0
    keys: Keyspace = field(default_factory=Keyspace)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self._passed = 0.0
        self.remote = Remote(
            self.url, lambda: time.monotonic() + self._passed, counters=self.counters, timeout=self.timeout
        )
        self.client = redis.Redis.from_url(self.url, socket_timeout=60)
        self.rows, self.shop = Rows(self.database), Shop(self.database)
        self.entries, self.queue = Entries(self.remote, self.keys), Queue(self.remote, self.keys)
        self.reader = Reader(self.entries, self.counters, Unprevented())
        self.pattern = WriteBehind(self.reader, self.entries, self.remote, self.keys, self.rows, self.counters)
        self.flusher = self.another_flusher(self.consumer)

    def another_flusher(self, consumer: str) -> Flusher:
        return Flusher(
            self.remote, self.keys, self.rows, self.counters, consumer=consumer, claim_after=self.claim_after
        )

    def rest(self) -> None:
        """Let the time pass after which a cache that was away is asked again, and any outage that is played."""
        self._passed += 3600

    def close(self) -> None:
        self.remote.close()
        self.client.close()

    def get_user(self, user: int) -> Answer:
        return self.pattern.get(self.keys.user(user), lambda: self.shop.user(user), TTL)

    def get_price(self, sku: str) -> Answer:
        return self.pattern.get(self.keys.price(sku), lambda: self.shop.price(sku), TTL)

    def change_user(self, user: int, city: str, bio: str = "-") -> Changed:
        values = {"city": city, "bio": bio}
        return self.pattern.update(
            Change("user", user, values, self.keys.user(user), lambda: self.shop.user(user)), TTL
        )

    def change_price(self, sku: str, cents: int) -> Changed:
        return self.pattern.update(
            Change("price", sku, {"cents": cents}, self.keys.price(sku), lambda: self.shop.price(sku)), TTL
        )

    def cents(self, sku: str) -> int:
        """In the database."""
        found = self.shop.price(sku)
        assert found
        return int(found["cents"])

    def dead_letters(self) -> list[dict[str, str]]:
        letters = self.client.xrange(self.keys.dead_writes)
        return [
            {name.decode(): value.decode(errors="replace") for name, value in fields.items()} for _, fields in letters
        ]

    def enqueue(self, **fields: object) -> bytes:
        """An entry that no pattern has made."""
        plain = {name: value if isinstance(value, str | bytes) else json.dumps(value) for name, value in fields.items()}
        return self.client.xadd(self.keys.writes, plain)  # type: ignore[arg-type, no-any-return]


@contextmanager
def behind(database: Database, url: str, **options: object) -> Iterator[Behind]:
    found = Behind(database, url, **options)  # type: ignore[arg-type]
    try:
        yield found
    finally:
        found.close()


def at_once(*works: object) -> None:
    """Run them in threads of their own, begun together; the first error of one is raised."""
    barrier, errors = threading.Barrier(len(works)), []

    def run(work: object) -> None:
        barrier.wait(60)
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]
