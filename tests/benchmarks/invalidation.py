"""Removing a quarter of a million keys, against what operators do by hand, and giving them back.

Each invalidation runs in a process of its own (invalidator.py), and so does the neighbour whose latency is measured.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.benchmarks import clicks, pages
from tests.benchmarks.analysis import neighbour
from tests.benchmarks.measure import Result
from tests.programs import ROOT
from tests.servers import Server, running

ROUNDS = 3
SPACES = (b"shop:a:", b"shop:b:", b"shop:c:", b"shop:d:")
PATTERN = "shop:a:*"
BOUNDS = ((1.0, False, 5.0), (0.5, False, 3.0), (1.0, True, 2.0), (0.5, True, 2.0))
"""Share of the server's time, with the vault or without, and how many times as fast as the peer it must be."""

FILL = "for i = ARGV[2], ARGV[3] do redis.call('SET', ARGV[1] .. i, string.rep(i .. ',', 12)) end"
STEP = 10_000
MANY = 5  # times as many keys, for what must not grow with them
WATCHED = 1.0  # seconds for which a neighbour is watched: about as long as the removal takes
STARTING = 0.15


def run(server: Server, client: redis.Redis) -> list[Result]:
    """On a server of its own with as many keys as the given one."""
    del server
    each = client.dbsize() // len(SPACES)
    with _filled(each) as own, own.client() as inside:
        results = _rates(own, inside, each)
        results += _foreground(own, inside, each)
        results += _by_hand(own, inside, each)
    with _filled(each * MANY) as large, large.client() as inside:
        results += _by_hand(large, inside, each * MANY)
    return results


@contextlib.contextmanager
def _filled(each: int) -> Iterator[Server]:
    with running() as server:
        with server.client() as client:
            for space in SPACES:
                _fill(client, space, each)
        yield server


def _fill(client: redis.Redis, space: bytes, each: int) -> None:
    for start in range(0, each, STEP):
        client.eval(FILL, 0, space, start + 1, min(start + STEP, each))


def _rates(server: Server, client: redis.Redis, each: int) -> list[Result]:
    """In turns, median against median; the keys that were removed are made anew before each."""
    tool = shutil.which("redis-cli") or shutil.which("valkey-cli")
    peer: list[float] = []
    bare: list[float] = []
    with contextlib.ExitStack() as stack:
        ours = {(share, vault): stack.enter_context(_invalidator(server, share, vault)) for share, vault, _ in BOUNDS}
        runs: dict[tuple[float, bool], list[_Run]] = {which: [] for which in ours}
        undos: list[_Run] = []
        for _ in range(ROUNDS):
            if tool:
                peer.append(_timed(client, each, lambda: _by_the_tool(tool, server)))
            bare.append(_timed(client, each, lambda: _by_a_bare_loop(client)))
            for which, process in ours.items():
                _fill(client, SPACES[0], each)
                runs[which].append(process.do("run", each))
                if which[1]:
                    undos.append(process.do("undo", each))
    usual = statistics.median(peer or bare)
    name = f"`{Path(tool).name} --scan | xargs -n 1000 {Path(tool).name} unlink`" if tool else "the bare loop"
    spread = f"{min(peer or bare):.1f} to {max(peer or bare):.1f} s"
    count = f"{each / 1e3:g} k of {each * len(SPACES) / 1e6:g} M keys"
    results = [
        Result(f"for comparison: {name}, {count}", f"{usual:.2f} s ({spread})"),
        Result("for comparison: a bare redis-py loop of SCAN COUNT 1000 + UNLINK", f"{statistics.median(bare):.2f} s"),
    ]
    for share, vault, least in BOUNDS:
        took = statistics.median(one.seconds for one in runs[share, vault])
        results.append(
            Result(
                f"removed now, {'with' if vault else 'without'} vault, share {share:.0%}: rate / that of the first",
                f"{usual / took:.1f} ({took:.2f} s; {statistics.median(bare) / took:.2f} of the bare loop's)",
                f"≥ {least:g}",
                usual / took >= least,
            )
        )
    rate = each / statistics.median(one.seconds for one in undos)
    grown = max(one.grown for found in runs.values() for one in found)
    results.append(Result("undo, share 50 %", f"{rate / 1e3:.0f} k keys/s", "≥ 50 k keys/s", rate >= 50_000))
    results.append(Result("memory growth of the invalidating process", f"{grown:.1f} MiB", "≤ 100 MiB", grown <= 100))
    return results


def _timed(client: redis.Redis, each: int, work: object) -> float:
    assert callable(work)
    _fill(client, SPACES[0], each)
    started = time.perf_counter()
    work()
    took = time.perf_counter() - started
    assert client.dbsize() == each * (len(SPACES) - 1)
    return took


