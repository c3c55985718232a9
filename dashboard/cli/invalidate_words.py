"""Plans, executions and undos in lines for a terminal: plain ASCII, but for the names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dashboard.cache import wording
from dashboard.cache.estimate import Estimate
from dashboard.cache.invalidation.report import Done, Named, Plan, Undone
from dashboard.cache.invalidation.task import Task
from dashboard.cli.analyze_tables import number, size
from dashboard.cli.text import plain
from dashboard.jobs.invalidating import Standing

NAMED = 10  # keys that are named one by one
_NAME_LIMIT = 100  # characters of a name that a line shows


def plan_lines(standing: Standing, free: int) -> Iterator[str]:
    """What would be done. free: bytes that the vault has left."""
    made, plan = standing.invalidation, standing.plan
    yield f"Plan {made.number}, {made.cache}: {plain(standing.task.in_words)}."
    if plan is None:
        return
    yield _subject(plan)
    yield from _makes_up(plan)
    if standing.task.vault and plan.vault is not None and plan.vault.high:
        yield f"Kept for an undo: {size(plan.vault)} of {_bytes(free)} that the vault has free."
    if plan.too_large.high and standing.task.vault:
        yield f"{number(plan.too_large)} are too large for the vault, and will be left as they are."
    for note in (*plan.notes, *plan.report.missing):
        yield plain(note)


def _subject(plan: Plan) -> str:
    report, effect = plan.report, plan.effect
    if plan.progress.complete and not report.keys.value:
        return "No key is selected."
    memory = "" if report.memory is None else f", {size(report.memory)}"
    share = "" if effect.memory_share is None else f" ({plain(wording.percent(effect.memory_share))} of the memory)"
    sure = "exact" if plan.progress.complete else f"estimated from {plan.progress.examined:,} keys"
    return f"{number(report.keys)} {_keys(report.keys)}{memory}{share}; {sure}."


def _makes_up(plan: Plan) -> Iterator[str]:
    report, effect = plan.report, plan.effect
    if report.types:
        yield "Types: " + ", ".join(f"{group.name} {number(group.keys)}" for group in report.types) + "."
    if len(report.namespaces) > 1:
        rows = sorted(report.namespaces, key=lambda row: -row.keys.value)[:5]
        yield "Namespaces: " + ", ".join(f"{_cut(row.name)} {number(row.keys)}" for row in rows) + "."
    if effect.misses is not None and report.keys.high:
        now = "" if effect.now is None else f" (now {effect.now:,.0f}/s)"
        misses = f"about {number(effect.misses)} misses/s" if effect.misses.high >= 1 else "hardly any misses"
        basis = f", {effect.basis}" if effect.basis else ""
        yield f"Without them all at once: {misses} in the first minute{now}{basis}."
    if plan.examples:
        yield "For example: " + ", ".join(_cut(name) for name in plan.examples[:3]) + "."


def question(task: Task, plan: Plan) -> str:
    """What somebody says yes to."""
    verb = "Let {} expire" if task.lowers else "Remove {}"
    whole = verb.format(f"{number(plan.report.keys)} {_keys(plan.report.keys)}")
    return f"{whole}{'' if task.vault else ', without undo'}?"


def done_lines(standing: Standing) -> Iterator[str]:
    """What was done, counted, whether or not to the end; and how it can be taken back."""
    done, number_ = standing.done, standing.invalidation.number
    if done is None:
        yield "Nothing was done."
        return
    yield _done(standing.task, done)
    yield from _beside(standing, done)
    yield from _left(done)
    for note in done.notes:
        yield plain(note)
    if standing.state in ("paused", "interrupted", "failed"):
        yield "It can go on where it stands: on the page of this invalidation, or among the jobs."
    if standing.entry is not None and done.counts.done:
        until = datetime.fromtimestamp(standing.entry.expires_at, UTC)
        yield f"To take it back: cachedeck undo {number_} (until {until:%Y-%m-%d %H:%M} UTC)."


def _done(task: Task, done: Done) -> str:
    counts, took = done.counts, plain(wording.duration(done.progress.elapsed))
    if task.lowers:
        short = f"; {counts.unchanged:,} would have expired sooner" if counts.unchanged else ""
        return f"Gave {_count(counts.lowered)} a shorter TTL, in {took}{short}."
    memory = f", {_bytes(counts.memory)}" if counts.memory else ""
    return f"Removed {_count(counts.removed)}{memory}, in {took}."


def _beside(standing: Standing, done: Done) -> Iterator[str]:
    counts, drift = done.counts, standing.drift
    if standing.state == "done" and drift is not None and drift.more:
        more = f"{abs(drift.more):,} {'more' if drift.more > 0 else 'fewer'} than planned"
        yield f"Found {_count(counts.found)}: {more}."
    if counts.gone:
        yield f"{_count(counts.gone)} had gone by then."
    if counts.unsure:
        yield f"Of {_count(counts.unsure)} it is not known, as the answer was lost."
    if standing.task.tell is not None:
        messages = f"{counts.messages:,} {'message' if counts.messages == 1 else 'messages'}"
        yield f"Published {messages} to {standing.task.tell.channel}; receivers in all: {counts.receivers:,}."


def _left(done: Done) -> Iterator[str]:
    counts = done.counts
    if counts.too_large:
        yield f"Left as they are, too large for the vault: {_count(counts.too_large)}."
    if counts.refused:
        yield f"Refused by the server: {_count(counts.refused)}."
    yield from _named(done.named)


def undone_lines(undone: Undone | None) -> Iterator[str]:
    """What was given back."""
    if undone is None:
        yield "Nothing was brought back."
        return
    retimed = f"; {_count(undone.retimed)} have their TTL again" if undone.retimed else ""
    yield f"Brought back {_count(undone.restored)}{retimed}, in {plain(wording.duration(undone.progress.elapsed))}."
    for count, what in (
        (undone.newer, "exist again or were changed since, and are left as they are"),
        (undone.same, "are there as they were"),
        (undone.expired, "would have expired by now"),
        (undone.unsure, "may have been brought back: the answer was lost"),
    ):
        if count:
            yield f"{_count(count)}: {what}."
    for why, count in undone.refused.items():
        yield f"{_count(count)}: {plain(why)}"
    yield from _named(undone.named)
    for note in undone.notes:
        yield plain(note)


def _named(named: tuple[Named, ...]) -> Iterator[str]:
    for one in named[:NAMED]:
        yield f"  {_cut(one.name)}: {plain(one.why)}"
    if len(named) > NAMED:
        yield "  and others."


def _count(keys: int) -> str:
    return f"{keys:,} {'key' if keys == 1 else 'keys'}"


def _keys(figure: Estimate) -> str:
    return "key" if figure.exact and figure.value == 1 else "keys"


def _bytes(size_: float) -> str:
    return plain(wording.size(size_))


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_LIMIT else f"{name[:_NAME_LIMIT]}..."
