"""`cachedeck policy try` and `end`: settings that the worker takes back by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable

import click

from dashboard.cache.tuning.trial_rules import BadGuards, Guards
from dashboard.cli.desk import DONE, FAILED, NOT_ALL, Desk, agreed, opened, opened_settings, require_answerable
from dashboard.cli.policy_asking import Wishes, asking, obstacle, seen_before, wanted_of
from dashboard.cli.policy_json import of_trial
from dashboard.cli.policy_words import NO_WORKER, ended_lines, started_lines, trial_line
from dashboard.cli.text import say, time
from dashboard.jobs import trying
from dashboard.store import trials, workers
from dashboard.store.trials import Trial


@click.command("try")
@asking
@click.option("--for", "seconds", type=time, metavar="TIME", required=True, help="For how long, such as 30m.")
@click.option(
    "--hit-ratio-points", type=float, metavar="N", help="Back if the hit ratio falls by more points (of 100)."
)
@click.option("--evictions", type=float, metavar="N", help="Back if more keys a second are evicted.")
@click.option("--p99-ms", type=float, metavar="N", help="Back if p99 of all commands rises above so many ms.")
@click.pass_context
def try_settings(
    context: click.Context,
    *,
    settings: tuple[str, ...],
    name: str | None,
    replicas: bool,
    reason: str,
    yes: bool,
    despite_warnings: bool,
    as_json: bool,
    seconds: float,
    hit_ratio_points: float | None,
    evictions: float | None,
    p99_ms: float | None,
) -> None:
    """Set NAME=VALUE for a bounded time. The worker takes it back then, or before if it hurts.

    The command returns as soon as the trial runs. Exit codes: 0 it runs, 1 it was not started, 2 said wrongly,
    3 something has to be confirmed by --despite-warnings.
    """
    wanted, wishes = wanted_of(settings), Wishes(replicas, reason, yes, despite_warnings, as_json)
    try:
        guards = Guards(hit_ratio_points, evictions, p99_ms)
    except BadGuards as error:
        raise click.UsageError(str(error)) from None
    require_answerable(yes=yes)
    with opened(name) as desk:
        if not workers.alive(desk.store):
            raise click.ClickException(NO_WORKER)
        seen = seen_before(desk, wanted, wishes)
        code = obstacle(desk, seen, f"Try that on {desk.cache.name}?", wishes)
        if code == DONE:
            trial = trying.start(
                desk.store,
                desk.settings,
                desk.cache,
                wanted,
                seconds,
                guards,
                desk.caller,
                reason,
                replicas=replicas,
                fingerprint=seen.fingerprint,
                confirmed=True,
            )
            _told(trial, started_lines(trial), as_json=as_json)
        context.exit(code)


@click.command("end")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@click.option("--keep", is_flag=True, help="Leave the settings as they were tried.")
@click.option("--reason", default="", help="Kept with the trial and in the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def end_trial(context: click.Context, *, number: int, keep: bool, reason: str, yes: bool, as_json: bool) -> None:
    """End trial NUMBER before its time: take its settings back, or --keep them; and say what was different.

    Exit codes: 0 done, 1 failed or not wanted, 2 said wrongly, 4 a node could not be given back what it had; the worker
    tries that again.
    """
    require_answerable(yes=yes)
    with opened_settings() as (_, store):
        trial = trials.get(store, number)
    if trial is None:
        raise click.ClickException(f"There is no trial {number}.")
    with opened(trial.cache) as desk:
        say([trial_line(trial)], err=True)
        context.exit(_end(desk, number, reason, keep=keep, yes=yes, as_json=as_json))


def _end(desk: Desk, number: int, reason: str, *, keep: bool, yes: bool, as_json: bool) -> int:
    """The exit code. Raises Refused, CacheError, StoreError."""
    if not agreed(desk, "Keep its settings?" if keep else "Take its settings back?", yes=yes):
        click.echo("Nothing was done.", err=True)
        return FAILED
    ended = trying.end(desk.store, desk.settings, desk.cache, number, desk.caller, keep=keep, why=reason)
    _told(ended, ended_lines(ended), as_json=as_json)
    return NOT_ALL if ended.open else DONE


def _told(trial: Trial, lines: Iterable[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(of_trial(trial), ensure_ascii=False))
    else:
        say(lines)
