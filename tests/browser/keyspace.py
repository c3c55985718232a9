"""What lies in the caches of the browser tests: a keyspace as an application would leave it."""

from __future__ import annotations

import gzip
import json
import pickle

import msgpack
import redis

USERS = 700
SEARCHES = 300

# One key of each kind, by name; a test that opens a key of a type takes it from here.
SHOWN: dict[str, bytes] = {
    "json": b"api:user:42",
    "gzip": b"api:user:42:posts",
    "msgpack": b"api:search:q=python&page=1",
    "pickle": b"job:result:7",
    "hash": b"sess:9f3a",
    "list": b"queue:mail",
    "set": b"tags:product:7",
    "zset": b"leaderboard:week",
    "stream": b"events:orders",
    "text": b"greeting",
}


def furnish(client: redis.Redis) -> None:
    """Write the whole keyspace, TTLs by class as an API would set them."""
    pipe = client.pipeline(transaction=False)
    for number in range(USERS):
        pipe.set(f"api:user:{number}", _user(number), ex=3600 - number)
    for number in range(SEARCHES):
        page = msgpack.packb({"q": "tea", "page": number, "hits": [number, number + 1]})
        pipe.set(f"api:search:q=tea&page={number}", page, ex=3000 + number)
    pipe.set(SHOWN["gzip"], gzip.compress(json.dumps([{"id": n, "title": f"Post {n}"} for n in range(40)]).encode()))
    pipe.set(SHOWN["msgpack"], msgpack.packb({"q": "python", "page": 1, "hits": [4, 8, 15]}), ex=3000)
    pipe.set(SHOWN["pickle"], pickle.dumps({"state": "done", "rows": 12}))
    pipe.set(SHOWN["text"], "Good morning", ex=86400)
    pipe.hset(SHOWN["hash"].decode(), mapping={"user": "42", "csrf": "b1946ac9", "cart": '{"sku":"TEA-1","n":2}'})
    pipe.execute_command("HEXPIRE", SHOWN["hash"], 7200, "FIELDS", 1, "csrf")
    pipe.expire(SHOWN["hash"], 10_000)  # outlives a run on a slow machine
    pipe.rpush(SHOWN["list"].decode(), *(json.dumps({"to": f"user{n}@example.org"}) for n in range(30)))
    pipe.sadd(SHOWN["set"].decode(), "green", "loose", "organic")
    pipe.zadd(SHOWN["zset"].decode(), {f"player:{n}": n * 1.5 for n in range(30)})
    for number in range(20):
        pipe.xadd(SHOWN["stream"], {"order": number, "sku": f"TEA-{number}"})
    pipe.xgroup_create(SHOWN["stream"], "billing", "0")
    pipe.execute()


def _user(number: int) -> str:
    return json.dumps({"id": number, "name": f"User {number}", "mail": f"user{number}@example.org", "tags": ["a", "b"]})
