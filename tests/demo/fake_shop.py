"""A shop that keeps its rows in memory and can be made to err: what the driver and the bench must notice.

It answers by HTTP what they ask of a real one, among it the endpoints of the lab. No cache, no database.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from dashboard.demo.bench.shops import Shops
from dashboard.demo.knobs import BadKnob, Knobs
from dashboard.demo.visitors.line import Address
from tests.servers import HOST

USERS, PRODUCTS = 300, 200


@dataclass
class FakeShop:
    """`shows_old`: reads show the version before. `forgets`: acknowledged changes never reach the database.

    `asked` are all requests but those of the lab, `turned` all turns of the knobs, `weather` removals and outages.
    """

    port: int
    knobs: Knobs = field(default_factory=Knobs)
    shows_old: bool = False
    forgets: bool = False
    unwell: bool = False
    lab_answers: bool = True
    left: int = 0
    stall: threading.Event = field(default_factory=threading.Event)
    shown: dict[tuple[str, Any], int] = field(default_factory=dict)
    stored: dict[tuple[str, Any], int] = field(default_factory=dict)
    writing: threading.Lock = field(default_factory=threading.Lock)
    queries: int = 0
    used: int = 1_000_000
    maxmemory: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    turned: list[dict[str, Any]] = field(default_factory=list)
    weather: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> Address:
        return Address(HOST, self.port)

    def client(self) -> Shops:
        return Shops([self.address])


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, as the real one has it

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def fake_shop(port: int = 0) -> Iterator[FakeShop]:
    """A running one; another is chosen for port 0."""
    app = Flask("fake-shop")
    server = make_server(HOST, port, app, threaded=True, request_handler=_Silent)
    shop = FakeShop(server.port)
    shop.stall.set()
    _reads_and_writes(app, shop)
    _lab(app, shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        shop.stall.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _reads_and_writes(app: Flask, shop: FakeShop) -> None:
    @app.before_request
    def note() -> Response | None:
        if not request.path.startswith("/lab"):
            shop.asked.append((request.method, request.full_path.rstrip("?")))
            shop.stall.wait(60)
        elif not shop.lab_answers:
            return Response("{}", 503)
        return None

    @app.get("/")
    def window() -> Response:
        return jsonify(users=USERS, products=PRODUCTS)

    @app.get("/<path:_path>")
    def read(_path: str) -> Response | tuple[Response, int]:
        if shop.unwell:
            return jsonify(error="unwell"), 503
        row = _row(request.path)
        shop.queries += 1
        shop.used += 1000
        version = shop.shown.get(row, 1) - shop.shows_old
        answer = jsonify(version=version) if row[0] in ("user", "posts", "product", "price") else jsonify(found=[])
        answer.headers["X-Cache"] = "miss"
        return answer

    @app.route("/<path:_path>", methods=["PUT", "POST"])
    def write(_path: str) -> Response:
        if request.path == "/carts":
            return jsonify(kept=True)
        row = ("product", request.get_json()["product"]) if request.path == "/orders" else _row(request.path)
        with shop.writing:
            version = shop.shown[row] = shop.shown.get(row, 1) + 1
            if not shop.forgets:
                shop.stored[row] = version
        return jsonify(changed=True, invalidated=True, queued=shop.forgets, version=version)


def _row(path: str) -> tuple[str, Any]:
    kind, _, rest = path.strip("/").partition("/")
    name, _, more = rest.partition("/")
    if more:
        return more, int(name)
    return kind.rstrip("s"), int(name) if name.isdigit() else name


def _lab(app: Flask, shop: FakeShop) -> None:
    @app.get("/lab/knobs")
    def knobs() -> Response:
        return jsonify(shop.knobs.to_plain())

    @app.put("/lab/knobs")
    def turn() -> Response | tuple[Response, int]:
        try:
            shop.knobs = shop.knobs.turned(request.get_json())
        except BadKnob as error:
            return jsonify(error=str(error)), 400
        shop.turned.append(request.get_json())
        return knobs()

    @app.get("/lab/figures")
    def figures() -> Response:
        return jsonify(
            process="one",
            counters={"queries": shop.queries, "duplicate_loads": shop.queries // 10, "acks": 0},
            queue={"length": shop.left, "lag_seconds": 0.25 if shop.left else 0.0, "dead": 0},
            cache={"maxmemory": shop.maxmemory, "used": shop.used, "policy": "allkeys-lru"},
        )

    @app.post("/lab/removal")
    def removal() -> Response:
        shop.weather.append("removal")
        return jsonify(removed=0)

    @app.post("/lab/outage")
    def outage() -> Response:
        shop.weather.append(f"outage {request.get_json()['seconds']:g}")
        return jsonify(seconds=0)

    @app.post("/lab/versions")
    def versions() -> Response:
        rows = [(kind, name) for kind, name in request.get_json()["rows"]]
        return jsonify(versions=[shop.stored.get(row, 1) for row in rows], left=shop.left, dead=0)
