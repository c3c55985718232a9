"""`cachedeck invalidate`: plan an invalidation, ask, and carry it out; for people and for deploy scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import click

from dashboard.cache.invalidation.mode import BadMode, Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.report import Done, Plan
from dashboard.cache.invalidation.task import PER, BadTell, Task, Tell
from dashboard.cache.selecting.selection import BadSelection, Selection, lines_of, listed, written
from dashboard.cli.desk import (
    DONE,
    FAILED,
    NEEDS_APPROVAL,
    NOT_ALL,
    NOTHING,
    Desk,
    agreed,
    code_of,
    driven,
    opened,
    require_answerable,
)
from dashboard.cli.invalidate_json import of_standing
from dashboard.cli.invalidate_words import done_lines, plan_lines, question
from dashboard.cli.line import in_a_line
from dashboard.cli.text import time
from dashboard.jobs import invalidating
from dashboard.jobs.invalidating import Standing
from dashboard.jobs.run_here import new_owner
from dashboard.store.vault import vault_of


@dataclass(frozen=True)
class _Wishes:
    """How the command goes about it, apart from the task."""

    reason: str
    dry_run: bool
    yes: bool
    as_json: bool
    despite_overlap: bool


@click.command("invalidate")
@click.argument("pattern", required=False)
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--type", "kind", default="", help="Only keys of this type: string, hash, list, set, zset, stream.")
@click.option("--ttl", default="", help="Only keys with: none, any, '<5m', '>2h', 5m-1h left (units s m h d w).")
@click.option("--size", default="", help="Only keys of '>1MB', '<100' (units b kb mb gb), by MEMORY USAGE.")
@click.option("--keys-from", type=click.File("rb"), help="Keys one a line instead; - for the input.")
@click.option("--gently", type=time, metavar="TIME", help="Let them expire, spread over this time.")
@click.option("--pace", type=float, metavar="N", help="Remove at most N keys a second.")
@click.option("--stale", type=time, metavar="TIME", help="Let them expire after this grace.")
@click.option("--no-vault", is_flag=True, help="Without undo: keep nothing of what is removed.")
@click.option("--channel", help="Tell the applications: publish to this channel.")
@click.option(
    "--per", type=click.Choice(PER), default="batch", show_default=True, help="One message for each of these."
)
@click.option("--reason", default="", help="Kept in the audit trail.")
@click.option("--dry-run", is_flag=True, help="Make the plan and leave it at that.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--all", "everything", is_flag=True, help="Needed for * without a filter, besides --yes.")
@click.option("--despite-overlap", is_flag=True, help="Also while another job works on the same keys.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; its fields are those of the API's answers.")
@click.pass_context
def invalidate_command(
    context: click.Context,
    *,
    pattern: str | None,
    name: str | None,
    kind: str,
    ttl: str,
    size: str,
    keys_from: BinaryIO | None,
    gently: float | None,
    pace: float | None,
    stale: float | None,
    no_vault: bool,
    channel: str | None,
    per: str,
    reason: str,
    dry_run: bool,
    yes: bool,
    everything: bool,
    despite_overlap: bool,
    as_json: bool,
) -> None:
    r"""Remove the keys that match a glob PATTERN, or let them expire, with an undo.

    A plan is made first and its number printed; then you are asked, unless you say --yes. Ctrl-C pauses: it goes on
    from its page. Exit codes: 0 done, 1 failed or not wanted, 2 said wrongly, 3 the plan needs the approval of another
    operator, 4 not all of it was done (paused, cancelled, or keys were left as they are), 5 there is no such key.
    """
    if not dry_run:
        require_answerable(yes=yes)
    try:
        names = lines_of(keys_from.read().decode()) if keys_from is not None else None
        selection = _selection(pattern, names, (kind, ttl, size))
        tell = Tell(channel, per) if channel is not None else None
        task = Task(selection, _mode(gently, pace, stale), not no_vault, tell)
    except (BadSelection, BadMode, BadTell) as error:
        raise click.UsageError(str(error)) from None
    except UnicodeDecodeError:
        raise click.UsageError(r"The list is no UTF-8: write other bytes as \xNN.") from None
    if selection.everything and not everything:
        raise click.UsageError("This is about every key of the cache: say --all if you mean it.")
    with opened(name) as desk:
        context.exit(_invalidate(desk, task, _Wishes(reason, dry_run, yes, as_json, despite_overlap)))


def _selection(pattern: str | None, names: list[str] | None, conditions: tuple[str, str, str]) -> Selection:
    """Raises BadSelection; what is forgotten never means all keys."""
    if names is not None:
        if pattern is not None:
            raise BadSelection("Keys are selected by a PATTERN or by --keys-from, not by both.")
        return listed(names, *conditions)
    if pattern is None:
        raise BadSelection("Say which keys: a PATTERN or --keys-from. Every key is '*', with --all.")
    if not pattern:
        raise BadSelection("The pattern is empty. Every key is '*', with --all.")
    return written(pattern, *conditions)


def _mode(gently: float | None, pace: float | None, stale: float | None) -> Mode:
    """Raises BadMode."""
    if sum(given is not None for given in (gently, pace, stale)) > 1:
        raise BadMode("Say one of --gently, --pace and --stale.")
    if gently is not None:
        return Gently(gently)
    if pace is not None:
        return Paced(pace)
    return Now() if stale is None else Stale(stale)


def _invalidate(desk: Desk, task: Task, wishes: _Wishes) -> int:
    """The exit code. Raises CacheError, StoreError, Refused."""
    if not wishes.dry_run:
        desk.cache.require_writable()
    number = _plan(desk, task, wishes.reason)
    standing = _standing(desk, number)
    if not wishes.as_json:
        _print(plan_lines(standing, vault_of(desk.settings).free()))
    code = _obstacle(standing)
    if code == DONE and not wishes.dry_run:
        code = _carry_out(desk, standing, wishes)
        standing = _standing(desk, number)
    if wishes.as_json:
        click.echo(json.dumps(of_standing(standing), ensure_ascii=False, allow_nan=False))
    return code


def _plan(desk: Desk, task: Task, reason: str) -> int:
    """Make a plan here: its number."""
    owner = new_owner()
    made, job = invalidating.make_plan(desk.store, desk.settings, desk.cache, task, desk.caller, reason, owner=owner)

    def told(plan: Plan) -> str:
        return f"plan {made.number}: {in_a_line(plan.progress)}"

    driven(desk, job, owner, told)
    return made.number


def _obstacle(standing: Standing) -> int:
    """Why a plan is not carried out, as an exit code; DONE where nothing is in the way. It is said on stderr."""
    plan, job = standing.plan, standing.plan_job
    if job is None or job.state != "finished" or plan is None:
        why = f"{job.error} {job.advice}".strip() if job is not None and job.error else "It was ended before its end."
        click.echo(f"The plan was not made. {why} Nothing was done.", err=True)
        return FAILED
    if not plan.report.keys.high:
        return NOTHING
    if standing.needs and not standing.invalidation.approved_by:
        made = standing.invalidation
        click.echo(f"{standing.needs} Approve it on /caches/{made.cache}/invalidations/{made.number}.", err=True)
        return NEEDS_APPROVAL
    if standing.obstacle:
        click.echo(f"{standing.obstacle} Nothing was done.", err=True)
        return FAILED
    return DONE


def _carry_out(desk: Desk, standing: Standing, wishes: _Wishes) -> int:
    number, plan = standing.invalidation.number, standing.plan
    assert plan is not None  # noqa: S101  (narrows the type: _obstacle has seen to it)
    if not agreed(desk, question(standing.task, plan), yes=wishes.yes):
        click.echo("Nothing was done.", err=True)
        return FAILED
    owner, why, both = new_owner(), wishes.reason, wishes.despite_overlap
    job = invalidating.execute(
        desk.store, desk.settings, desk.cache, number, desk.caller, why, despite_overlap=both, owner=owner
    )

    def told(done: Done) -> str:
        return f"{number}: {done.counts.done:,} keys done, {in_a_line(done.progress)}"

    job = driven(desk, job, owner, told)
    ended = _standing(desk, number)
    if not wishes.as_json:
        _print(done_lines(ended))
    left = ended.done is not None and (ended.done.counts.too_large or ended.done.counts.refused)
    return code_of(job) or (NOT_ALL if left else DONE)


def _standing(desk: Desk, number: int) -> Standing:
    standing = invalidating.current(desk.store, desk.settings, number)
    if standing is None:
        raise click.ClickException(f"Invalidation {number} has been forgotten meanwhile.")
    return standing


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
