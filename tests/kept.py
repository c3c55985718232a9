"""Savings, measurements of regret, watches for stampedes and messages whose results are kept, made without measuring.

For the screens that draw them. Analyses are kept by tests/snapshots.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.eviction.regret import Trace
from dashboard.cache.eviction.regret_count import Regret
from dashboard.cache.listeners.client_list import Client
from dashboard.cache.messages.acknowledging import Ack, Counted, Silent
from dashboard.cache.messages.audience import Audience, NodeAudience
from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import Publication
from dashboard.cache.saving.report import Saving, SavingSnapshot, Way
from dashboard.cache.stampedes.report import AbsentKey, Alert, Episode, MissedKey, MissedNamespace, Name, Stampedes
from dashboard.cache.stampedes.run import Watch
from dashboard.cache.walking.progress import Progress
from dashboard.jobs import eviction_trace_job, publish_job, stampede_watch_job
from dashboard.jobs.kind import HasProgress, Kind
from dashboard.jobs.results import text_of, told_of
from dashboard.jobs.saving_job import KIND, arguments
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.jobs import Job
from dashboard.store.schema import JobRow

SAVES = Saving(
    "api:name:*",
    exactly(1_000_000),
    sampled=5_000,
    mean=20,
    strings=Way(500_000, 5_000),
    hashes=Way(200_000, 50, 50),
    by="Valkey 9.1.2, libc",
    managed="Redis 7.2.4, jemalloc-5.3.0",
)
"""5 000 of a million keys: 100 bytes as strings, 40 in hashes."""


MEASURED = Trace(
    Progress(120, 120, 120.0, 0.2, 80, 1.5, ended=True, unit="seconds"),
    60.0,
    Regret(Estimate(0.31, 0.29, 0.33), 60.0, 12_000, 3_000, 930, 0, 4, tuple(0.31 * n / 60 for n in range(1, 61))),
    events=30_000,
    misses=18_000,
    bytes=3_000_000,
    counted=12_000,
)
"""Of a minute: every fourth of 12 000 evictions followed, 31 % of them asked for again."""


_STAMPEDE = Episode(12.0, 0.18, 214, "expired", 0.15, 57)
_HELD_BADLY = Episode(10.0, 0.02, 40, "deleted", 0.4, 5, "lock:api:price:5")
_GOES_ON = Episode(8.0, 0.5, 90, "evicted", None, 0)

WATCHED = Watch(
    Progress(60, 60, 60.0, 0.2, 40, 1.5, ended=True, unit="seconds"),
    60.0,
    20,
    Stampedes(
        misses=30_000,
        alerts=(
            Alert(Name("api:product:17"), "api:product:*", 3, 612, _STAMPEDE, _STAMPEDE, together=4),
            Alert(Name("api:price:5"), "api:price:*", 1, 40, _HELD_BADLY, _HELD_BADLY),
            Alert(Name("<b>bold</b>\\xff"), "<b>bold</b>\\xff", 1, 90, _GOES_ON, _GOES_ON),
        ),
        keys=(
            MissedKey(Name("no:such:1"), "no:such:*", 20_000),
            MissedKey(Name("api:product:17"), "api:product:*", 612, 5),
            MissedKey(Name("x" * 512, 5000), "*", 300),
        ),
        namespaces=(
            MissedNamespace(
                "no:such:*", 20_000, 0, 0, None, None, Estimate(21_000, 20_000, 22_000), Estimate(0, 0, 0.1)
            ),
            MissedNamespace(
                "api:product:*", 900, 10, 40, 0.15, 0.3, Estimate(9e4, 8e4, 1e5), Estimate(0.99, 0.98, 0.991)
            ),
        ),
        absent=(AbsentKey(Name("no:such:1"), "no:such:*", 20_000, 58.0),),
        filled=900,
        p50=0.12,
        p99=0.3,
        held=2,
    ),
    events=60_000,
    bytes=6_000_000,
    cpu=0.4,
    counted=30_000,
    reads=True,
    begun_at=1_764_000_000.0,
    sampled=4_000,
    bursts=12,
)
"""Of a minute: three stampedes of one key, two more, and a key that is never filled."""


def keep_watch(store: Store, found: Watch, *, cache: str = "main", state: str = "finished") -> Job:
    """A watch for stampedes as a worker leaves it in the store."""
    given = stampede_watch_job.arguments(found.seconds, "ada", "127.0.0.1", found.threshold, reads=found.reads)
    return _keep(store, stampede_watch_job.KIND, given, found, cache, state)


def keep_saving(store: Store, found: Saving, *, cache: str = "main", state: str = "finished") -> Job:
    """A saving as a worker leaves it in the store."""
    given = {**arguments(found.namespace, found.keys), "analysis": 1}
    progress = Progress(found.sampled, found.sampled, 3.0, ended=state == "finished")
    return _keep(store, KIND, given, SavingSnapshot(progress, found), cache, state)


def keep_trace(store: Store, found: Trace, *, cache: str = "main", state: str = "finished") -> Job:
    """A measurement of regret as a worker leaves it in the store."""
    given = eviction_trace_job.arguments(found.seconds, "ada", "127.0.0.1")
    return _keep(store, eviction_trace_job.KIND, given, found, cache, state)


PUBLISHED = Publication(
    Progress(2, 2, 2.0, ended=True, unit="seconds"),
    id="5f0c2a9d1b7e4c33",
    node="10.0.0.1:6379",
    receivers=2,
    partial=True,
    bytes=171,
    before=Audience(
        (
            NodeAudience("10.0.0.1:6379", 2, 1),
            NodeAudience("10.0.0.2:6379", 1, None, ("Cachedeck's user on main may not run PUBSUB.",)),
        ),
        clients=4,
        own=1,
    ),
    acks=(
        Ack("42", "shop-1", 3.1, 2, "10.0.0.9:50122", "10.0.0.1:6379"),
        Ack("", "<b>shop-2</b>", 1214.8, None),
    ),
    counted=Counted(acks=2, repeated=1, foreign=0, strange=12_000),
    silent=(
        Silent(Client("10.0.0.1:6379", 44, "10.0.0.9:50124", "shop-3", channels=1)),
        Silent(Client("10.0.0.2:6379", 7, "10.0.0.9:50127", "", patterns=2), doubtful=True),
    ),
    silent_count=2,
)


def keep_publication(store: Store, found: Publication, *, cache: str = "main", state: str = "finished") -> Job:
    """A message as the process that has published it leaves it in the store."""
    draft = Draft(b"invalidate", "keys", keys=(b"api:user:1", b"\xff"))
    return _keep(store, publish_job.KIND, publish_job.arguments(draft, 2.0, cache), found, cache, state)


def _keep(store: Store, kind: Kind, given: Mapping[str, Any], found: HasProgress, cache: str, state: str) -> Job:
    """It is put together under another cache's name, so that a worker which runs just now does not take it."""
    apart = f"apart from {cache}"
    job = jobs.create(store, apart, kind.name, given, "otto", "127.0.0.1")
    jobs.claim(store, "worker", [apart])
    jobs.save(store, job.id, "worker", told_of(kind, found), text_of(kind, found))
    if state != "running":
        jobs.end(store, job.id, "worker", state)  # type: ignore[arg-type]
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(cache=cache))
    kept = jobs.get(store, job.id)
    assert kept
    return kept
