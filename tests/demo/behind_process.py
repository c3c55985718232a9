"""A process of write-behind that can be killed: `python -m tests.demo.behind_process ROLE URL DATABASE ...`.

`write URL DATABASE LOG PLACE/OF` changes prices one after the other, of its part of the products (0/2 and 1/2 are the
halves). After each acknowledgement it adds a line to LOG: SKU, cents, version, "queued" or "past". It ends at the first
change that goes past the queue, or when it is terminated. `queue ...` is the same without a way past the queue.
`flush URL DATABASE CONSUMER POINT` flushes until it is killed: by others, or by itself at a POINT such as
`before-apply:3`, `after-apply:3` or `after-settle:3`, which is the third time that it comes there; `never`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from dashboard.demo import flusher as flusher_module
from dashboard.demo.caching.queue import Queue
from dashboard.demo.sql.database import Database
from tests.demo.behind import Behind

SKUS = [f"SKU-{number:05d}" for number in range(1, 41)]


def write(shop: Behind, log: str, part: str) -> None:
    place, of = map(int, part.split("/"))
    dice, end = random.Random(place), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    with open(log, "ab", buffering=0) as lines:  # noqa: PTH123
        while not end.is_set():
            sku, cents = dice.choice(SKUS[place::of]), dice.randrange(1_000_000)
            changed = shop.change_price(sku, cents)
            if changed.version is not None:
                lines.write(f"{sku} {cents} {changed.version} {'queued' if changed.queued else 'past'}\n".encode())
            if not changed.queued:
                return


def flush(shop: Behind, point: str) -> None:
    flusher_module.FLUSH_SECONDS = 0.02
    if point != "never":
        where, _, times = point.partition(":")
        when, _, what = where.partition("-")
        owner, name = (shop.rows, "apply") if what == "apply" else (Queue, "settle")
        setattr(owner, name, _deadly(getattr(owner, name), when, int(times)))
    shop.flusher.start()
    print("flushing", flush=True)
    threading.Event().wait()


def _deadly(work: Callable[..., Any], when: str, times: int) -> Callable[..., Any]:
    left = [times]

    def do(*arguments: Any) -> Any:
        left[0] -= 1
        if not left[0] and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = work(*arguments)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return do


def main() -> None:
    role, url, database, name, last = sys.argv[1:]
    shop = Behind(Database(database), url, consumer=name)
    if role == "queue":
        shop.rows.jump = lambda *_change: None  # type: ignore[method-assign]
    if role in {"write", "queue"}:
        write(shop, name, last)
    else:
        flush(shop, last)


if __name__ == "__main__":
    main()
