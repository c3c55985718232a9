"""The shop as a Flask application: JSON in, JSON out."""

from __future__ import annotations

import sqlalchemy.exc
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from dashboard.demo import lab_api, reads, writes
from dashboard.demo.assembly import Plan, assemble
from dashboard.demo.parts import EXTENSION, Parts, parts
from dashboard.demo.sessions import session_id


def create_demo_app(plan: Plan) -> Flask:
    """The shop over a database, which is made where it is missing, and a cache, which may be away.

    Raises as `assemble`. `close_demo_app` releases what it opened.
    """
    app = Flask("demo-shop", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    made = app.extensions[EXTENSION] = assemble(plan)
    made.start()
    for blueprint in (reads.blueprint, writes.blueprint, lab_api.blueprint):
        app.register_blueprint(blueprint)
    app.before_request(_arrive)
    app.register_error_handler(HTTPException, _problem)
    for trouble in (sqlalchemy.exc.OperationalError, sqlalchemy.exc.TimeoutError, sqlalchemy.exc.InterfaceError):
        app.register_error_handler(trouble, _database_trouble)
    return app


def close_demo_app(app: Flask) -> None:
    found: Parts = app.extensions[EXTENSION]
    found.close()


def _arrive() -> None:
    sid = session_id(request)
    if sid is not None and not parts().visits.arrive(sid, request.path[:80]):
        raise TooManyRequests("too many requests in this minute")


def _problem(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=error.description), error.code or 500


def _database_trouble(_error: sqlalchemy.exc.SQLAlchemyError) -> tuple[Response, int]:
    return _problem(ServiceUnavailable("the shop's database does not answer at the moment"))
