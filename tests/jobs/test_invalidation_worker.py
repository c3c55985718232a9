"""Invalidations as jobs in bad weather: the vault or its disk is full, an entry is damaged, the worker is killed."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from dashboard.cache.invalidation import work as invalidation_work
from dashboard.cache.invalidation.mode import Paced
from dashboard.cache.invalidation.report import Counts, Undone
from dashboard.cache.invalidation.task import Task
from dashboard.cache.reading import keeping
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.jobs import invalidating
from dashboard.jobs.vault_safe import frames
from dashboard.settings import Settings
from dashboard.store import audit, jobs
from dashboard.store.engine import Store, open_store
from dashboard.store.job import DEAD_SECONDS
from dashboard.store.jobs import Job
from dashboard.store.schema import JobRow
from dashboard.store.vault import vault_of
from dashboard.store.vault_frame import ENTRY_BYTES, HEAD_BYTES, slot_of
from tests.jobs.test_invalidating import Desk
from tests.programs import environment, wait_until
from tests.servers import Server, running

KEYS = 300
USERS = Task(Selection(b"user:*"))
PROGRAM = """
import logging
from dashboard.jobs.worker import run
from dashboard.settings import load_settings
logging.basicConfig(level=logging.INFO, format="%(message)s")
run(load_settings())
"""


@pytest.fixture
def desk(tmp_path: Path, valkey: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A cache with KEYS of 8 KB that no compression makes smaller, of which a few dozen are kept at a time."""
    monkeypatch.setattr(invalidation_work, "FRAME_BYTES", 400_000)
    monkeypatch.setattr(keeping, "CALL_BYTES", 400_000)
    with valkey.client() as client:
        client.mset({f"user:{number}": secrets.token_bytes(8_000) for number in range(KEYS)})
    store = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
    with closing(Cache(parse_target(f"main={valkey.url}"))) as cache:
        yield Desk(store, cache, Settings(data=tmp_path, walk_hold_ms=0.2))
    store.close()


def _left(server: Server) -> set[bytes]:
    with server.client() as client:
        return set(client.scan_iter("user:*", count=1000))


def _vaulted(desk: Desk, number: int) -> set[bytes]:
    vault = vault_of(desk.settings)
    entry = vault.entry(number)
    assert entry
    return {record.key for _, records in frames(vault, number, 0, entry.frames) for record in records}


def _counts(desk: Desk, number: int) -> Counts:
    done = desk.now(number).done
    assert done
    return done.counts


def _undone(desk: Desk, number: int, job: Job) -> Undone:
    found = desk.run(job)
    assert found.state == "finished", found.error
    undone = next(undone for undo, undone in desk.now(number).undos if undo.id == job.id)
    assert undone
    return undone


# --- the vault and its disk ---------------------------------------------------------------------------------


def _stopped_by(desk: Desk, server: Server, number: int, job: Job, says: str) -> None:
    """It failed, saying why, with nothing gone that is not in the vault and exact counts."""
    assert job.state == "failed"
    assert says in job.error
    assert job.advice
    gone = {b"user:%d" % one for one in range(KEYS)} - _left(server)
    assert 0 < len(gone) < KEYS
    assert gone <= _vaulted(desk, number)
    assert (_counts(desk, number).removed, _counts(desk, number).unsure) == (len(gone), 0)


def _goes_on(desk: Desk, server: Server, number: int, job: Job) -> None:
    again = jobs.resume(desk.store, job.id)
    assert again
    assert desk.run(again).state == "finished"
    counts = _counts(desk, number)
    assert (counts.found, counts.removed, counts.unsure, _left(server)) == (KEYS, KEYS, 0, set())
    assert _undone(desk, number, desk.undo(number)).restored == KEYS
    assert len(_left(server)) == KEYS


