"""Who asks for something, and that it stands in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dashboard.cache.servers.connect import Cache
from dashboard.store import audit
from dashboard.store.audit import JSON, Attempt, Change
from dashboard.store.engine import Store


@dataclass(frozen=True)
class Caller:
    """In whose name something is asked for. source: "page", "key", "api", "cli" or "schedule"."""

    name: str
    address: str
    source: str
    token_id: int | None = None


@contextmanager
def audited(
    store: Store,
    caller: Caller,
    cache: Cache,
    action: str,
    subject: str,
    reason: str = "",
    before: JSON | None = None,
) -> Iterator[Attempt]:
    change = Change(caller.name, caller.address, cache.name, action, subject, before, reason)
    with audit.record(store, change) as attempt:
        yield attempt
