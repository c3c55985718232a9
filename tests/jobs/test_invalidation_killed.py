"""Killed at any moment: what was removed is in the vault, the counts are right, and it goes on where it stood."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from dashboard.cache.invalidation.mode import Gently, Mode, Now
from dashboard.cache.invalidation.report import Undone
from dashboard.cache.invalidation.restore import Options, restore
from dashboard.cache.invalidation.standing import Standing
from dashboard.cache.invalidation.task import Task
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking.governor import Budget
from dashboard.jobs.vault_safe import frames, standing
from tests.jobs.mortal import NUMBER, vault_in
from tests.servers import Server

KILLS = 50
KEYS = 6_000
FILL = "for i = 1, ARGV[2] do redis.call('SET', ARGV[1] .. i, 'value of ' .. i) end"


class Mortal:
    """The process of mortal.py, and what to tell it."""

    def __init__(self, process: subprocess.Popen[str], task: Task) -> None:
        self._process = process
        self._line = json.dumps(task.to_query())

    def run(self, seconds: float | None) -> int:
        """A child runs the task, and is killed after so long: its exit code."""
        assert self._process.stdout
        self._say(self._line)
        child = int(self._process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        self._say("")
        return int(self._process.stdout.readline())

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@contextmanager
def mortal(folder: Path, port: int, task: Task) -> Iterator[Mortal]:
    command = [sys.executable, "-m", "tests.jobs.mortal", str(folder), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Mortal(process, task)
    finally:
        process.communicate()


def _fill(client: redis.Redis) -> set[bytes]:
    client.flushall()
    client.eval(FILL, 0, "shop:", str(KEYS))
    client.eval(FILL, 0, "other:", "100")
    return {b"shop:%d" % number for number in range(1, KEYS + 1)}


def _vaulted(folder: Path) -> set[bytes]:
    entry = vault_in(folder).entry(NUMBER)
    if entry is None:
        return set()
    return {record.key for _, records in frames(vault_in(folder), NUMBER, 0, entry.frames) for record in records}


def _stands(folder: Path) -> Standing:
    found = standing(vault_in(folder), NUMBER)
    assert found is not None
    return found


def _undo(folder: Path, server: Server, task: Task) -> Undone:
    vault = vault_in(folder)
    entry = vault.entry(NUMBER)
    assert entry is not None

    with closing(Cache(parse_target(f"shop={server.url}"))) as cache:
        options = Options(Budget(share=1.0), lowered=task.lowers)
        all_of_it = restore(
            cache, lambda a, b: frames(vault, NUMBER, a, b), entry.frames, _stands(folder), options=options
        )
        return list(all_of_it)[-1]


def _killed_again_and_again(tmp_path: Path, server: Server, mode: Mode, kills: int) -> int:
    """So many kills, each of a run that goes on where the one before stood. How many of them met it at work."""
    task, met = Task(Selection(b"shop:*"), mode), 0
    luck, reach = random.Random(4711), 0.25
    with server.client() as client:
        rounds = 0
        while kills > 0:
            folder = tmp_path / str(rounds)
            folder.mkdir()
            names, rounds = _fill(client), rounds + 1
            with mortal(folder, server.port, task) as process:
                code = 1
                while code != 0:
                    seconds = luck.uniform(0.0, reach)
                    code = process.run(seconds if kills > 0 else None)
                    kills -= code != 0
                    touched = _all_is_well(folder, client, names, task)
                    met += 0 < touched < len(names)
                    if not touched and seconds > reach / 2:
                        reach = min(1.2 * reach, 2.0)  # on a slow machine it takes longer to begin
            _it_is_complete(folder, server, client, names, task)
    return met


def _all_is_well(folder: Path, client: redis.Redis, names: set[bytes], task: Task) -> int:
    """Nothing is gone that is not in the vault, and the ledger says how much is gone. How many are."""
    left = set(client.scan_iter(match="shop:*", count=10_000))
    touched = _with_ttl(client, left) if task.lowers else names - left
    assert touched <= _vaulted(folder)
    found = standing(vault_in(folder), NUMBER)
    if found is None:
        assert not touched
        return 0
    counts = found.counts
    assert counts.done <= len(touched) <= counts.done + counts.unsure + found.doubt
    return len(touched)


def _with_ttl(client: redis.Redis, names: set[bytes]) -> set[bytes]:
    pipe, asked = client.pipeline(transaction=False), list(names)
    for name in asked:
        pipe.ttl(name)
    return {name for name, ttl in zip(asked, pipe.execute(), strict=True) if ttl != -1}


def _it_is_complete(folder: Path, server: Server, client: redis.Redis, names: set[bytes], task: Task) -> None:
    found = _stands(folder)
    assert (found.ended, found.doubt) == (True, 0)
    assert found.counts.done + found.counts.unsure + found.counts.unchanged == len(names)
    assert client.dbsize() == 100 + (len(names) if task.lowers else 0)
    back = _undo(folder, server, task)
    assert back.back + back.same == len(names)
    for number in (1, KEYS // 2, KEYS):
        assert client.get(f"shop:{number}") == f"value of {number}".encode()
        assert client.ttl(f"shop:{number}") == -1
    assert client.dbsize() == len(names) + 100


def test_nothing_is_gone_that_is_not_in_the_vault_after_fifty_kills(tmp_path: Path, valkey: Server) -> None:
    assert _killed_again_and_again(tmp_path, valkey, Now(), KILLS) >= KILLS // 5


def test_no_ttl_is_lowered_that_is_not_in_the_vault_after_some_kills(tmp_path: Path, valkey: Server) -> None:
    assert _killed_again_and_again(tmp_path, valkey, Gently(600_000), 12) >= 3
