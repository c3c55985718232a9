"""`cachedeck policy set` and `rollback`: settings on every node, and what they were before."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from dashboard.cli.desk import (
    DONE,
    FAILED,
    NOT_ALL,
    NOTHING,
    Desk,
    agreed,
    opened,
    opened_settings,
    require_answerable,
)
from dashboard.cli.policy_asking import Wishes, asking, obstacle, seen_before, wanted_of
from dashboard.cli.policy_json import of_change, of_preview
from dashboard.cli.policy_words import change_lines, way_back_lines
from dashboard.cli.text import say
from dashboard.jobs import tuning
from dashboard.jobs.tuning_refused import NothingToChange
from dashboard.store import setting_changes
from dashboard.store.setting_changes import Kind, SettingChange

_CODES = {"applied": DONE, "partial": NOT_ALL}


@click.command("set")
@asking
@click.option("--persist", is_flag=True, help="Then write them into the configuration files (CONFIG REWRITE).")
@click.option("--dry-run", is_flag=True, help="Print what would change and leave it at that.")
@click.pass_context
def set_settings(
    context: click.Context,
    *,
    settings: tuple[str, ...],
    name: str | None,
    replicas: bool,
    reason: str,
    yes: bool,
    despite_warnings: bool,
    as_json: bool,
    persist: bool,
    dry_run: bool,
) -> None:
    """Set NAME=VALUE, such as maxmemory=2gb maxmemory-policy=allkeys-lfu, on every primary, and read it back.

    What would change is printed first; then you are asked, unless you say --yes. Exit codes: 0 done, 1 failed on every
    node, refused or not wanted, 2 said wrongly, 3 something has to be confirmed by --despite-warnings, 4 not every node
    has it, or its file, 5 every node has these values already.
    """
    wanted, wishes = wanted_of(settings), Wishes(replicas, reason, yes, despite_warnings, as_json)
    if not dry_run:
        require_answerable(yes=yes)
    with opened(name) as desk:
        try:
            code = _set(desk, wanted, wishes, dry_run=dry_run)
        except NothingToChange as nothing:
            click.echo(nothing.sentence, err=True)
            code = NOTHING
            if persist and not agreed(desk, "Write the configuration files?", yes=yes):
                persist = False
        if persist and not dry_run and code in (DONE, NOTHING):
            code = _persist(desk, reason)
        context.exit(code)


def _set(desk: Desk, wanted: Mapping[str, str], wishes: Wishes, kind: Kind = "change", *, dry_run: bool = False) -> int:
    """The exit code. Raises Refused, CacheError, StoreError."""
    seen = seen_before(desk, wanted, wishes)
    if dry_run:
        if wishes.as_json:
            click.echo(json.dumps(of_preview(desk.cache.name, seen), ensure_ascii=False))
        return DONE
    code = obstacle(desk, seen, f"Change {desk.cache.name}?", wishes)
    if code != DONE:
        return code
    done = tuning.apply(
        desk.store,
        desk.settings,
        desk.cache,
        wanted,
        desk.caller,
        wishes.reason,
        replicas=wishes.replicas,
        fingerprint=seen.fingerprint,
        confirmed=True,
        kind=kind,
    )
    return _told(done, as_json=wishes.as_json)


def _told(done: SettingChange, *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(of_change(done), ensure_ascii=False))
    else:
        say(change_lines(done))
    return _CODES.get(done.state, FAILED)


def _persist(desk: Desk, reason: str) -> int:
    told = tuning.persist(desk.store, desk.cache, desk.caller, reason)
    say((f"{node} did not write its configuration file: {why}" for node, why in told.items() if why), err=True)
    return NOT_ALL if any(told.values()) else DONE


@click.command("rollback")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@click.option("--since", is_flag=True, help="Also what was changed since: everything as it was before change NUMBER.")
@click.option("--reason", default="", help="Kept in the history and the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--despite-warnings", is_flag=True, help="With --yes: also where something has to be confirmed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def roll_back(
    context: click.Context,
    *,
    number: int,
    since: bool,
    reason: str,
    yes: bool,
    despite_warnings: bool,
    as_json: bool,
) -> None:
    """Give every node of change NUMBER what it had before.

    A node that somebody else has given a third value keeps that. Exit codes as of `set`; 5: no node has any of it.
    """
    require_answerable(yes=yes)
    with opened_settings() as (_, store):
        change = setting_changes.get(store, number)
    if change is None:
        raise click.ClickException(f"There is no change of settings {number}.")
    with opened(change.cache) as desk:
        try:
            if since:
                wishes = Wishes(change.replicas, reason, yes, despite_warnings, as_json)
                code = _set(desk, tuning.state_before(desk.store, desk.cache, number), wishes, "return")
            else:
                code = _roll_back(desk, change, reason, yes=yes, as_json=as_json)
        except NothingToChange as nothing:
            click.echo(nothing.sentence, err=True)
            code = NOTHING
        context.exit(code)


def _roll_back(desk: Desk, change: SettingChange, reason: str, *, yes: bool, as_json: bool) -> int:
    say(way_back_lines(change), err=as_json)
    if not agreed(desk, "Give them that again?", yes=yes):
        click.echo("Nothing was done.", err=True)
        return FAILED
    done = tuning.roll_back(desk.store, desk.cache, change.number, desk.caller, reason)
    return _told(done, as_json=as_json)
