"""The `cachedeck` command: one verb a capability."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import click

from dashboard import __version__
from dashboard.cache.connect import Cache
from dashboard.cache.errors import CacheError
from dashboard.cache.key_token import from_printable, printable
from dashboard.cache.keys import Row
from dashboard.cache.search import listing
from dashboard.cache.selection import BadSelection, Selection
from dashboard.cli_audit import audit_group
from dashboard.cli_operators import operator_group
from dashboard.settings import BadSettings, Settings, load_settings, prepare_data_folder
from dashboard.store.errors import StoreError


class _Command(click.Group):
    """Turns what can be wrong with settings or servers into one sentence and an exit code, never a trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadSettings, BadSelection) as error:
            raise click.ClickException(str(error)) from None
        except (CacheError, StoreError) as error:
            raise click.ClickException(f"{error.sentence} {error.advice}") from None


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cachedeck")
def main() -> None:
    """Cachedeck: the cache operator's dashboard for Redis and Valkey."""


main.add_command(operator_group)
main.add_command(audit_group)


@main.command()
def up() -> None:
    """Start everything: the web process, the worker and, if no cache is configured, a Valkey with demo traffic."""
    from dashboard.up import run_up

    sys.exit(run_up(load_settings()))


@main.command()
def web() -> None:
    """Start the web process (gunicorn) on CACHEDECK_HOST and CACHEDECK_PORT."""
    from dashboard.serve import run_web

    settings = load_settings()
    prepare_data_folder(settings)
    _log_to_stderr(settings)
    run_web(settings)


@main.command()
def worker() -> None:
    """Start the worker: it samples every cache and does the background work."""
    from dashboard.jobs.worker import run

    settings = load_settings()
    prepare_data_folder(settings)
    _log_to_stderr(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(settings, stop)


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the schema


@main.group()
def config() -> None:
    """The settings in force."""


@config.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def check(as_json: bool) -> None:
    """Show the effective settings, secrets masked, and try each cache. Exit code 1 if one cannot be used."""
    settings = load_settings()
    prepare_data_folder(settings)
    shown = {name: _masked(name, value) for name, value in settings if name != "caches"}
    tried = [_tried(target) for target in map(Cache, settings.caches)]
    if as_json:
        click.echo(json.dumps({"settings": shown, "caches": tried}, indent=2, ensure_ascii=False))
    else:
        _print_check(shown, tried)
    sys.exit(0 if all(one["usable"] for one in tried) else 1)


def _print_check(shown: dict[str, str], tried: list[dict[str, Any]]) -> None:
    width = max(map(len, shown)) + len("CACHEDECK_")
    for name, value in shown.items():
        click.echo(f"{('CACHEDECK_' + name.upper()).ljust(width)}  {value}")
    if not tried:
        click.echo("No cache is configured: `cachedeck up` brings its own, with demo traffic.")
    for one in tried:
        click.echo(f"{one['name']}: {one['address']} {' '.join(one['labels'])}".rstrip())
        click.echo(f"  {one['sentence']}")
        for line in one["denied"]:
            click.echo(f"  {line}")


def _masked(name: str, value: object) -> str:
    if value is None:
        return "(default)"
    return "********" if name in ("secret_key", "database_url", "queue_url") else str(value)


def _tried(cache: Cache) -> dict[str, Any]:
    target = cache.target
    labels = [word for word in (target.environment, "read-only" if target.read_only else "") if word]
    found: dict[str, Any] = {"name": target.name, "address": target.address, "labels": labels, "denied": []}
    with closing(cache):
        try:
            can = cache.capabilities()
            primaries = cache.primaries()
        except CacheError as error:
            return found | {"usable": False, "sentence": f"{error.sentence} {error.advice}"}
    sentence = (
        f"{can.product} {can.version}, {can.mode}, {len(primaries)} primar{'y' if len(primaries) == 1 else 'ies'}."
    )
    return found | {"usable": True, "sentence": sentence, "denied": [can.why_not(name) for name in sorted(can.denied)]}


@main.command()
@click.argument("pattern", default="*")
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--type", "kind", default="", help="Only keys of this type: string, hash, list, set, zset, stream.")
@click.option("--ttl", default="", help="Only keys with: none, any, '<SECONDS' or '>SECONDS' left.")
@click.option("--limit", default=0, type=click.IntRange(0), help="Stop after so many keys; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def keys(pattern: str, name: str | None, kind: str, ttl: str, limit: int, as_json: bool) -> None:
    r"""List keys that match a glob PATTERN (bytes that are no text are written as \xNN).

    Exit code 1 if a primary could not be searched to the end: the list may lack keys then.
    """
    selection = Selection(from_printable(pattern), kind, ttl)
    with closing(_chosen(load_settings(), name)) as cache:
        lost = _list(cache, selection, limit, _print_json if as_json else _print_line)
    for node, why in lost.items():
        click.echo(f"Not searched to the end: {node}: {why}", err=True)
    sys.exit(1 if lost else 0)


def _list(cache: Cache, selection: Selection, limit: int, show: Callable[[Row], None]) -> dict[str, str]:
    """Print rows as they are found; the primaries that were lost on the way, each with why."""
    shown = 0
    lost: dict[str, str] = {}
    for rows, position in listing(cache, selection):
        lost = position.lost
        for row in rows:
            show(row)
            shown += 1
            if shown == limit:
                return {}
        if sys.stderr.isatty() and not sys.stdout.isatty():
            line = f"{position.examined:,} of {position.total:,} keys examined, {shown:,} found"
            click.echo(f"\r\033[K{line}" + ("\n" if position.ended else ""), err=True, nl=False)
    return lost


def _print_line(row: Row) -> None:
    ttl = "-" if row.pttl_ms < 0 else f"{row.ttl:.0f}s"
    memory = "-" if row.memory is None else str(row.memory)
    click.echo(f"{row.type:<7} {ttl:>9} {memory:>10}  {printable(row.key)}")


def _print_json(row: Row) -> None:
    fields = {"key": printable(row.key), "type": row.type, "ttl_ms": row.pttl_ms, "memory": row.memory}
    fields |= {"idle": row.idle} if row.frequency is None else {"frequency": row.frequency}
    click.echo(json.dumps(fields, ensure_ascii=False))


def _chosen(settings: Settings, name: str | None) -> Cache:
    targets = {target.name: target for target in settings.caches}
    if not targets:
        raise click.UsageError("No cache is configured: set CACHEDECK_CACHES.")
    if name is None and len(targets) > 1:
        raise click.UsageError(f"Say which cache with --cache: {', '.join(targets)}.")
    chosen = name or next(iter(targets))
    if chosen not in targets:
        raise click.UsageError(f"No cache is named {chosen!r}; there are {', '.join(targets)}.")
    return Cache(targets[chosen])
