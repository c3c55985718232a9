"""`cachedeck config`: the settings in force."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Any

import click

from dashboard.cache.errors import CacheError
from dashboard.cache.servers.connect import Cache
from dashboard.settings import load_settings, prepare_data_folder


@click.group("config")
def config_group() -> None:
    """The settings in force."""


@config_group.command("check")
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
