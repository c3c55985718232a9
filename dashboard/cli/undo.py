"""`cachedeck undo`: bring back what an invalidation has removed."""

from __future__ import annotations

import json

import click

from dashboard.cache.invalidation.report import Undone
from dashboard.cli.desk import (
    DONE,
    FAILED,
    NOT_ALL,
    NOTHING,
    Desk,
    agreed,
    code_of,
    driven,
    opened,
    opened_settings,
    require_answerable,
)
from dashboard.cli.invalidate_json import of_standing
from dashboard.cli.invalidate_words import undone_lines
from dashboard.cli.line import in_a_line
from dashboard.cli.text import plain
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import WHOLE
from dashboard.jobs.run_here import new_owner
from dashboard.store import invalidations


@click.command("undo")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@click.option("--pattern", default=WHOLE, show_default=True, help="Only the keys of it that match this glob.")
@click.option("--reason", default="", help="Kept in the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; its fields are those of the API's answers.")
@click.pass_context
def undo_command(context: click.Context, *, number: int, pattern: str, reason: str, yes: bool, as_json: bool) -> None:
    """Bring back the keys of invalidation NUMBER from the vault, with the TTL that is left to each.

    A key that exists again or was changed since is left as it is. It can be done again. Exit codes: 0 done, 1 failed
    or not wanted, 2 said wrongly, 4 not all of it was done (paused, cancelled, or refused by the server), 5 none of
    its keys matches.
    """
    if not pattern:
        raise click.UsageError("The pattern is empty. Leave it out for all keys.")
    require_answerable(yes=yes)
    with opened_settings() as (_, store):
        made = invalidations.get(store, number)
    if made is None:
        raise click.ClickException(f"There is no invalidation {number}. Old ones are forgotten.")
    with opened(made.cache) as desk:
        context.exit(_undo(desk, number, pattern, reason, yes=yes, as_json=as_json))


def _undo(desk: Desk, number: int, pattern: str, reason: str, *, yes: bool, as_json: bool) -> int:
    """The exit code. Raises CacheError, StoreError, Refused."""
    standing = invalidating.current(desk.store, desk.settings, number)
    kept = standing.entry.keys if standing is not None and standing.entry is not None else 0
    if standing is not None and not as_json:
        click.echo(f"Invalidation {number}, {desk.cache.name}: {plain(standing.task.in_words)}.")
    if kept:
        part = "" if pattern == WHOLE else f" those of {pattern} among"
        if not agreed(desk, f"Bring back{part} the {kept:,} keys that were kept?", yes=yes):
            click.echo("Nothing was done.", err=True)
            return FAILED
    owner = new_owner()
    job = invalidating.undo(desk.store, desk.settings, desk.cache, number, desk.caller, reason, pattern, owner=owner)

    def told(undone: Undone) -> str:
        return f"{undone.back:,} keys brought back, {in_a_line(undone.progress)}"

    job = driven(desk, job, owner, told)
    standing = invalidating.current(desk.store, desk.settings, number)
    undone = standing.undos[0][1] if standing is not None and standing.undos else None
    if as_json and standing is not None:
        click.echo(json.dumps(of_standing(standing), ensure_ascii=False, allow_nan=False))
    elif not as_json:
        for text in undone_lines(undone):
            click.echo(text)
    return code_of(job) or _code(undone)


def _code(undone: Undone | None) -> int:
    if undone is None or undone.other == undone.progress.examined:
        return NOTHING
    return NOT_ALL if undone.refused else DONE
