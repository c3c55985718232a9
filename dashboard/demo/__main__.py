"""`python -m dashboard.demo serve` is the shop, `python -m dashboard.demo drive` its visitors.

The cache's address may hold a password and therefore comes by the environment (DEMO_CACHE_URL), where no process
list shows it. Each runs until SIGTERM or SIGINT and logs to standard output.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click

from dashboard.demo.driver import run
from dashboard.demo.ttl import JITTER

HOST = "127.0.0.1"
PORT = 8001
CACHE_VARIABLE = "DEMO_CACHE_URL"


@click.group()
def main() -> None:
    """A small shop behind a cache, and the visitors that keep it busy."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)


@main.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the database.")
@click.option("--host", default=HOST, show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--jitter/--no-jitter", default=False, show_default=True, help="Spread each TTL by 10 % to either side.")
def serve(data: Path, host: str, port: int, jitter: bool) -> None:
    """Answer HTTP requests, through the cache whose URL is in DEMO_CACHE_URL."""
    from dashboard.demo.remote import BadCacheUrl  # noqa: PLC0415 - what serves the shop, its visitors do not load
    from dashboard.demo.server import answer  # noqa: PLC0415 - what serves the shop, its visitors do not load

    cache_url = os.environ.get(CACHE_VARIABLE)
    if not cache_url:
        raise click.UsageError(f"set {CACHE_VARIABLE} to the cache's URL")
    # A half-made database is thrown away at the next start, so a signal may end the build anywhere.
    # At once, and not by an exception: raised within the database's own callbacks, it would be lost.
    _on_signals(lambda: os._exit(0))
    try:
        answer(data / "shop.db", cache_url, host, port, jitter=JITTER if jitter else 0.0)
    except BadCacheUrl as error:
        raise click.UsageError(f"{CACHE_VARIABLE}: {error}") from None


@main.command()
@click.option("--url", default=f"http://{HOST}:{PORT}", show_default=True, help="Where the shop is.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=150.0, show_default=True, help="Requests a second."
)
def drive(url: str, rate: float) -> None:
    """Send the shop requests as its visitors would."""
    stop = threading.Event()
    _on_signals(stop.set)
    try:
        run(url, rate, stop)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: act())


if __name__ == "__main__":
    main(prog_name="python -m dashboard.demo")
