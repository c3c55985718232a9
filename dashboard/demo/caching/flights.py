"""Loads that are under way in this process, so that those who want the same can share one."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from dashboard.demo.encoding import Document
from dashboard.demo.patterns import Load


class Flights:
    """Loads by key. Thread-safe. What is shared is one document, which nobody may change.

    A load that has begun before somebody asks may have missed a change of which that one knows. Who comes while a load
    is under way therefore shares the next one, which begins when that is over: two loads, however many ask.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Document | None]] = {}
        self._next: dict[str, Future[Document | None]] = {}

    def share(self, key: str, load: Load) -> Document | None:
        """What a load brings that begins after this was called. Raises what that load raises."""
        with self._lock:
            before = self._under_way.get(key)
            flight = self._next.get(key)
            is_ours = flight is None
            if flight is None:
                flight = Future()
                (self._next if before else self._under_way)[key] = flight
        if not is_ours:
            return flight.result()
        if before is not None:
            before.exception()  # waits for its end, whatever it is
            with self._lock:
                self._under_way[key] = self._next.pop(key)
        return self._fly(key, flight, load)

    def _fly(self, key: str, flight: Future[Document | None], load: Load) -> Document | None:
        try:
            document = load()
        except BaseException as error:
            self._end(key, flight)
            flight.set_exception(error)
            raise
        self._end(key, flight)
        flight.set_result(document)
        return document

    def _end(self, key: str, flight: Future[Document | None]) -> None:
        with self._lock:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
