"""An application that listens for invalidations, in a thread of the test: as docs/events.md says, on a plain client."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import redis

from tests.programs import PATIENCE_SECONDS
from tests.servers import Server


class Application:
    """One subscribed connection. `next()` is what it has received, in its order; `count` how much in all."""

    def __init__(self, client: redis.Redis, name: str, channel: str | bytes, *, answers: bool, sharded: bool) -> None:
        self.name = name
        self.count = 0
        self._client = client
        self._answers = answers
        self._received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._listening = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._listening.execute_command("CLIENT", "ID")
        self.client_id = int(self._listening.parse_response())
        (self._listening.ssubscribe if sharded else self._listening.subscribe)(channel)
        self._listening.get_message(timeout=PATIENCE_SECONDS)  # that it has subscribed
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self) -> bytes:
        return self._received.get(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        self._listening.close()

    def answer(self, told: dict[str, Any], **more: Any) -> None:
        ack = {"v": 1, "type": "ack", "message": told["id"], "client": self.client_id, "name": self.name, **more}
        self._client.publish(told["reply"], json.dumps(ack))

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._listening.get_message(timeout=0.1)
            if message is None:
                continue
            self.count += 1
            self._received.put(message["data"])
            with suppress(ValueError):
                told = json.loads(message["data"])
                if self._answers and isinstance(told, dict) and "reply" in told:
                    self.answer(told)


@contextmanager
def application(
    server: Server, name: str, channel: str | bytes = "invalidate", *, answers: bool = True, sharded: bool = False
) -> Iterator[Application]:
    with (
        closing(server.client(client_name=name)) as client,
        closing(Application(client, name, channel, answers=answers, sharded=sharded)) as running,
    ):
        yield running
