"""What every act upon an invalidation has in common: who asks, the audit trail, and refusals in one family's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dashboard.cache.servers.connect import Cache
from dashboard.jobs.caller import Caller, audited
from dashboard.jobs.invalidation_standing import (
    Standing,
    current,
)
from dashboard.jobs.refused import (
    AlreadyRun,
    Altered,
    Expired,
    NeedsApproval,
    NoSuchInvalidation,
    NotYours,
)
from dashboard.settings import Settings
from dashboard.store import invalidations, jobs
from dashboard.store.engine import Store
from dashboard.store.invalidations import (
    AlreadyBegun,
    Asked,
    Invalidation,
    Late,
    OwnApproval,
    Unapproved,
    Unknown,
)

__all__ = ["Caller", "asked_by", "audited", "invalidation_of", "refusing", "standing_of"]


def invalidation_of(store: Store, cache: Cache, number: int) -> Invalidation:
    made = invalidations.get(store, number)
    if made is None or made.cache != cache.name:
        raise NoSuchInvalidation(f"{cache.name} has no invalidation {number}.", "Old ones are forgotten.")
    return made


def standing_of(store: Store, settings: Settings, made: Invalidation) -> Standing:
    standing = current(store, settings, made.number)
    if standing is None:
        raise NoSuchInvalidation(f"{made.cache} has no invalidation {made.number}.", "Old ones are forgotten.")
    return standing


def asked_by(caller: Caller, reason: str, idempotency: str | None = None, fingerprint: str = "") -> Asked:
    return Asked(caller.name, caller.address, reason, caller.source, caller.token_id, idempotency, fingerprint)


@contextmanager
def refusing(store: Store, number: int) -> Iterator[None]:
    """What the store refuses, in this family's words: others may have been first by a moment."""
    try:
        yield
    except AlreadyBegun as error:
        raise AlreadyRun(number, jobs.get(store, error.job)) from error
    except Late as error:
        raise Expired(error.sentence, error.advice) from error
    except Unapproved as error:
        raise NeedsApproval(error.sentence, error.advice, number) from error
    except OwnApproval as error:
        raise NotYours(error.sentence, error.advice) from error
    except invalidations.Altered as error:
        raise Altered(error.sentence, error.advice) from error
    except Unknown as error:
        raise NoSuchInvalidation(error.sentence, error.advice) from error