def _by_the_tool(tool: str, server: Server) -> None:
    line = f"{tool} -p {server.port} --scan --pattern '{PATTERN}' | xargs -n 1000 {tool} -p {server.port} unlink"
    subprocess.run(line, shell=True, check=True, stdout=subprocess.DEVNULL)


def _by_a_bare_loop(client: redis.Redis) -> None:
    cursor = None
    while cursor != 0:
        cursor, found = client.scan(cursor or 0, match=PATTERN, count=1000)
        if found:
            client.unlink(*found)


@dataclass(frozen=True)
class _Run:
    """What invalidator.py says of one."""

    seconds: float
    keys: int
    calls: int
    longest_ms: float
    grown: float


class _Invalidator:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, what: str, keys: int) -> _Run:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        done = _Run(**json.loads(self._process.stdout.readline()))
        assert done.keys == keys, done
        return done


@contextlib.contextmanager
def _invalidator(server: Server, share: float, vault: bool) -> Iterator[_Invalidator]:
    command = [sys.executable, "-m", "tests.benchmarks.invalidator", server.url, PATTERN, str(share)]
    command.append("yes" if vault else "no")
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield _Invalidator(process)
        process.stdin.close()


def _foreground(server: Server, client: redis.Redis, each: int) -> list[Result]:
    """A neighbour's GET while keys are removed and made anew, again and again, at the default budget."""
    usual = neighbour(server.port)
    results = [Result("a neighbour's GET, nothing else: p50 / p99", f"{usual.p50:.2f} / {usual.p99:.2f} ms")]
    for vault in (False, True):
        _fill(client, SPACES[0], each)
        with _invalidator(server, 0.5, vault) as process, ThreadPoolExecutor() as pool:
            watched = pool.submit(neighbour, server.port, WATCHED)
            time.sleep(STARTING)  # the neighbour's process is up by then
            process.do("run", each)
            during = watched.result()
        more = during.p99 - usual.p99
        results.append(
            Result(
                f"the same while they are removed, {'with' if vault else 'without'} vault, share 50 %",
                f"{during.p50:.2f} / {during.p99:.2f} ms ({more:+.2f} ms)",
                "p99 ≤ 1 ms above",
                more <= 1,
            )
        )
    return results


_FORM = re.compile(r'<form[^>]*action="[^"]*/invalidations".*?</form>', re.DOTALL)
_ACT = re.compile(r'<form[^>]*action="([^"]*/execution)".*?</form>', re.DOTALL)
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_SAID = re.compile(r'class="invalidation-said"><strong>[^<]*[1-9][^<]* keys')
_FIELD = re.compile(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
LONGEST = 300.0


def _by_hand(server: Server, client: redis.Redis, each: int) -> list[Result]:
    """As an operator has it: the click, the plan's first estimate on the page, the removal with the vault by the
    worker, and what the worker grows by."""
    words = f"{each * len(SPACES) / 1e6:g} M keys"
    _fill(client, SPACES[0], each)
    with tempfile.TemporaryDirectory() as folder, pages.running(server.url, Path(folder)) as (browser, _, worker):
        time.sleep(3)  # the worker begins to sample
        form = _FORM.search(browser.get("/caches/main/invalidations").decode())
        assert form
        token = _TOKEN.search(form[0])
        assert token
        before = clicks.mib(worker, "VmRSS")
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # the highest is from now on (proc(5))
        clicked = time.perf_counter()
        page = browser.get("/caches/main/invalidations", {"csrf_token": token[1], "pattern": PATTERN}).decode()
        where = browser.address
        while not _SAID.search(page):
            assert time.perf_counter() - clicked < LONGEST, page
            time.sleep(0.1)
            page = browser.get(where).decode()
        first = time.perf_counter() - clicked
        act = None
        while act is None:
            assert time.perf_counter() - clicked < LONGEST, page
            time.sleep(1.0)
            page = browser.get(where).decode()
            act = _ACT.search(page)
        fields = dict(_FIELD.findall(act[0])) | {"mode": "now", "vault": "yes"}
        browser.get(act[1], fields)
        while client.dbsize() > each * (len(SPACES) - 1):
            assert time.perf_counter() - clicked < LONGEST, browser.get(where).decode()
            time.sleep(0.5)
        grown = clicks.mib(worker, "VmHWM") - before
    return [
        Result(
            f"from the click to the plan's first estimate on the page, {words}", f"{first:.2f} s", "≤ 1 s", first <= 1
        ),
        Result(
            f"memory growth of the worker by plan and removal of a quarter of {words}, with vault",
            f"{grown:.1f} MiB",
            "≤ 100 MiB",
            grown <= 100,
        ),
    ]
