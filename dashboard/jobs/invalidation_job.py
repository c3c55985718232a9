"""The kinds "invalidate.plan", "invalidate", which does what its plan is about, and "invalidate.undo"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from pydantic import TypeAdapter

from dashboard.cache.invalidation import plan as invalidation_plan
from dashboard.cache.invalidation import restore
from dashboard.cache.invalidation import run as invalidation
from dashboard.cache.invalidation.mode import BadMode
from dashboard.cache.invalidation.report import Done, Plan, Undone
from dashboard.cache.invalidation.standing import BadStanding, Standing
from dashboard.cache.invalidation.task import BadTell, Task, outline_from_query, task_from_query
from dashboard.cache.reading.keeping import Kept
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.jobs.traffic import traffic_of
from dashboard.jobs.vault_safe import VaultSafe, frames, standing
from dashboard.settings import Settings
from dashboard.store import invalidations, jobs
from dashboard.store.audit import JSON
from dashboard.store.engine import Store
from dashboard.store.vault import Vault, vault_of
from dashboard.store.vault_errors import VaultDamaged, VaultGone

PLAN, RUN, UNDO = "invalidate.plan", "invalidate", "invalidate.undo"


def _task_of(work: Work, given: Arguments) -> Task:
    """What a job is about; a long list of keys stands with the invalidation alone. Raises Refused for what another
    version has written."""
    try:
        query = given["task"]
        if "listed" in query:
            made = invalidations.get(work.store, int(given["number"]))
            query = made.task if made else {}
        return task_from_query(query)
    except (BadSelection, BadMode, BadTell, KeyError, TypeError) as error:
        raise Refused(f"Another version of Cachedeck made this: {error}", "Make a new plan.") from error


def _start_plan(work: Work, given: Arguments) -> Iterator[Plan]:
    settings = work.settings
    options = invalidation_plan.Options(
        _budget(settings),
        _limits(settings),
        settings.namespace_separator.encode(),
        _largest(settings),
        traffic_of(work.store, work.cache.name),
    )
    yield from invalidation_plan.plan(work.cache, _task_of(work, given), options)


def _start_run(work: Work, given: Arguments) -> Iterator[Done]:
    settings, number = work.settings, int(given["number"])
    vault = vault_of(settings)
    options = invalidation.Options(
        _budget(settings), _limits(settings), _largest(settings), given.get("most"), number=number
    )
    if not vault.has(number) and _has_done_something(work.store, number):
        raise Refused(
            "The vault has dropped what this has kept and noted so far, so it cannot go on.", "Make a new plan."
        )
    task = _task_of(work, given)
    with vault.writer(number) as writer:
        try:
            yield from invalidation.invalidate(work.cache, task, VaultSafe(vault, number, writer), options)
        except BadStanding as error:
            raise Refused(str(error), "Undo it, and make a new plan.") from error


def _has_done_something(store: Store, number: int) -> bool:
    counted = [(job.progress or {}).get("counted") for job in jobs.of(store, number, RUN)]
    return any(isinstance(counts, dict) and counts.get("found") for counts in counted)


def _start_undo(work: Work, given: Arguments) -> Iterator[Undone]:
    settings, number = work.settings, int(given["number"])
    vault = vault_of(settings)
    entry = vault.entry(number)
    if entry is None:
        raise VaultGone(number)
    damage: list[str] = []

    def read(start: int, end: int) -> Iterator[tuple[int, Sequence[Kept]]]:
        return frames(vault, number, start, end, damage)

    task = _task_of(work, given)
    options = restore.Options(_budget(settings), lowered=task.lowers)
    pattern = from_printable(str(given.get("pattern", "*")))
    stands = standing(vault, number) or Standing(entry.created_at)
    total = max(entry.keys, stands.counts.kept)
    with _undisturbed(vault, number):
        for undone in restore.restore(work.cache, read, entry.frames, stands, pattern, options):
            progress = replace(undone.progress, total=max(total, undone.progress.examined))
            yield replace(undone, progress=progress, notes=tuple(damage))


def _undisturbed(vault: Vault, number: int) -> AbstractContextManager[object]:
    """Nobody else is at an entry: both would write to the same keys, and what the other keeps would be missed here.

    To one that is so damaged that its frames cannot be told apart nobody can add any more. Raises VaultBusy.
    """
    try:
        return vault.writer(number)
    except VaultDamaged:
        return nullcontext()


def _budget(settings: Settings) -> Budget:
    return Budget(hold_ms=settings.walk_hold_ms, share=settings.walk_share)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.walk_latency_ms, settings.walk_memory_mb * 1024 * 1024)


def _largest(settings: Settings) -> int:
    return settings.vault_key_mb * 1024 * 1024


def _subject(given: Arguments) -> str:
    try:
        return f"plan {given['number']}: {outline_from_query(given['task']).in_words}"
    except (BadSelection, BadMode, BadTell, KeyError, TypeError, ValueError):
        return "keys that this version of Cachedeck cannot select"


def _subject_of_undo(given: Arguments) -> str:
    pattern = str(given.get("pattern", "*"))
    part = "" if pattern == "*" else f", keys of {pattern} only"
    return f"{_subject(given)}{part}"


def _planned(plan: Plan) -> dict[str, int]:
    return {"found": round(plan.report.keys.value)}


def _counted(done: Done) -> dict[str, int]:
    counts = done.counts
    return {"found": counts.found, "done": counts.done, "unsure": counts.unsure}


def _counted_back(undone: Undone) -> dict[str, int]:
    return {"back": undone.back, "newer": undone.newer, "expired": undone.expired}


def _after(done: Done | None) -> JSON:
    """What was done, in numbers, for the audit trail."""
    if done is None:
        return {"found": 0}
    counts = {name: getattr(done.counts, name) for name in done.counts.__dataclass_fields__}
    return {"found": done.counts.found, **{name: count for name, count in counts.items() if count}}


def _after_undo(undone: Undone | None) -> JSON:
    if undone is None:
        return {"restored": 0}
    counts = {"retimed": undone.retimed, "newer": undone.newer, "same": undone.same, "expired": undone.expired}
    refused = sum(undone.refused.values())
    counts |= {"refused": refused, "unsure": undone.unsure}
    return {"restored": undone.restored, **{name: count for name, count in counts.items() if count}}


KINDS = (
    # Not started again with a click: what is selected by then is for a new plan to say.
    Kind(
        PLAN, "Plan of an invalidation", _start_plan, TypeAdapter(Plan), subject=_subject, again=False, counts=_planned
    ),
    Kind(
        RUN,
        "Invalidation",
        _start_run,
        TypeAdapter(Done),
        subject=_subject,
        audits="keys.invalidate",
        after=_after,
        again=False,
        counts=_counted,
        resumes=True,
    ),
    Kind(
        UNDO,
        "Undo",
        _start_undo,
        TypeAdapter(Undone),
        subject=_subject_of_undo,
        audits="keys.undo",
        after=_after_undo,
        again=False,
        counts=_counted_back,
        resumes=True,
    ),
)
