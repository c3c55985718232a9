"""Serves the shop with gunicorn: one process, several threads, keep-alive connections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from dashboard.demo.app import create_demo_app
from dashboard.demo.assembly import Plan
from dashboard.demo.caching.remote import CacheTrouble, Remote
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.removal import remove_keys
from dashboard.demo.sql.database import Database

THREADS = 24  # with 8, a stampede would be over before it could be seen: the others would wait outside
log = logging.getLogger("dashboard.demo")


def answer(plan: Plan, host: str, port: int) -> None:
    """Serve the shop until SIGTERM or SIGINT. The database is made first, before anybody can connect.

    What is wrong with the plan is raised at once, not in the process that serves: as by `assemble`.
    """
    with closing(Remote(plan.cache)) as remote, closing(Database(plan.database, size=plan.size)) as database:
        if database.made:
            _forget_the_one_before(remote, Keyspace(plan.prefix))
    log.info("the shop is at http://%s:%s", host, port)
    Gunicorn(lambda: create_demo_app(plan), host, port).run()


def _forget_the_one_before(remote: Remote, keys: Keyspace) -> None:
    """A new database begins its versions anew: whatever the cache still holds of an earlier one would seem newer than
    its rows, and would be shown until its TTL ends."""
    try:
        removed = remove_keys(remote, keys)
    except CacheTrouble:
        log.warning("the cache does not answer: what it holds of an earlier database is shown until its TTL ends")
        return
    if removed:
        log.info("removed what the cache held of an earlier database: %s keys", f"{removed:,}")


class Gunicorn(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line: `make` is called in the worker, after the fork."""

    def __init__(self, make: Callable[[], Flask], host: str, port: int) -> None:
        self._make = make
        self._bind = f"{host}:{port}"
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": self._bind,
            "worker_class": "gthread",
            "workers": 1,
            "threads": THREADS,
            "keepalive": 30,
            "graceful_timeout": 1,
            "loglevel": "warning",
            "proc_name": "demo-shop",
            "control_socket_disable": True,
        }
        for name, setting in settings.items():
            if name in self.cfg.settings:  # the control socket came with a later release than the oldest allowed
                self.cfg.set(name, setting)

    def load(self) -> Flask:
        return self._make()
