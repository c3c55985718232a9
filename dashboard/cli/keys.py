"""`cachedeck keys`: a cache's keys by pattern, as lines or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing

import click

from dashboard.cache.reading.keys import Row
from dashboard.cache.reading.search import listing
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cli.cache import chosen, selected, selecting
from dashboard.settings import load_settings


@click.command("keys")
@selecting
@click.option("--limit", default=0, type=click.IntRange(0), help="Stop after so many keys; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def keys_command(pattern: str, name: str | None, kind: str, ttl: str, size: str, limit: int, as_json: bool) -> None:
    r"""List keys that match a glob PATTERN (bytes that are no text are written as \xNN).

    Exit code 1 if a primary could not be searched to the end: the list may lack keys then.
    """
    selection = selected(pattern, kind, ttl, size)
    with closing(chosen(load_settings(), name)) as cache:
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
    ttl = "?" if row.ttl is None else "-" if row.ttl < 0 else f"{row.ttl:.0f}s"
    memory = "-" if row.memory is None else str(row.memory)
    click.echo(f"{row.type or '?':<7} {ttl:>9} {memory:>10}  {printable(row.key)}")


def _print_json(row: Row) -> None:
    fields = {"key": printable(row.key), "type": row.type, "ttl_ms": row.pttl_ms, "memory": row.memory}
    fields |= {"idle": row.idle} if row.frequency is None else {"frequency": row.frequency}
    click.echo(json.dumps(fields, ensure_ascii=False))
