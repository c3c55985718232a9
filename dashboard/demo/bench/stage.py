"""What scenarios are played on: the shop's knobs, the driver's traffic and the weather, put back afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dashboard.demo.bench.shops import CacheSize, Shops
from dashboard.demo.bench.warming import paths, warm
from dashboard.demo.visitors.open_loop import Driver


class Stage:
    """For one scenario. Whatever talks to the shop raises ShopTrouble."""

    def __init__(self, shops: Shops, driver: Driver) -> None:
        self.halted = threading.Event()
        self.sentence = ""
        self._shops = shops
        self._driver = driver
        self._knobs_before: dict[str, Any] = {}
        self._knobs_set: dict[str, Any] = {}
        self._traffic_before: dict[str, Any] = {}
        self._traffic_set: dict[str, Any] = {}
        self._is_cut = False

    @property
    def driver(self) -> Driver:
        return self._driver

    def say(self, sentence: str) -> None:
        """Let the scenario's sentence be another one, of what was found on the way."""
        self.sentence = sentence

    def knobs(self) -> dict[str, Any]:
        return self._shops.knobs()

    def turn(self, **wanted: Any) -> None:
        """Turn knobs of the shop until the scenario ends."""
        before = self._shops.knobs()
        for name in wanted:
            self._knobs_before.setdefault(name, before[name])
        self._knobs_set |= wanted
        self._shops.turn(wanted)

    def drive(self, **wanted: Any) -> None:
        """Turn the traffic until the scenario ends."""
        before = self._driver.traffic
        for name in wanted:
            self._traffic_before.setdefault(name, getattr(before, name))
        self._traffic_set |= wanted
        self._driver.turn(before.turned(wanted, self._driver.size))

    def remove(self) -> None:
        self._shops.remove()

    def cut(self, seconds: float) -> None:
        self._is_cut = True
        self._shops.cut(seconds)

    def cache(self) -> CacheSize | None:
        return self._shops.standings()[0].cache

    def warm(self, users: int, products: int, until: Callable[[], bool] | None = None) -> int:
        """Read all of the rows 1 to those numbers once; how many documents that were. Ends early with `until`."""
        wanted, batch, answered = paths(users, products), 2000, 0
        for begin in range(0, len(wanted), batch):
            answered += warm(self._shops.addresses, wanted[begin : begin + batch], self.halted)
            if self.halted.is_set() or (until and until()):
                break
        return answered

    def rest(self, seconds: float) -> bool:
        """Wait; False where the scenario was ended meanwhile."""
        return not self.halted.wait(seconds)

    def restore(self) -> None:
        """Put back what the scenario turned, except for what somebody has turned since."""
        traffic = self._driver.traffic
        back = {
            name: value
            for name, value in self._traffic_before.items()
            if getattr(traffic, name) == self._traffic_set[name]
        }
        if back:
            self._driver.turn(traffic.turned(back, self._driver.size))
        if self._is_cut:
            self._shops.cut(0)
        if self._knobs_before:
            now = self._shops.knobs()
            back = {name: value for name, value in self._knobs_before.items() if now[name] == self._knobs_set[name]}
            if back:
                self._shops.turn(back)
