"""Cachedeck: the cache operator's dashboard. `create_app` is the only wiring; it starts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

    from dashboard.settings import Settings

__version__ = "0.1.0"
__all__ = ["create_app"]

REQUEST_LIMIT = 1024 * 1024  # bytes of a request's body: a pasted list of keys, not an upload


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application, for the given settings or those of the environment.

    Raises BadSettings where a setting cannot be used. Connects to no cache; opens (and migrates) the
    store. Starts no threads and no processes: the worker is `cachedeck worker`.
    """
    from flask import Flask

    from dashboard.cache.servers.connect import Cache
    from dashboard.settings import load_settings, prepare_data_folder, secret_key
    from dashboard.store.engine import open_store
    from dashboard.views import access, assets, blueprints, deck, filters, render, shell

    settings = settings or load_settings()
    prepare_data_folder(settings)
    app = Flask(__name__, template_folder=_folder("templates"), static_folder=_folder("static"))
    app.secret_key = secret_key(settings)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = REQUEST_LIMIT
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    caches = {target.name: Cache(target) for target in settings.caches}
    deck.install(app, deck.Deck(settings, open_store(settings.database), caches))
    filters.register(app)
    assets.init_app(app)
    access.init_app(app)
    render.init_app(app)
    shell.init_app(app)
    for blueprint in blueprints():
        app.register_blueprint(blueprint)
    _place_behind_proxies(app, settings)
    return app


def _folder(name: str) -> str:
    """Templates and static files lie inside the installed package, and beside it in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / name
    return str(inside if inside.is_dir() else here.parent / name)


def _place_behind_proxies(app: Flask, settings: Settings) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    inner: WSGIApplication = app.wsgi_app
    if settings.url_prefix:
        inner = _Prefixed(inner, settings.url_prefix)
    count = settings.trusted_proxies
    if count:
        inner = ProxyFix(inner, x_for=count, x_proto=count, x_host=count, x_port=count)
    app.wsgi_app = inner  # type: ignore[method-assign, assignment]


class _Prefixed:
    """Serves the application under a path, whether the proxy passes that path on or strips it."""

    def __init__(self, inner: WSGIApplication, prefix: str) -> None:
        self._inner = inner
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        environ["SCRIPT_NAME"] = self._prefix
        if path == self._prefix or path.startswith(self._prefix + "/"):
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"
        return self._inner(environ, start_response)
