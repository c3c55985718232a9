"""Reads many rows as fast as the shop gives them, so that all of them are in the cache at about the same moment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Sequence

from dashboard.demo.keyspace import sku
from dashboard.demo.visitors.line import NO_ANSWER, Address, Line
from dashboard.demo.visitors.mix import Request

CONNECTIONS = 8


def paths(users: int, products: int) -> list[str]:
    """Of all that is cached of the rows 1 to those numbers, users and products in turn."""
    found = []
    for number in range(1, max(users, products) + 1):
        if number <= users:
            found += [f"/users/{number}", f"/users/{number}/posts"]
        if number <= products:
            found += [f"/products/{number}", f"/prices/{sku(number)}"]
    return found


def warm(shops: Sequence[Address], wanted: Iterable[str], halted: threading.Event) -> int:
    """GET each path once, over a few connections; how many were answered. Ends early where `halted` is set."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in wanted:
        waiting.put(path)
    answered = [0] * CONNECTIONS

    def work(number: int) -> None:
        line = Line(shops[number % len(shops)])
        while not halted.is_set():
            try:
                path = waiting.get_nowait()
            except queue.Empty:
                break
            try:
                answered[number] += line.send(Request("GET", path, "")).status == 200
            except NO_ANSWER:
                continue
        line.close()

    crew = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(CONNECTIONS)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return sum(answered)
