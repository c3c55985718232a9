"""The bench's HTTP: JSON, for programs of the same machine."""

from __future__ import annotations

import logging
import socket
import threading

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from dashboard.demo.bench.bench import BadWish, Bench, NotNow
from dashboard.demo.bench.shops import ShopTrouble
from dashboard.demo.bodies import json_object
from dashboard.demo.knobs import BadKnob
from dashboard.demo.visitors.traffic import BadTraffic

HOST = "127.0.0.1"
LARGEST_BODY = 16 * 1024

log = logging.getLogger("dashboard.demo")


def bench_app(bench: Bench) -> Flask:
    """GET /bench says how all stands, and so does the answer to every change. A refusal is {"error": sentence}.

    A page whose name was bound anew to this address (DNS rebinding) comes with that name and is refused; one of a
    stranger cannot make a browser send JSON here.
    """
    app = Flask("demo-bench", static_folder=None)
    app.config.update(TRUSTED_HOSTS=["127.0.0.1", "localhost", "[::1]"], MAX_CONTENT_LENGTH=LARGEST_BODY)

    @app.get("/bench")
    def stands() -> Response:
        return jsonify(bench.to_plain())

    @app.put("/bench/knobs")
    def knobs() -> Response:
        bench.turn_knobs(json_object())
        return stands()

    @app.put("/bench/traffic")
    def traffic() -> Response:
        bench.turn_traffic(json_object())
        return stands()

    @app.post("/bench/scenario")
    def scenario() -> Response:
        bench.begin_scenario(json_object().get("name"))
        return stands()

    @app.post("/bench/comparison")
    def comparison() -> Response:
        body = json_object()
        bench.begin_comparison(body.get("seconds", 60), body.get("seed", 1), body.get("prevention"))
        return stands()

    @app.delete("/bench/comparison")
    def no_comparison() -> Response:
        bench.cancel_comparison()
        return stands()

    for kind, status in ((BadKnob, 400), (BadTraffic, 400), (BadWish, 400), (NotNow, 409), (ShopTrouble, 409)):
        app.register_error_handler(kind, lambda error, status=status: (jsonify(error=str(error)), status))
    app.register_error_handler(HTTPException, lambda error: (jsonify(error=error.description), error.code or 500))
    return app


class _Quiet(WSGIRequestHandler):
    """The driver's log says what its visitors see; who looks at the bench is not worth a line."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        if type == "error":
            log.warning(message, *args)


def serve(bench: Bench, port: int) -> BaseWSGIServer:
    """Answer on the loopback interface, in threads, until `shutdown`. Raises OSError where the port is taken."""
    # Bound here, as the library would answer a port that is taken by ending the process.
    with socket.create_server((HOST, port)) as bound:
        server = make_server(HOST, port, bench_app(bench), threaded=True, request_handler=_Quiet, fd=bound.fileno())
    threading.Thread(target=server.serve_forever, name="bench", daemon=True).start()
    return server
