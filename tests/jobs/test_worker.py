"""The worker as a process and as a function: it samples, keeps house, and ends when told."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboard.cli.main import main
from dashboard.jobs import housekeeping, worker
from dashboard.jobs.queue import make_queue
from dashboard.settings import Settings
from dashboard.store import invalidations, jobs, samples, workers
from dashboard.store.engine import open_store
from dashboard.store.samples import Sample
from dashboard.store.vault import vault_of
from tests.servers import Server

PROGRAM = """
import logging
from dashboard.jobs.worker import run
from dashboard.settings import load_settings
logging.basicConfig(level=logging.INFO, format="%(message)s")
run(load_settings())
"""


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def settings(tmp_path: Path, valkey: Server) -> Settings:
    return Settings(data=tmp_path, caches=f"main=redis://127.0.0.1:{valkey.port}", sample_seconds=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_samples_until_a_signal_and_leaves_cleanly(tmp_path: Path, valkey: Server, number: int) -> None:
    variables = {"CACHEDECK_DATA": str(tmp_path), "CACHEDECK_CACHES": f"main={valkey.url}"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "Sampling main" in log.read_text() or process.poll() is not None)
        store = open_store(f"sqlite:///{tmp_path / 'cachedeck.db'}")
        wait_until(lambda: samples.latest(store, "main"))
        wait_until(lambda: workers.alive(store) == 1)
        process.send_signal(number)
        assert process.wait(120) == 0
        assert workers.alive(store) == 0
        store.close()
    finally:
        process.kill()
        process.wait()
    lines = log.read_text().splitlines()
    assert lines.count(f"Sampling main (redis://127.0.0.1:{valkey.port}) every 2 s; queue on sqlite.") == 1
    assert lines[-1] == "Stopped."
    assert "Traceback" not in log.read_text()


def test_the_command_leaves_signals_to_the_worker(
    tmp_path: Path, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHEDECK_DATA", str(tmp_path))
    monkeypatch.setenv("CACHEDECK_CACHES", f"main={valkey.url}")
    numbers = (signal.SIGTERM, signal.SIGINT)
    before, found = [signal.getsignal(number) for number in numbers], []
    monkeypatch.setattr(worker, "run", lambda _settings: found.extend(signal.getsignal(number) for number in numbers))
    assert CliRunner().invoke(main, ["worker"]).exit_code == 0
    assert found == before


def test_it_ends_by_an_event_and_leaves_no_thread(tmp_path: Path, valkey: Server) -> None:
    stop = threading.Event()
    before = set(threading.enumerate())
    running = threading.Thread(target=worker.run, args=(settings(tmp_path, valkey), stop))
    running.start()
    stop.set()
    running.join(120)
    assert not running.is_alive()
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_it_works_off_the_queue(tmp_path: Path, valkey: Server) -> None:
    chosen = settings(tmp_path, valkey)
    store = open_store(chosen.database)
    long_ago = time.time() - 7200
    samples.save(store, [Sample(long_ago, "main", "a:1", {"keys": 1.0})])
    stop = threading.Event()
    running = threading.Thread(target=worker.run, args=(chosen, stop))
    running.start()
    try:
        # The scheduler looks for periodic tasks when it starts, and this one is due in any minute.
        wait_until(lambda: samples.load(store, "main", long_ago - 60, long_ago + 60, resolution=samples.MINUTE))
        wait_until(lambda: not samples.load(store, "main", long_ago - 60, long_ago + 60, resolution=samples.RAW))
    finally:
        stop.set()
        running.join(120)
        store.close()


def test_housekeeping_is_due_every_minute(tmp_path: Path, valkey: Server) -> None:
    chosen = settings(tmp_path, valkey)
    store, queue = open_store(chosen.database), make_queue(chosen)
    housekeeping.register(queue, store, vault_of(chosen))
    due = [type(task).__name__ for task in queue.read_periodic(None)]
    assert due == ["compact_samples", "tend_jobs", "tend_vault"]
    queue.storage.close()
    store.close()


def test_housekeeping_forgets_old_invalidations_but_not_those_of_which_the_vault_has_keys(
    tmp_path: Path, valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidations.drop_old, "__defaults__", ((), 0, 0.0))
    chosen = settings(tmp_path, valkey)
    store, queue, vault = open_store(chosen.database), make_queue(chosen), vault_of(chosen)
    asked = invalidations.Asked("otto", "local")
    kept, idle = (invalidations.make(store, "main", {"pattern": "a"}, "x", asked, seconds=1)[0] for _ in range(2))
    for one in (kept, idle):
        jobs.request_cancel(store, one.plan_job or 0)
    with vault.writer(kept.number) as writer:
        writer.append([(b"a", -1, 1, b"dump")])
    housekeeping.register(queue, store, vault)
    for task in queue.read_periodic(None):
        queue.execute(task)
    assert [one.number for one in invalidations.newest(store, "main")] == [kept.number]
    queue.storage.close()
    store.close()


def test_the_first_line_of_the_log_names_no_password(tmp_path: Path, valkey: Server) -> None:
    chosen = Settings(
        data=tmp_path,
        caches=f"main=redis://user:s3cret@127.0.0.1:{valkey.port}",  # type: ignore[arg-type]
        queue_url="redis://:s3cret@127.0.0.1:1/0",  # type: ignore[arg-type]
    )
    line = worker.opening(chosen)
    assert "s3cret" not in line
    assert "main" in line
    assert "no cache is configured" in worker.opening(Settings(data=tmp_path))


def test_it_keeps_the_signal_handlers_of_its_caller(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with worker._signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: received)
    assert signal.getsignal(signal.SIGTERM) is before
    assert logging.getLogger("dashboard").level == logging.NOTSET
