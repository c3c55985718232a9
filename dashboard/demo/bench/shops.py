"""What the bench asks of the shop's processes and tells them, by the HTTP of lab_api.py."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.demo.visitors.line import NO_ANSWER, Address, Line
from dashboard.demo.visitors.mix import Request
from dashboard.demo.visitors.truth import Row

ASKING_SECONDS = 2.0
# A change of the pattern and a removal may first wait until the queue is written.
TURNING_SECONDS = 20.0
SPARE_SECONDS = 5.0
ROWS_AT_ONCE = 500


class ShopTrouble(Exception):
    """The shop does not answer, or refuses with the sentence that this says."""


@dataclass(frozen=True)
class CacheSize:
    """Bytes; `maxmemory` 0 is no limit. `risk`: how the server may lose a write-behind queue, a sentence or nothing."""

    maxmemory: int
    used: int
    policy: str
    risk: str = ""


@dataclass(frozen=True)
class Standing:
    """How one process of the shop stands; `counters` cumulative since its start, `process` another after a restart.

    `queued`, `lag_seconds` and `dead` are the write-behind queue's, `cache` None where the shop does not know.
    """

    process: str
    counters: Mapping[str, float]
    queued: int = 0
    lag_seconds: float = 0.0
    dead: int = 0
    breaker: str = "closed"
    cache: CacheSize | None = None


class Shops:
    """All processes of one shop. Methods raise ShopTrouble; each asks over a connection of its own."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.addresses = addresses

    def standings(self) -> list[Standing]:
        """Of each process, in their order."""
        return [_standing(_ask(one, "GET", "/lab/figures")) for one in self.addresses]

    def knobs(self) -> dict[str, Any]:
        return _ask(self.addresses[0], "GET", "/lab/knobs")

    def turn(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Turn knobs in every process; all of them as they are now."""
        turned = [_ask(one, "PUT", "/lab/knobs", wanted, TURNING_SECONDS) for one in self.addresses]
        return turned[0]

    def remove(self) -> None:
        """Remove the shop's keys from the cache; each process forgets its own copies."""
        for one in self.addresses:
            _ask(one, "POST", "/lab/removal", {}, TURNING_SECONDS)

    def cut(self, seconds: float) -> None:
        """Let the shop behave as if the cache refused connections for so long; 0 ends it."""
        for one in self.addresses:
            _ask(one, "POST", "/lab/outage", {"seconds": seconds})

    def versions(self, rows: Sequence[Row], drain_seconds: float) -> tuple[dict[Row, int], int]:
        """Which versions rows have in the database once the queue was written, and how many changes still wait."""
        found: dict[Row, int] = {}
        left = 0
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[begin : begin + ROWS_AT_ONCE]
            asked = {"rows": [list(row) for row in some], "drain_seconds": drain_seconds}
            said = _ask(self.addresses[0], "POST", "/lab/versions", asked, drain_seconds + SPARE_SECONDS)
            try:
                versions, left = list(said["versions"]), left + int(said["left"])
            except (KeyError, TypeError, ValueError):
                raise ShopTrouble("the shop does not say which versions its rows have") from None
            found |= {row: version for row, version in zip(some, versions, strict=False) if isinstance(version, int)}
        return found, left


def _ask(
    shop: Address, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = ASKING_SECONDS
) -> dict[str, Any]:
    line = Line(shop, timeout)
    try:
        reply = line.send(Request(method, path, "", None if body is None else json.dumps(body).encode()))
    except NO_ANSWER:
        raise ShopTrouble(f"the shop at {shop.host}:{shop.port} does not answer") from None
    finally:
        line.close()
    try:
        said = json.loads(reply.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ShopTrouble(f"the shop has no {path}, or not as expected (status {reply.status})")
    if reply.status != 200:
        raise ShopTrouble(str(said.get("error", f"the shop refuses {path} (status {reply.status})")))
    return said


def _standing(said: Mapping[str, Any]) -> Standing:
    """What is missing or of another kind counts as nothing: the shop may be of another release."""
    queue, cache = _mapping(said.get("queue")), said.get("cache")
    return Standing(
        process=str(said.get("process", "")),
        counters={name: float(n) for name, n in _mapping(said.get("counters")).items() if isinstance(n, int | float)},
        queued=int(_number(queue.get("length"))),
        lag_seconds=_number(queue.get("lag_seconds")),
        dead=int(_number(queue.get("dead"))),
        breaker=str(said.get("breaker", "closed")),
        cache=_cache(cache) if isinstance(cache, dict) else None,
    )


def _cache(said: Mapping[str, Any]) -> CacheSize:
    maxmemory, used = int(_number(said.get("maxmemory"))), int(_number(said.get("used")))
    return CacheSize(maxmemory, used, str(said.get("policy", "")), str(said.get("risk", "")))


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _number(found: object) -> float:
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else 0.0
