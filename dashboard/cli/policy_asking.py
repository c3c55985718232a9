"""What `cachedeck policy set` and `try` have in common: NAME=VALUE, the preview, and the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from dashboard.cache.servers.setting import BY_NAME, BadValue
from dashboard.cli.desk import DONE, FAILED, NEEDS_APPROVAL, Desk, agreed
from dashboard.cli.policy_words import preview_lines
from dashboard.cli.text import say
from dashboard.jobs import tuning
from dashboard.jobs.tuning import Preview

_OPTIONS = (
    click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE..."),
    click.option("--cache", "name", help="Which cache; may be left out when only one is configured."),
    click.option("--replicas", is_flag=True, help="Also on the replicas."),
    click.option("--reason", default="", help="Kept in the history and the audit trail."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--despite-warnings", is_flag=True, help="With --yes: also where something has to be confirmed."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object."),
)


@dataclass(frozen=True)
class Wishes:
    """How a command goes about it."""

    replicas: bool
    reason: str
    yes: bool
    despite_warnings: bool
    as_json: bool


def asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and the options that say what is set where, and how one is asked."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted_of(pairs: Sequence[str]) -> dict[str, str]:
    """Setting -> value as typed. Raises UsageError."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        name = name.strip().lower()
        if not sign:
            raise click.UsageError(f"{pair!r} is no NAME=VALUE, such as maxmemory-policy=allkeys-lfu.")
        setting = BY_NAME.get(name)
        if setting is None or not setting.editable:
            known = ", ".join(one.name for one in BY_NAME.values() if one.editable)
            raise click.UsageError(f"{name!r} is no setting that this changes. There are: {known}.")
        if name in found:
            raise click.UsageError(f"{name} is given twice.")
        found[name] = value
    return found


def seen_before(desk: Desk, wanted: Mapping[str, str], wishes: Wishes) -> Preview:
    """The preview, printed. Raises UsageError for values that cannot be meant, Refused, CacheError."""
    try:
        seen = tuning.preview(desk.store, desk.settings, desk.cache, wanted, replicas=wishes.replicas)
    except BadValue as error:
        raise click.UsageError(error.sentence) from None
    say(preview_lines(desk.cache.name, seen), err=wishes.as_json)
    return seen


def obstacle(desk: Desk, seen: Preview, question: str, wishes: Wishes) -> int:
    """Why it is not done, as an exit code; DONE where somebody has agreed. It is said on stderr."""
    if seen.asks and wishes.yes and not wishes.despite_warnings:
        click.echo("That has to be confirmed: say --despite-warnings if you mean it. Nothing was done.", err=True)
        return NEEDS_APPROVAL
    if not agreed(desk, question, yes=wishes.yes):
        click.echo("Nothing was done.", err=True)
        return FAILED
    return DONE
