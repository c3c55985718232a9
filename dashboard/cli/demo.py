"""`cachedeck demo`: the shop, its visitors and its caching patterns compared, on a cache of the configuration.

The demo is a program of its own (`python -m dashboard.demo`), which knows nothing of Cachedeck: here it is given the
cache's address, in the environment, and its options.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from types import FrameType

import click

from dashboard.cli.cache import chosen
from dashboard.cli.demo_server import brought, require_usable, url_of
from dashboard.leash import die_with_parent
from dashboard.settings import Settings, load_settings, prepare_data_folder

SHOP_PORT = 8601
BENCH_PORT = 8602
PREFIX = "demo:"
VARIABLE = "DEMO_CACHE_URL"
_PORT = click.IntRange(1, 65535)
_PREVENTION = click.Choice(["none", "mutex", "xfetch", "revalidate"])
_CACHE = click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
_YES = click.option("--yes", is_flag=True, help="Also on a cache that is labelled production.")


@click.group("demo")
def demo_group() -> None:
    """A small shop behind a cache, its visitors, and its caching patterns compared."""


@demo_group.command("serve")
@_CACHE
@_YES
@click.option("--port", type=_PORT, default=SHOP_PORT, show_default=True, help="Where the shop answers.")
@click.option("--prefix", default=PREFIX, show_default=True, help="In front of all the shop's keys.")
@click.option("--users", type=click.IntRange(1), help="So many users, where its database is made.")
@click.option("--products", type=click.IntRange(1), help="So many products, likewise.")
def serve(*, name: str | None, yes: bool, port: int, prefix: str, users: int | None, products: int | None) -> None:
    """Start the shop on a configured cache. Its database is SQLite, or the PostgreSQL of DEMO_DATABASE_URL."""
    settings = _settings()
    url = _configured(settings, name, yes=yes)
    given = {"data": settings.data / "demo", "port": port, "prefix": prefix, "users": users, "products": products}
    _become([*_demo("serve"), *_options(given)], {VARIABLE: url})


@demo_group.command("drive")
@click.option("--url", "urls", multiple=True, default=[f"http://127.0.0.1:{SHOP_PORT}"], show_default=True)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests a second.")
@click.option(
    "--bench-port", type=_PORT, default=BENCH_PORT, show_default=True, help="Where the Lab screen finds figures."
)
def drive(*, urls: tuple[str, ...], rate: float | None, bench_port: int) -> None:
    """Send the shop its visitors, and tell the Lab screen of them (CACHEDECK_DEMO_URL). Several --url are one shop."""
    settings = _settings()
    given = {"rate": rate, "bench-port": bench_port, "data": settings.data / "demo"}
    _become([*_demo("drive"), *(word for url in urls for word in ("--url", url)), *_options(given)], {})


@demo_group.command("compare")
@_CACHE
@_YES
@click.option("--seconds", type=click.IntRange(5, 3600), help="Of each pattern.")
@click.option("--seed", type=int, help="The same requests for the same seed.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests a second.")
@click.option("--prevention", type=_PREVENTION, help="Of stampedes.")
@click.option("--latency-ms", type=click.FloatRange(0), help="Added to each query of the database.")
@click.option("--no-jitter", is_flag=True, help="Leave TTLs as they are.")
@click.option("--ttl-scale", type=click.FloatRange(0, min_open=True), help="All TTLs times this.")
@click.option("--processes", type=click.IntRange(1, 2), help="Of the shop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def compare(
    context: click.Context, /, *, name: str | None, yes: bool, no_jitter: bool, as_json: bool, **more: object
) -> None:
    """Run all four caching patterns under the same load, one after the other, and print what they did.

    On a configured cache, under keys of its own that are removed afterwards; without any, on a Valkey that is brought
    for as long.
    """
    settings = _settings()
    given = {**more, "no-jitter": no_jitter, "json": as_json}
    command = [*_demo("compare"), *_options(given)]
    if settings.caches:
        _become(command, {VARIABLE: _configured(settings, name, yes=yes)})
    if name:
        raise click.UsageError("No cache is configured: set CACHEDECK_CACHES.")
    with brought(settings.embedded_maxmemory) as url:
        context.exit(_stay(command, {VARIABLE: url}))


def _settings() -> Settings:
    settings = load_settings()
    prepare_data_folder(settings)
    return settings


def _configured(settings: Settings, name: str | None, *, yes: bool) -> str:
    """The URL of the cache of that name, or of the only one. Raises UsageError."""
    cache = chosen(settings, name)
    cache.close()
    require_usable(cache.target, yes=yes)
    return url_of(cache.target)


def _demo(verb: str) -> list[str]:
    return [sys.executable, "-m", "dashboard.demo", verb]


def _options(given: Mapping[str, object]) -> list[str]:
    """What was said, as the demo is told it; what was not is the demo's own to decide."""
    words: list[str] = []
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _become(command: list[str], environment: Mapping[str, str]) -> None:
    """Be that program from now on: signals reach it, and its exit code is ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, {**os.environ, **environment})  # noqa: S606 (our own command)


def _stay(command: list[str], environment: Mapping[str, str]) -> int:
    """Run that program to its end and give its exit code. It alone is told of SIGINT and SIGTERM, once each."""
    child = subprocess.Popen(  # noqa: S603 (our own command)
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 (no thread runs here)
    )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    former = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
