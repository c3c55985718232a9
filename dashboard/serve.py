"""The web process: gunicorn with the settings that this application needs."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError

from dashboard.leash import die_with_parent
from dashboard.listening import BACKLOG, home, listen
from dashboard.settings import BadSettings
from dashboard.stopping import STOPPING

if TYPE_CHECKING:
    import socket

    from flask import Flask

    from dashboard.settings import Settings

# What requests under way may take when it stops; less than `cachedeck up` waits. Idle kept-alive connections,
# which gunicorn keeps open for 2 s more, fit into it.
GRACEFUL_SECONDS = 3
KEEP_ALIVE_SECONDS = 5
# Pages repeat their URL, which holds a key of up to 10 kB (14 kB in base64), in Referer and HX-Current-URL.
HEADER_BYTES = 65536


def run_web(settings: Settings) -> None:
    """Serve until a signal. Ends by SystemExit: 0 after SIGTERM, with a sentence where it cannot listen."""
    listener = listen(settings.host, settings.port)
    _Web(settings, listener).run()


class _Web(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        # The bound socket itself, so that a taken port is found once, at once, and in our words.
        self._bind = f"fd://{listener.detach()}"
        super().__init__()

    def load_config(self) -> None:
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("bind", self._bind)
        self.cfg.set("post_fork", _leash)
        self.cfg.set("post_worker_init", self._announce)

    def load(self) -> Flask:
        """The application, in the process that serves it. What is wrong is printed and ends the server (code 4)."""
        # Only the serving process loads the application and what it needs.
        from dashboard import create_app  # noqa: PLC0415
        from dashboard.store.errors import StoreError  # noqa: PLC0415

        try:
            return create_app(self._settings)
        except BadSettings as error:
            raise AppImportError(str(error)) from None
        except StoreError as error:
            raise AppImportError(f"{error.sentence} {error.advice}") from None

    def _announce(self, worker: Any) -> None:
        # What is there now stays: a collection that looked at it again would hold up every thread meanwhile.
        gc.collect()
        gc.freeze()
        # Streams have no end of their own: they look whether the process is about to end.
        worker.wsgi.extensions[STOPPING] = lambda: not worker.alive
        print(f"Serving at {home(self._settings)}", flush=True)


def options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's settings; names as in https://docs.gunicorn.org/en/stable/settings.html."""
    return {
        # One process: the work is waiting for caches, which threads do as well, and a second process would
        # cost the memory of a second application and a second set of connections to every cache.
        "workers": 1,
        "worker_class": "gthread",
        # A thread for each open console, made when it is needed: one more that waits costs 0.1 MB (docs/benchmarks.md).
        "threads": settings.web_threads + settings.streams,
        "backlog": BACKLOG,
        "keepalive": KEEP_ALIVE_SECONDS,
        "graceful_timeout": GRACEFUL_SECONDS,
        "limit_request_line": 0,  # which gunicorn bounds to 1 MB (where it did not, nothing longer has a use)
        "limit_request_field_size": HEADER_BYTES,
        # X-Forwarded-* is judged in one place, by the count of CACHEDECK_TRUSTED_PROXIES, in the application.
        "forwarded_allow_ips": "",
        # No access log: its lines would hold keys and searches. Warnings and errors go to stderr.
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "debug" if settings.log_level == "DEBUG" else "warning",
        "control_socket_disable": True,
        "proc_name": "cachedeck",
    }


def _leash(arbiter: Any, _worker: object) -> None:
    die_with_parent(arbiter.pid)
