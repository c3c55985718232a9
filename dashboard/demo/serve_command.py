"""`serve`: the shop itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from dashboard.demo.knobs import PATTERNS, PREVENTIONS, Knobs
from dashboard.demo.sql.making import Size

HOST = "127.0.0.1"
PORT = 8001
CACHE_VARIABLE = "DEMO_CACHE_URL"
DATABASE_VARIABLE = "DEMO_DATABASE_URL"
PREFIX = re.compile(r"[A-Za-z0-9_:.-]{0,64}")  # nothing that a pattern of SCAN, or a hash tag, takes for something else
DATA = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--data", type=DATA, required=True, help="Folder of the database, if it is SQLite.")
@click.option("--host", default=HOST, show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--prefix", default="", help="In front of all the shop's keys, for a cache that others use too.")
@click.option("--users", type=click.IntRange(1, 1_000_000), default=Size.users, show_default=True)
@click.option("--products", type=click.IntRange(1, 100_000), default=Size.products, show_default=True)
@click.option("--pattern", type=click.Choice(PATTERNS), default=Knobs.pattern, show_default=True)
@click.option("--prevention", type=click.Choice(PREVENTIONS), default=Knobs.prevention, show_default=True)
@click.option(
    "--jitter/--no-jitter", default=Knobs.jitter, show_default=True, help="Spread TTLs by 10 % to either side."
)
@click.option("--latency-ms", type=float, default=Knobs.latency_ms, show_default=True, help="Added to each query.")
def serve(
    *,
    data: Path,
    host: str,
    port: int,
    prefix: str,
    users: int,
    products: int,
    pattern: str,
    prevention: str,
    jitter: bool,
    latency_ms: float,
) -> None:
    """Answer HTTP requests, through the cache whose URL is in DEMO_CACHE_URL.

    The database is SQLite in --data, or the PostgreSQL whose URL is in DEMO_DATABASE_URL.
    """
    from dashboard.demo.assembly import Plan  # noqa: PLC0415 - what serves the shop, its visitors do not load
    from dashboard.demo.caching.remote import BadCacheUrl  # noqa: PLC0415
    from dashboard.demo.server import answer  # noqa: PLC0415
    from dashboard.demo.signals import on_signals  # noqa: PLC0415
    from dashboard.demo.sql.build import BadDatabase  # noqa: PLC0415
    from dashboard.demo.sql.database import sqlite_url  # noqa: PLC0415

    cache = os.environ.get(CACHE_VARIABLE)
    if not cache:
        raise click.UsageError(f"set {CACHE_VARIABLE} to the cache's URL")
    if not PREFIX.fullmatch(prefix):
        raise click.UsageError("the prefix takes letters, digits and _ : . - only")
    database = os.environ.get(DATABASE_VARIABLE) or sqlite_url(data / "shop.db")
    turned = Knobs().turned({"pattern": pattern, "prevention": prevention, "jitter": jitter, "latency_ms": latency_ms})
    # A half-made database is thrown away at the next start, so a signal may end the build anywhere.
    # At once, and not by an exception: raised within the database's own callbacks, it would be lost.
    on_signals(lambda: os._exit(0))
    try:
        answer(Plan(database, cache, prefix, turned, Size(users, products)), host, port)
    except BadCacheUrl as error:
        raise click.UsageError(f"{CACHE_VARIABLE}: {error}") from None
    except BadDatabase as error:
        raise click.UsageError(f"{DATABASE_VARIABLE}: {error}") from None
