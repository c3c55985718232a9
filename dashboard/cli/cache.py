"""What commands over keys have in common: which of the configured caches, and which keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dashboard.cache.selecting.selection import BadSelection, Selection, written
from dashboard.cache.servers.connect import Cache
from dashboard.settings import Settings

_OPTIONS = (
    click.argument("pattern", default="*"),
    click.option("--cache", "name", help="Which cache; may be left out when only one is configured."),
    click.option("--type", "kind", default="", help="Only keys of this type: string, hash, list, set, zset, stream."),
    click.option("--ttl", default="", help="Only keys with: none, any, '<5m', '>2h', 5m-1h left (units s m h d w)."),
    click.option("--size", default="", help="Only keys of '>1MB', '<100' (units b kb mb gb), by MEMORY USAGE."),
)


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument PATTERN and the options that say which cache and which keys."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def selected(pattern: str, kind: str, ttl: str, size: str) -> Selection:
    """The keys of those options. Raises UsageError with a sentence."""
    try:
        return written(pattern, kind, ttl, size)
    except BadSelection as error:
        raise click.UsageError(str(error)) from None


def chosen(settings: Settings, name: str | None) -> Cache:
    """The cache of this name, or the only one; the caller closes it. Raises UsageError with a sentence."""
    targets = {target.name: target for target in settings.caches}
    if not targets:
        raise click.UsageError("No cache is configured: set CACHEDECK_CACHES.")
    if name is None and len(targets) > 1:
        raise click.UsageError(f"Say which cache with --cache: {', '.join(targets)}.")
    wanted = name or next(iter(targets))
    if wanted not in targets:
        raise click.UsageError(f"No cache is named {wanted!r}; there are {', '.join(targets)}.")
    return Cache(targets[wanted])
