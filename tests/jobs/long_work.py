"""Long work for tests of what drives it: counts, and does on the way what its arguments say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from dashboard.cache.errors import Unreachable
from dashboard.cache.walking.progress import Progress
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.store.audit import JSON


@dataclass(frozen=True)
class Counted:
    """One snapshot."""

    progress: Progress
    numbers: tuple[int, ...] = ()


def count(work: Work, given: Arguments) -> Iterator[Counted]:
    """Snapshots 1 to `steps`, `pause` seconds apart; `error` and `hang` happen before the last one.

    `closed`: a file that is written when the generator is closed, be it by its end or before it.
    """
    steps = int(given.get("steps", 3))
    begun = time.monotonic()
    try:
        for step in range(1, steps + 1):
            if step == steps:
                _misbehave(given)
            elapsed = time.monotonic() - begun
            yield Counted(Progress(step, steps, elapsed, ended=step == steps), tuple(range(step)))
            time.sleep(float(given.get("pause", 0)))
    finally:
        if given.get("closed"):
            Path(str(given["closed"])).write_text("closed", encoding="ascii")


def count_on(work: Work, given: Arguments) -> Iterator[Counted]:
    """As count, but begins after what the file `at` says, and notes there each number before it is told."""
    note = Path(str(given["at"]))
    done = int(note.read_text(encoding="ascii")) if note.exists() else 0
    for snapshot in count(work, {**given, "steps": int(given["steps"]) - done}):
        seen = done + snapshot.progress.examined
        note.write_text(str(seen), encoding="ascii")
        yield Counted(replace(snapshot.progress, examined=seen, total=int(given["steps"])))


def _misbehave(given: Arguments) -> None:
    error = given.get("error")
    if error == "unreachable":
        raise Unreachable("main cannot be reached.")
    if error == "refused":
        raise Refused("The plan is too old.", "Make a new one.")
    if error == "defect":
        raise ZeroDivisionError("with a secret in its text")
    if given.get("hang"):
        threading.Event().wait(float(given["hang"]))


def _subject(given: Arguments) -> str:
    return f"{given.get('steps', 3)} numbers"


def _after(snapshot: Counted | None) -> JSON:
    return {"counted": snapshot.progress.examined if snapshot else 0}


COUNT = Kind("count", "Counting", count, TypeAdapter(Counted), subject=_subject)
CHANGE = Kind("change", "Changing", count, TypeAdapter(Counted), subject=_subject, audits="keys.count", after=_after)
LASTING = Kind(
    "lasting",
    "Lasting",
    count_on,
    TypeAdapter(Counted),
    subject=_subject,
    audits="keys.count",
    after=_after,
    again=False,
    resumes=True,
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (COUNT, CHANGE, LASTING)}
