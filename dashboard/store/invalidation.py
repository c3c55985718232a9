"""What an invalidation is as the store knows it, and what the store refuses about one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from dashboard.store.errors import StoreError
from dashboard.store.jobs import Job


@dataclass(frozen=True)
class Asked:
    """Who asks for something, from where and why; as of an Invalidation."""

    actor: str
    address: str
    reason: str = ""
    source: str = "page"
    token_id: int | None = None
    idempotency: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class Guard:
    """Asked before a job is bound: `ask` is given the open jobs of `kinds` on the same cache, and raises where they
    forbid it. Nobody binds another one meanwhile."""

    kinds: Collection[str]
    ask: Callable[[list[Job]], None]


@dataclass(frozen=True)
class Invalidation:
    """One invalidation as it is now. Times are seconds since the epoch.

    task: Task.to_query(); but for get(), one with a long list has "keys" empty, how many are "listed", and the "first".
    source: where it was asked for: "page", "key", "api", "cli", "schedule". planned_at: when its
    plan was ready; keys, keys_low, keys_high, memory (bytes): what that said, None before (memory too where the
    server does not tell). expires_at: until when the plan may be carried out, once it is ready. needs: why another
    operator has to approve it, "" where nobody has to. plan_job is None where the keys were named one by one and no
    plan was made, run_job until it is carried out. token_id, idempotency, fingerprint: of the API.
    """

    number: int
    cache: str
    task: Mapping[str, str]
    actor: str
    address: str
    reason: str
    source: str
    created_at: float
    planned_at: float | None
    expires_at: float
    plan_job: int | None
    run_job: int | None
    keys: float | None
    keys_low: float | None
    keys_high: float | None
    memory: float | None
    needs: str
    approved_by: str
    approved_at: float | None
    token_id: int | None
    idempotency: str | None
    fingerprint: str


@dataclass(frozen=True)
class Figures:
    """What a plan said at its end: keys, with both ends of their interval, and bytes (None where not told)."""

    keys: float
    keys_low: float
    keys_high: float
    memory: float | None


class Repeated(StoreError):
    """This token has asked with this idempotency key before: `invalidation` is what came of it."""

    def __init__(self, invalidation: Invalidation) -> None:
        super().__init__(f"This was asked for before, as invalidation {invalidation.number}.")
        self.invalidation = invalidation


class Unknown(StoreError):
    """There is no such invalidation (any more)."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no invalidation {number}.", "Old ones are forgotten. Make a new plan.")
        self.number = number


class AlreadyBegun(StoreError):
    """It is or was carried out already, by the job `job`."""

    def __init__(self, number: int, job: int) -> None:
        super().__init__(f"Plan {number} has been carried out already, as job {job}.")
        self.job = job


class Late(StoreError):
    """Its plan is past its time."""


class Unapproved(StoreError):
    """Another operator has to approve it first."""


class OwnApproval(StoreError):
    """Nobody approves what they have asked for themselves."""


class Altered(StoreError):
    """It is not what was looked at any more, or may not be altered any more."""
