"""The shop as a Flask application: JSON in, JSON out."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy.exc
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from dashboard.demo import reads, writes
from dashboard.demo.copies import Copies
from dashboard.demo.database import Database, sqlite_url
from dashboard.demo.invalidations import Invalidations
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.making import Size
from dashboard.demo.parts import EXTENSION, Parts, parts
from dashboard.demo.patterns.cache_aside import CacheAside
from dashboard.demo.remote import Remote
from dashboard.demo.rows import Rows
from dashboard.demo.sessions import session_id
from dashboard.demo.shop import Shop
from dashboard.demo.ttl import Lifetimes
from dashboard.demo.visits import Visits


def create_demo_app(database: Path, cache_url: str, *, jitter: float = 0.0, size: Size | None = None) -> Flask:
    """The shop over a database file, which is made where it is missing, and a cache, which may be away.

    `cache_url` is redis://, rediss:// or unix://; `jitter` is the share by which TTLs are spread (0 is off, ttl.JITTER
    is usual); `size` counts only when the file is made. Raises OSError or SQLAlchemyError where the file cannot be
    used, BadCacheUrl for another kind of URL. `close_demo_app` releases what it opened.
    """
    opened = Database(sqlite_url(database), size=size)
    keys, remote, lifetimes, copies = Keyspace(), Remote(cache_url), Lifetimes(jitter), Copies()
    invalidations = Invalidations(cache_url, remote, copies)
    app = Flask("demo-shop", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.extensions[EXTENSION] = Parts(
        keys=keys,
        database=opened,
        rows=Rows(opened),
        shop=Shop(opened),
        remote=remote,
        pattern=CacheAside(remote),
        visits=Visits(remote, keys, lifetimes),
        lifetimes=lifetimes,
        copies=copies,
        invalidations=invalidations,
    )
    invalidations.start()
    app.register_blueprint(reads.blueprint)
    app.register_blueprint(writes.blueprint)
    app.before_request(_arrive)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(sqlalchemy.exc.OperationalError, _database_trouble)
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


def _database_trouble(_error: sqlalchemy.exc.OperationalError) -> tuple[Response, int]:
    return _problem(ServiceUnavailable("the shop's database does not answer at the moment"))
