"""Running something in several real processes that all start at the same instant."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import TypeVar

from dashboard.store import audit, invalidations, jobs, operators, samples
from dashboard.store.audit import Change
from dashboard.store.engine import open_store
from dashboard.store.operators import LastAdmin, NameTaken, Role
from dashboard.store.samples import Sample

Result = TypeVar("Result")

# Forked from a server that has imported this module once: clean processes, without the wait for imports.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])
_gates: list[Barrier] = []


def together(count: int, work: Callable[[str, int], Result], url: str) -> list[Result]:
    """The results of `work(url, 0)`, `work(url, 1)` ..., each in a process of its own."""
    gate = _context.Barrier(count)
    with ProcessPoolExecutor(count, mp_context=_context, initializer=_keep, initargs=(gate,)) as pool:
        waiting = [pool.submit(_at_once, work, url, number) for number in range(count)]
        return [result.result(60) for result in waiting]


def _keep(gate: Barrier) -> None:
    _gates.append(gate)


def _at_once(work: Callable[[str, int], Result], url: str, number: int) -> Result:
    _gates[-1].wait(120)
    return work(url, number)


def open_and_count(url: str, number: int) -> int:
    store = open_store(url)
    count = len(operators.all_operators(store))
    store.close()
    return count


def record_changes(url: str, number: int) -> None:
    store = open_store(url)
    for index in range(20):
        change = Change(f"operator {number}", "127.0.0.1", "main", "key.delete", f"key {index}")
        with audit.record(store, change) as attempt:
            attempt.done({"index": index})
    store.close()


def add_alice(url: str, number: int) -> bool:
    store = open_store(url)
    try:
        operators.add(store, "alice", "correct horse", Role.VIEWER)
    except NameTaken:
        return False
    finally:
        store.close()
    return True


def demote(url: str, number: int) -> bool:
    store = open_store(url)
    try:
        operators.set_role(store, number + 1, Role.VIEWER)
    except LastAdmin:
        return False
    finally:
        store.close()
    return True


def save_samples(url: str, number: int) -> None:
    store = open_store(url)
    for slot in range(50):
        sample = Sample(1000.0 + 2 * slot + number / 10, "main", "node", {"worker": float(number)})
        samples.save(store, [sample])
    store.close()


def try_wrong_password(url: str, number: int) -> bool:
    store = open_store(url)
    try:
        operators.sign_in(store, "alice", "wrong password", "192.0.2.1", now=1000.0)
    except operators.Throttled:
        return False
    finally:
        store.close()
    return True


def claim_all(url: str, number: int) -> list[int]:
    """Take jobs until none waits; the numbers of those that this process got."""
    store, taken = open_store(url), []
    while job := jobs.claim(store, f"worker {number}", ["main"]):
        taken.append(job.id)
    store.close()
    return taken


def begin_it(url: str, number: int) -> int | None:
    """Carry invalidation 1 out; the number of the job, or None where somebody else was first."""
    store = open_store(url)
    try:
        asked = invalidations.Asked(f"operator {number}", "127.0.0.1")
        return invalidations.begin(store, 1, "invalidate", asked).id
    except invalidations.AlreadyBegun:
        return None
    finally:
        store.close()
