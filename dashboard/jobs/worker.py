"""The worker process: sampler, jobs, schedules, trials and the queue's consumer, side by side, until a signal."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from huey.consumer import Consumer

from dashboard.cache.servers.connect import Cache
from dashboard.jobs.housekeeping import register
from dashboard.jobs.kind import Kind
from dashboard.jobs.kinds import KINDS
from dashboard.jobs.pool import Pool
from dashboard.jobs.presence import Presence
from dashboard.jobs.queue import make_queue
from dashboard.jobs.sampler import Sampler
from dashboard.jobs.scheduler import Scheduler
from dashboard.jobs.trial_guard import TrialGuard
from dashboard.settings import Settings, prepare_data_folder
from dashboard.store.engine import open_store
from dashboard.store.vault import vault_of

TASK_THREADS = 2  # tasks wait for caches and the store most of the time
POLL_SECONDS = 1.0  # longest time until a task on SQLite is noticed; Redis and PostgreSQL wake the consumer
STOP_SECONDS = 0.4  # for tasks under way: with the sampler's second and JOBS_SECONDS it stays below 2 s
WATCHING_SECONDS = 0.1  # scheduler and trial guards together; what waits for a server dies with us
PRESENCE_SECONDS = 0.1
JOBS_SECONDS = 0.2  # more for jobs under way, which are told to end before all the others
LOOK_SECONDS = 0.2  # how soon a signal is noticed
HEALTH_SECONDS = 10.0  # how often dead threads of the consumer are replaced

_log = logging.getLogger(__name__)


class _Consumer(Consumer):  # type: ignore[misc]
    """huey's consumer without its signal handlers: it is not the only thing in this process to be stopped."""

    def _set_signal_handlers(self) -> None:
        pass


def run(settings: Settings, stop: threading.Event | None = None, kinds: Mapping[str, Kind] = KINDS) -> bool:
    """Sample and work until SIGTERM, SIGINT or `stop`; returns within 2 s of it.

    True where a call to a server that does not answer is still under way: its threads would keep the process until
    the time-out. Signals are heeded when called in the main thread. Raises BadSettings and StoreError at the start.
    """
    prepare_data_folder(settings)
    logging.getLogger("huey").setLevel(logging.WARNING)  # it tells of every periodic task, each minute
    store = open_store(settings.database)
    caches = {target.name: Cache(target) for target in settings.caches}
    try:
        queue = make_queue(settings)
        register(queue, store, vault_of(settings))
        _log.info("%s", opening(settings))
        sampler = Sampler(store, caches.values(), settings.sample_seconds)
        scheduler = Scheduler(store, caches, settings)
        # One for each cache, so that one that hangs holds up no trial on another.
        guards = [TrialGuard(store, {name: cache}, settings) for name, cache in caches.items()]
        presence = Presence(store)
        presence.start()
        try:
            pool = Pool(store, caches, settings, kinds)
            return _work(queue, sampler, (scheduler, *guards), pool, stop or threading.Event())
        finally:
            presence.stop(PRESENCE_SECONDS)
    finally:
        for cache in caches.values():
            cache.close()
        store.close()


def opening(settings: Settings) -> str:
    """What the log says first: which caches are sampled how often, and where the queue is, without secrets."""
    names = ", ".join(f"{target.name} ({target.address})" for target in settings.caches)
    scheme = settings.queue.partition(":")[0]
    return (
        f"Sampling {names or 'nothing: no cache is configured'} every {settings.sample_seconds:g} s; queue on {scheme}."
    )


def _work(
    queue: object, sampler: Sampler, watching: Sequence[Scheduler | TrialGuard], pool: Pool, stop: threading.Event
) -> bool:
    consumer = _Consumer(queue, workers=TASK_THREADS, max_delay=POLL_SECONDS, shutdown_timeout=STOP_SECONDS)
    with _signals() as received:
        consumer.start()
        sampler.start()
        pool.start()
        for one in watching:
            one.start()
        looked = time.monotonic()
        while not received and not stop.wait(LOOK_SECONDS):
            if time.monotonic() - looked > HEALTH_SECONDS:
                looked = time.monotonic()
                consumer.check_worker_health()
        pool.ask_to_stop()
        ends = time.monotonic() + WATCHING_SECONDS
        for one in watching:
            one.stop(max(ends - time.monotonic(), 0.0))
        sampler.stop()
        consumer.stop(graceful=True)
        all_ended = pool.finish(JOBS_SECONDS)
        queue.storage.close()  # type: ignore[attr-defined]
    _log.info("Stopped.")
    return not all_ended


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGINT are added to. A handler must not set the event that its thread waits on."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda got, _frame: received.append(got)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