def test_a_vault_that_is_full_in_the_middle_ends_it_and_with_more_room_it_goes_on(desk: Desk, valkey: Server) -> None:
    number = desk.plan(USERS)
    job = desk.execute(number)
    settings = desk.settings
    desk.settings = settings.model_copy(update={"vault_mb": 1})
    job = desk.run(job)
    _stopped_by(desk, valkey, number, job, "The vault has no room left: it holds 1 MB at most.")
    assert desk.now(number).state == "failed"
    desk.settings = settings
    _goes_on(desk, valkey, number, job)


@contextmanager
def _small_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_in_the_middle_ends_it_and_with_more_room_it_goes_on(desk: Desk, valkey: Server) -> None:
    number = desk.plan(USERS)
    job = desk.execute(number)
    with _small_disk(1_200_000):
        job = desk.run(job)
    _stopped_by(desk, valkey, number, job, "The vault cannot be written: ")
    _goes_on(desk, valkey, number, job)


def test_where_not_even_a_note_can_be_written_nothing_is_touched(desk: Desk, valkey: Server) -> None:
    number = desk.plan(replace(USERS, vault=False))
    job = desk.execute(number)
    ledger = desk.settings.data / "vault" / str(number) / "run.ledger"
    ledger.mkdir(parents=True)
    assert desk.run(job).state == "failed"
    assert len(_left(valkey)) == KEYS
    ledger.rmdir()
    again = jobs.resume(desk.store, job.id)
    assert again
    assert desk.run(again).state == "finished"
    counts = _counts(desk, number)
    assert (counts.removed, counts.unsure, _left(valkey)) == (KEYS, 0, set())


# --- a damaged entry ----------------------------------------------------------------------------------------


def test_what_is_in_a_damaged_part_is_told_and_the_rest_comes_back(desk: Desk, valkey: Server) -> None:
    number = desk.plan(USERS)
    desk.run(desk.execute(number))
    path = desk.settings.data / "vault" / str(number) / "frames"
    _flip(path, path.stat().st_size // 2)
    undone = _undone(desk, number, desk.undo(number))
    lost = KEYS - undone.restored
    assert 0 < lost <= 60
    assert len(_left(valkey)) == undone.restored
    (note,) = undone.notes
    assert "of the vault is damaged" in note
    assert undone.progress.examined == undone.restored
    again = _undone(desk, number, desk.undo(number))
    assert (again.restored, again.same, again.notes) == (0, undone.restored, undone.notes)


def test_where_the_end_of_an_entry_cannot_be_told_apart_what_stands_before_comes_back(
    desk: Desk, valkey: Server
) -> None:
    number = desk.plan(USERS)
    desk.run(desk.execute(number))
    folder = desk.settings.data / "vault" / str(number)
    index = (folder / "index").read_bytes()
    slots = [slot_of(index[at : at + ENTRY_BYTES]) for at in range(0, len(index), ENTRY_BYTES)]
    third = slots[2]
    assert third
    for place in range(HEAD_BYTES):
        _flip(folder / "frames", third.offset + place)
    for place in range(ENTRY_BYTES):
        _flip(folder / "index", 2 * ENTRY_BYTES + place)
    undone = _undone(desk, number, desk.undo(number))
    assert undone.restored == sum(slot.keys for slot in slots[:2] if slot) == len(_left(valkey))
    assert any("cannot be told apart" in note for note in undone.notes)


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0xFF]))


# --- the worker ---------------------------------------------------------------------------------------------


