"""A bench of the demo as the dashboard sees one: HTTP on loopback, the same addresses and answers, and no shop."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers import HOST

PATTERNS = ["cache-aside", "read-through", "write-through", "write-behind"]
PREVENTIONS = ["none", "mutex", "xfetch", "revalidate"]
SCENARIOS = [
    ("steady", "Steady", "Visitors come as they always do."),
    ("flash-sale", "Flash sale", "Half of all visitors look at one product, whose price changes each second."),
    (
        "mass-expiry",
        "Mass expiry",
        "All entries are filled at once with short TTLs: without jitter they expire together.",
    ),
    ("deploy-flush", "Deploy flushes the cache", "All keys of the shop are removed at once, as some deploys do."),
    ("working-set", "Working set of 3 times maxmemory", "Visitors want three times more than the cache can hold."),
    ("outage", "Cache outage", "For 20 s the cache refuses connections."),
]
KNOBS = {
    "pattern": "cache-aside",
    "prevention": "none",
    "jitter": True,
    "copies": True,
    "events": True,
    "latency_ms": 5.0,
    "ttl_scale": 1.0,
}
TRAFFIC = {
    "rate": 150.0,
    "skew": 1.1,
    "users": 2000,
    "products": 500,
    "write_share": 0.05,
    "burst_factor": 1.0,
    "hot_share": 0.0,
}
NOW = {
    "requests": 149.8,
    "hit_ratio": 0.931,
    "p50_ms": 1.2,
    "p99_ms": 12.4,
    "queries": 45.2,
    "duplicates": 3.4,
    "stale_reads": 0.0,
    "stale_total": 0,
    "errors": 0.0,
    "dropped": 0.0,
    "lag_s": 0.0,
    "queue": 0,
    "dead": 0,
    "lost": None,
    "copies": 12.0,
    "ack_ms": 1.4,
}
POINTS = 300


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def row(pattern: str, place: int, **more: Any) -> dict[str, Any]:
    """What one pattern did in a comparison."""
    queries, duplicates = 60.0 - 12 * place, max(0.0, 4.0 - 1.4 * place)
    return {
        "pattern": pattern,
        "prevention": "none",
        "requests": 9000 - place,
        "hit_ratio": interval(0.90 + place / 50, 0.89 + place / 50, 0.91 + place / 50),
        "p50_ms": interval(1.3, 1.2, 1.4),
        "p99_ms": interval(14.0 - place, 12.2 - place, 16.9 - place),
        "queries": interval(queries, queries - 3, queries + 4),
        "duplicates": interval(duplicates, duplicates * 0.7, duplicates * 1.4),
        "duplicate_total": round(duplicates * 60),
        "stale_reads": 3 if pattern == "cache-aside" else 0,
        "reads_judged": 8500,
        "bypasses": 12 * place,
        "lag_s": 0.6 if pattern == "write-behind" else 0.0,
        "lost": 0,
        "errors": 0,
        "dropped": 0,
        **more,
    }


RISK = "maxmemory-policy is allkeys-lru: the server may evict the queue."


class Bench:
    """What the bench knows. `answers` is put over its next bodies; `refusal` is what it says to any change."""

    def __init__(self) -> None:
        self.knobs = dict(KNOBS)
        self.traffic = dict(TRAFFIC)
        self.scenario: dict[str, Any] = {
            "name": "steady",
            "sentence": SCENARIOS[0][2],
            "since": time.time(),
            "ends": None,
        }
        self.comparison: dict[str, Any] | None = None
        self.now: dict[str, Any] = dict(NOW)
        self.asked: list[tuple[str, str, Any]] = []
        self.over: dict[str, Any] = {}
        self.refusal: tuple[int, str] | None = None
        self.raw: bytes | None = None

    def body(self) -> dict[str, Any]:
        return {
            "at": time.time(),
            "shop": "up",
            "knobs": self.knobs,
            "traffic": self.traffic,
            "scenario": self.scenario,
            "scenarios": [dict(zip(("name", "title", "sentence"), one, strict=True)) for one in SCENARIOS],
            "choices": {"pattern": PATTERNS, "prevention": PREVENTIONS},
            "cache": {"maxmemory": 16 * 1024 * 1024, "used": 12_400_000, "policy": "allkeys-lru", "risk": RISK},
            "now": self.now,
            "series": self.series(),
            "comparison": self.comparison,
            **self.over,
        }

    def series(self) -> dict[str, list[float | None]]:
        until = math.floor(time.time() / 2) * 2
        at = [float(until - 2 * back) for back in range(POINTS, 0, -1)]
        waves = [1 + 0.2 * math.sin(one / 17) for one in at]
        told: dict[str, list[float | None]] = {"at": list(at)}
        for name in ("requests", "p50_ms", "p99_ms", "queries", "duplicates", "stale_reads", "errors", "lag_s"):
            told[name] = [float(self.now[name] or 0) * wave for wave in waves]
        told["hit_ratio"] = [min(1.0, 0.93 * (0.97 + 0.03 * wave)) for wave in waves]
        return told

    def finish(self, state: str = "finished", rows: int = len(PATTERNS)) -> None:
        """A comparison that has come to its end, or some of the way."""
        now = time.time()
        self.comparison = {
            "state": state,
            "begun": now - 245,
            "ended": None if state == "running" else now - 5,
            "seconds": 60,
            "seed": 1,
            "progress": rows / len(PATTERNS),
            "sentence": f"{PATTERNS[min(rows, 3)]}: 12 of 60 s" if state == "running" else "All four ran to their end.",
            "rows": [row(pattern, place) for place, pattern in enumerate(PATTERNS[:rows])],
        }

    def change(self, method: str, path: str, sent: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path, sent))
        if self.refusal:
            return self.refusal[0], {"error": self.refusal[1]}
        if (method, path) == ("PUT", "/bench/knobs"):
            self.knobs.update(sent)
        elif (method, path) == ("PUT", "/bench/traffic"):
            if sent.get("rate", 1) <= 0:
                return 400, {"error": "rate must be a number from 1 to 5000"}
            self.traffic.update(sent)
        elif (method, path) == ("POST", "/bench/scenario"):
            ends = None if sent["name"] == "steady" else time.time() + 48
            self.scenario = {"name": sent["name"], "sentence": "", "since": time.time(), "ends": ends}
        elif (method, path) == ("POST", "/bench/comparison"):
            if self.comparison and self.comparison["state"] == "running":
                return 409, {"error": "a comparison runs already"}
            self.finish("running", 2)
        elif (method, path) == ("DELETE", "/bench/comparison"):
            self.finish("cancelled", 2)
        else:
            return 404, {"error": "there is no such address"}
        return 200, self.body()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bench: Bench

    def do_GET(self) -> None:
        if self.path == "/bench":
            self._answer(200, self.bench.body())
        else:
            self._answer(404, {"error": "there is no such address"})

    def _change(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Content-Type"] != "application/json":
            self._answer(415, {"error": "send JSON"})
            return
        self._answer(*self.bench.change(self.command, self.path, json.loads(sent) if sent else None))

    def do_PUT(self) -> None:
        self._change()

    def do_POST(self) -> None:
        self._change()

    def do_DELETE(self) -> None:
        self._change()

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode() if self.bench.raw is None else self.bench.raw
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a test's output is about the test."""


@contextmanager
def serving(bench: Bench, port: int = 0) -> Iterator[str]:
    """The bench's address, for one block."""
    handler = type("Handler", (_Handler,), {"bench": bench})
    server = ThreadingHTTPServer((HOST, port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
