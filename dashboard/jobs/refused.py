"""Why an invalidation is not done: a small family, each with a sentence and an advice for pages, API and scripts."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.jobs import kind
from dashboard.store.jobs import Job


class Refused(kind.Refused):
    """Something is not done. `sentence` says why, `advice` what to do about it (may be empty)."""


class NoSuchInvalidation(Refused):
    """There is none of this number on this cache (any more)."""


class NotPlanned(Refused):
    """Its plan is not ready, or did not come to its end."""


class NothingToDo(NotPlanned):
    """By its plan there is no such key."""


class Expired(Refused):
    """Its plan is older than 15 min."""


class NeedsApproval(Refused):
    """Another operator has to approve it first. number: of its plan, None where there is none yet."""

    def __init__(self, sentence: str, advice: str = "", number: int | None = None) -> None:
        super().__init__(sentence, advice)
        self.number = number


class NotYours(Refused):
    """An approval or a change that is for somebody else to make."""


class Altered(Refused):
    """It is not any more what was looked at, or may not be altered any more."""


class AlreadyRun(Refused):
    """It is or was carried out, by `job`."""

    def __init__(self, number: int, job: Job | None) -> None:
        by = f", as job {job.id}" if job else ""
        super().__init__(f"Plan {number} has been carried out already{by}.", "Make a new plan to do it again.")
        self.job = job


class Overlaps(Refused):
    """Other jobs that change keys of the same selection are under way: `jobs`."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        names = " and ".join(f"job {job.id}" for job in jobs)
        works = "works" if len(jobs) == 1 else "work"
        super().__init__(
            f"{names[:1].upper()}{names[1:]} {works} on keys that this one may select too.",
            "Wait for the end, or say that you want both.",
        )
        self.jobs = tuple(jobs)


class Busy(Refused):
    """A job of the same invalidation is under way: `job`."""

    def __init__(self, sentence: str, advice: str, job: Job) -> None:
        super().__init__(sentence, advice)
        self.job = job


class VaultTooSmall(Refused):
    """What would be removed does not fit into the vault. wanted, free: bytes."""

    def __init__(self, sentence: str, advice: str, wanted: int, free: int) -> None:
        super().__init__(sentence, advice)
        self.wanted = wanted
        self.free = free


class NothingKept(Refused):
    """The vault has nothing of it (any more), so it cannot be taken back."""