@contextmanager
def _worker(data: Path, caches: str) -> Iterator[subprocess.Popen[bytes]]:
    with (data / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment(data, CACHEDECK_CACHES=caches), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(120)


def _now(store: Store, job: Job) -> Job:
    found = jobs.get(store, job.id)
    assert found
    return found


def _time_passes(store: Store, seconds: float) -> None:
    """For the jobs: their last sign of life is so much older."""
    with store.write() as session:
        session.execute(update(JobRow).values(heartbeat_at=JobRow.heartbeat_at - seconds))


def test_a_worker_that_is_killed_leaves_a_job_that_goes_on_where_it_stood(
    desk: Desk, valkey: Server, tmp_path: Path
) -> None:
    number = desk.plan(replace(USERS, mode=Paced(150)))
    job = desk.execute(number)
    caches = f"main={valkey.url}"
    with _worker(tmp_path, caches) as process:
        wait_until(lambda: KEYS - len(_left(valkey)) > KEYS // 5, "it is at work")
        process.send_signal(signal.SIGKILL)
        process.wait(120)
    gone = {b"user:%d" % one for one in range(KEYS)} - _left(valkey)
    assert 0 < len(gone) < KEYS
    assert gone <= _vaulted(desk, number)
    assert _now(desk.store, job).state == "running"  # nobody has told otherwise, yet
    _time_passes(desk.store, DEAD_SECONDS)
    assert desk.now(number).state == "interrupted"
    with pytest.raises(invalidating.AlreadyRun):
        desk.execute(number)
    assert len(_left(valkey)) == KEYS - len(gone)
    with _worker(tmp_path, caches):
        assert jobs.resume(desk.store, job.id)
        wait_until(lambda: _now(desk.store, job).state == "finished", "it has gone on")
    counts = _counts(desk, number)
    assert counts.found + counts.unsure == counts.removed + counts.unsure == KEYS
    assert counts.unsure <= 15  # a call's worth, at this pace
    assert _left(valkey) == set()
    assert _undone(desk, number, desk.undo(number)).restored == KEYS
    assert [entry.status for entry in audit.search(desk.store, audit.Filters(action="keys.invalidate"))][:1] == ["done"]


def test_while_the_server_of_one_cache_hangs_the_invalidation_of_another_goes_on(
    desk: Desk, valkey: Server, tmp_path: Path
) -> None:
    with running() as second:
        with second.client() as client:
            client.mset({f"user:{number}": "v" for number in range(KEYS)})
        with closing(Cache(parse_target(f"other={second.url}"))) as cache:
            elsewhere = Desk(desk.store, cache, desk.settings)
            slow = Task(Selection(b"user:*"), Paced(150))
            numbers = desk.plan(slow), elsewhere.plan(slow)
            both = desk.execute(numbers[0]), elsewhere.execute(numbers[1])
            with _worker(tmp_path, f"main={valkey.url}?timeout=0.5\nother={second.url}"):
                wait_until(lambda: all(len(_left(server)) < KEYS for server in (valkey, second)), "both are at work")
                os.kill(valkey.process.pid, signal.SIGSTOP)
                try:
                    wait_until(lambda: _now(desk.store, both[1]).state == "finished", "the other is done")
                    assert _now(desk.store, both[0]).state == "running"
                finally:
                    os.kill(valkey.process.pid, signal.SIGCONT)
                wait_until(lambda: _now(desk.store, both[0]).state == "finished", "so is the one")
            for one, number in zip((desk, elsewhere), numbers, strict=True):
                counts = _counts(one, number)
                assert counts.removed + counts.unsure == KEYS
                assert len(_vaulted(one, number)) == KEYS
            assert _counts(elsewhere, numbers[1]).unsure == 0
            assert _left(valkey) == _left(second) == set()


# --- at once ------------------------------------------------------------------------------------------------


def test_of_two_who_undo_at_once_one_is_told_of_the_other(desk: Desk, valkey: Server) -> None:
    number = desk.plan(USERS)
    desk.run(desk.execute(number))
    first = desk.undo(number)
    with pytest.raises(invalidating.Refused):
        desk.undo(number)
    assert _undone(desk, number, first).restored == KEYS


def test_of_two_who_resume_at_once_one_job_goes_on(desk: Desk, valkey: Server) -> None:
    number = desk.plan(USERS)
    job = desk.execute(number)
    settings = desk.settings
    desk.settings = settings.model_copy(update={"vault_mb": 1})
    desk.run(job)
    desk.settings = settings
    both = [jobs.resume(desk.store, job.id) for _ in range(2)]
    assert [one.state for one in both if one] == ["queued", "queued"]
    assert len(jobs.of(desk.store, number, "invalidate")) == 1
    assert desk.run(job).state == "finished"
    assert _counts(desk, number).removed == KEYS
