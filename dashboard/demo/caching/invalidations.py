"""Messages about what is out of date: from the shop's own processes, and from whoever operates its cache.

Each process drops its copies (copies.py) of what is named, and acknowledges where it is asked to. The shop itself asks
for that, and so knows how long its copies are out of date. The form of the messages is in docs/events.md.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from typing import Any

import redis
from cachetools import TTLCache
from redis.backoff import NoBackoff
from redis.retry import Retry

from dashboard.demo.caching.copies import Copies
from dashboard.demo.caching.remote import NAME, CacheTrouble, Remote
from dashboard.demo.counters import Counters

CHANNEL = "invalidate"
REPLY_PREFIX = "cachedeck:ack:"
LARGEST = 1024 * 1024  # bytes of a message that is read
KEYS_AT_ONCE = 500  # of one message
WAKE_SECONDS = 0.25
RETRY_SECONDS = 1.0
ACK_SECONDS = 10.0  # later acknowledgements are not counted
MOST_AWAITED = 1000  # messages

log = logging.getLogger("dashboard.demo")


class Invalidations:
    """Tells and hears of them. `start` listens in a thread, on a connection of its own, until `close`.

    A cache that is away is tried again each second. Copies may be out of date then, so meanwhile there are none.
    `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        remote: Remote,
        copies: Copies,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._remote = remote
        self._copies = copies
        self._counters = counters or Counters()
        self._clock = clock
        self._stop = threading.Event()
        self._reply = f"{REPLY_PREFIX}{secrets.token_hex(8)}"
        self._awaited: TTLCache[str, float] = TTLCache(MOST_AWAITED, ACK_SECONDS, timer=clock)
        self._awaiting = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="invalidations", daemon=True).start()

    def close(self) -> None:
        """The thread ends within a moment, by itself."""
        self._stop.set()

    def tell(self, keys: Sequence[str]) -> bool:
        """Say that the rows behind these have changed. False where the cache could not be told: whoever keeps copies
        does not hear it, and has them for their whole time."""
        self._copies.drop(keys)
        parts = [keys[begin : begin + KEYS_AT_ONCE] for begin in range(0, len(keys), KEYS_AT_ONCE)]
        untold = [part for part in parts if not self._tell(part)]
        return not untold

    def heard(self, payload: bytes, client_id: int | None) -> None:
        """Drop what a message names, and acknowledge it where it asks for that."""
        told = _told(payload)
        if told is None:
            return
        self._counters.count("heard")
        dropped = self._drop(told)
        reply, number = told.get("reply"), told.get("id")
        if isinstance(reply, str) and isinstance(number, str):
            ack = {"v": 1, "type": "ack", "message": number, "client": client_id, "name": NAME, "dropped": dropped}
            with suppress(CacheTrouble):
                self._remote.ask(lambda client: client.publish(reply, json.dumps(ack)))

    def acknowledged(self, payload: bytes) -> None:
        """Count an acknowledgement of what this process has told."""
        ack = _told(payload)
        number = ack.get("message") if ack else None
        with self._awaiting:
            told_at = self._awaited.get(number) if isinstance(number, str) else None
        if told_at is not None:
            self._counters.count("acks")
            self._counters.count("ack_ms_total", (self._clock() - told_at) * 1000)

    def _tell(self, keys: Sequence[str]) -> bool:
        number = secrets.token_hex(8)
        message = json.dumps({"v": 1, "type": "keys", "keys": list(keys), "id": number, "reply": self._reply})
        with self._awaiting:
            self._awaited[number] = self._clock()
        try:
            self._remote.ask(lambda client: client.publish(CHANNEL, message))
        except CacheTrouble:
            return False
        self._counters.count("told")
        return True

    def _drop(self, told: dict[str, Any]) -> int:
        kind = told.get("type")
        if kind == "keys":
            return self._copies.drop(_texts(told.get("keys")))
        if kind == "tags":
            return self._copies.drop_tagged(_texts(told.get("tags")))
        # There are few copies, so which of them a pattern matches is not worth finding out.
        return self._copies.clear() if kind == "selection" else 0

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(redis.RedisError, OSError), closing(self._client()) as client:
                self._listen(client)
            self._copies.close()
            self._stop.wait(RETRY_SECONDS)

    def _client(self) -> redis.Redis:
        # It connects anew by itself only here, where the new connection's id is asked for.
        return redis.Redis.from_url(
            self._url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=1.0,
            client_name=NAME,
            health_check_interval=10,
        )

    def _listen(self, client: redis.Redis) -> None:
        """Until the connection is lost, or an outage is played."""
        with closing(client.pubsub()) as listening:  # type: ignore[no-untyped-call]
            client_id = _id_of(listening)
            listening.subscribe(CHANNEL, self._reply)
            while not self._stop.is_set() and not self._remote.is_cut:
                message = listening.get_message(timeout=WAKE_SECONDS)
                if message is None:
                    continue
                if message["type"] == "subscribe" and message["channel"] == CHANNEL.encode():
                    self._copies.open()
                elif message["type"] == "message" and message["channel"] == CHANNEL.encode():
                    self.heard(message["data"], client_id)
                elif message["type"] == "message":
                    self.acknowledged(message["data"])


def _id_of(listening: Any) -> int | None:
    """The id of its connection, which it may not ask for later; None where that is denied."""
    listening.execute_command("CLIENT", "ID")
    try:
        return int(listening.parse_response())
    except redis.ResponseError:
        return None


def _told(payload: bytes) -> dict[str, Any] | None:
    if len(payload) > LARGEST:
        return None
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _texts(names: object) -> Iterable[str]:
    """Those of a message's names that can be the shop's: its keys and tags are text."""
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
