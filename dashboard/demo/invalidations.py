"""Messages about what is out of date: from the shop's own processes, and from whoever operates its cache.

Each process drops its copies (copies.py) of what is named, and acknowledges where it is asked to, so that an operator
sees that it has heard.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dashboard.demo.copies import Copies
from dashboard.demo.remote import NAME, CacheTrouble, Remote

CHANNEL = "invalidate"
LARGEST = 1024 * 1024  # bytes of a message that is read
WAKE_SECONDS = 0.25
RETRY_SECONDS = 1.0

log = logging.getLogger("dashboard.demo")


class Invalidations:
    """Tells and hears of them. `start` listens in a thread, on a connection of its own, until `close`.

    A cache that is away is tried again each second. Copies may be out of date then, so they are forgotten.
    """

    def __init__(self, url: str, remote: Remote, copies: Copies) -> None:
        self._url = url
        self._remote = remote
        self._copies = copies
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="invalidations", daemon=True).start()

    def close(self) -> None:
        """The thread ends within a moment, by itself."""
        self._stop.set()

    def tell(self, keys: Sequence[str]) -> None:
        """Say that the rows behind these have changed. Whoever does not hear it has its copies for their whole time."""
        self._copies.drop(keys)
        message = json.dumps({"v": 1, "type": "keys", "keys": list(keys)})
        with suppress(CacheTrouble):
            self._remote.ask(lambda client: client.publish(CHANNEL, message))

    def heard(self, payload: bytes, client_id: int | None) -> None:
        """Drop what a message names, and acknowledge it where it asks for that."""
        told = _told(payload)
        if told is None:
            return
        dropped = self._drop(told)
        reply, number = told.get("reply"), told.get("id")
        if isinstance(reply, str) and isinstance(number, str):
            ack = {"v": 1, "type": "ack", "message": number, "client": client_id, "name": NAME, "dropped": dropped}
            with suppress(CacheTrouble):
                self._remote.ask(lambda client: client.publish(reply, json.dumps(ack)))

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
            self._copies.clear()
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
        with closing(client.pubsub(ignore_subscribe_messages=True)) as listening:  # type: ignore[no-untyped-call]
            client_id = _id_of(listening)
            listening.subscribe(CHANNEL)
            while not self._stop.is_set():
                message = listening.get_message(timeout=WAKE_SECONDS)
                if message is not None:
                    self.heard(message["data"], client_id)


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
