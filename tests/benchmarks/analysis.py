"""Analysing a million keys, against `redis-cli --memkeys`, which does a part of the same work.

Every analysis runs in a process of its own (analyser.py), and so does the neighbour whose latency is measured
(foreground.py): neither has a part in the other's interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.benchmarks import clicks, keys
from tests.benchmarks.measure import Result
from tests.programs import ROOT
from tests.servers import Server, running, start_cluster

ROUNDS = 3
WINDOW = 8.0  # seconds for which a neighbour is watched
MANY = 5  # times as many keys, for what must not grow with them
SHARES = ((0.5, 3.0), (1.0, 7.0))  # share of the server's time, and how much faster than the peer it must be
_MOST_ENTRIES = 200_000  # of the slow log
_NOTICED = 100  # microseconds
_CORES_TO_SPARE = 6  # three servers, the analysis, and the rest of the machine


def run(server: Server, client: redis.Redis) -> list[Result]:
    """All of it on a server that is filled; the parts about more keys and more servers start their own."""
    count = client.dbsize()
    results = _rates(server, client)
    results += [_calls(server, client, share) for share, _ in SHARES]
    results += _foreground(server)
    with _filled(count * MANY) as large:
        results += _memory(server, large)
        results += clicks.run(server, large)
    results.append(_primaries(count // 3))
    return results


@contextlib.contextmanager
def _filled(count: int) -> Iterator[Server]:
    with running() as server:
        with server.client() as client:
            keys.fill(client, count)
        keys.settle()
        yield server


def _rates(server: Server, client: redis.Redis) -> list[Result]:
    """Ours at each share, and the tool that operators have, in turns: median against median.

    The tool makes a quarter of a million round trips one after the other, so its time is mostly that of waking
    up, which varies on a machine that does something else besides; the range is told for that reason.
    """
    count = client.dbsize()
    tool = shutil.which("redis-cli") or shutil.which("valkey-cli")
    name = f"`{Path(tool).name} --memkeys`" if tool else "a bare redis-py pipeline of MEMORY USAGE (no redis-cli here)"
    peer: list[float] = []
    ours: dict[float, list[float]] = {share: [] for share, _ in SHARES}
    for _ in range(ROUNDS):
        peer.append(_peer(server, client, tool))
        for share, times in ours.items():
            one = _analysed(server.url, share)
            assert one.keys == count, one
            times.append(one.seconds)
    usual = statistics.median(peer)
    spread = f"{min(peer):.1f} to {max(peer):.1f} s"
    results = [
        Result(f"for comparison: {name} (SCAN, TYPE, MEMORY USAGE)", f"{count / usual / 1e3:.0f} k keys/s ({spread})")
    ]
    for share, least in SHARES:
        median = statistics.median(ours[share])
        results.append(
            Result(
                f"whole analysis (these, PTTL, OBJECT, by namespace), share {share:.0%}: rate / the peer's",
                f"{usual / median:.1f} ({count / median / 1e3:.0f} k keys/s, {median:.2f} s)",
                f"≥ {least:g}",
                usual / median >= least,
            )
        )
    return results


def _peer(server: Server, client: redis.Redis, tool: str | None) -> float:
    started = time.perf_counter()
    if tool:
        subprocess.run([tool, "-p", str(server.port), "--memkeys"], check=True, stdout=subprocess.DEVNULL)
    else:
        _bare_pipelines(client)
    return time.perf_counter() - started


def _bare_pipelines(client: redis.Redis) -> None:
    cursor = None
    while cursor != 0:
        cursor, found = client.scan(cursor or 0, count=1000)
        pipe = client.pipeline(transaction=False)
        for key in found:
            pipe.type(key)
            pipe.memory_usage(key)
        pipe.execute()


@dataclass(frozen=True)
class _Run:
    """What analyser.py says of one analysis."""

    seconds: float
    keys: float
    calls: int
    longest_ms: float
    grown: float
    namespaces: int


@contextlib.contextmanager
def _analyser(url: str, share: float, seconds: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.benchmarks.analyser", url, str(share), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.wait() == 0


def _analysed(url: str, share: float) -> _Run:
    with _analyser(url, share) as process:
        assert process.stdout
        return _Run(**json.loads(process.stdout.readline()))


def _calls(server: Server, client: redis.Redis, share: float) -> Result:
    """How long each call of one analysis held the server, from its slow log.

    The log knows the commands within a script too; all but SCAN are too quick for it.
    """
    client.config_set("slowlog-max-len", _MOST_ENTRIES)
    client.config_set("slowlog-log-slower-than", _NOTICED)
    client.slowlog_reset()
    _analysed(server.url, share)
    client.config_set("slowlog-log-slower-than", 10_000)
    entries = client.slowlog_get(_MOST_ENTRIES)
    client.slowlog_reset()
    batches = sorted(one["duration"] for one in entries if one["command"].startswith(b"EVAL"))
    ranks = (batches[len(batches) // 2], batches[len(batches) * 99 // 100], batches[-1])
    return Result(
        f"its {len(batches):,} calls, share {share:.0%}, server time of one: median / p99 / longest",
        " / ".join(f"{one:,}" for one in ranks) + " µs",
        "p99 ≤ 1,000 µs",
        ranks[1] <= 1000,
    )


@dataclass(frozen=True)
class Neighbour:
    """Milliseconds of a GET."""

    count: int
    p50: float
    p99: float


def neighbour(port: int, seconds: float = WINDOW) -> Neighbour:
    """What a GET takes meanwhile, watched for so long."""
    command = [sys.executable, "-m", "tests.benchmarks.foreground", str(port), str(seconds)]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    return Neighbour(**json.loads(done.stdout))


def _foreground(server: Server) -> list[Result]:
    usual = neighbour(server.port)
    results = [
        Result(
            f"a neighbour's GET, {usual.count / WINDOW:,.0f}/s, nothing else: p50 / p99",
            f"{usual.p50:.2f} / {usual.p99:.2f} ms",
        )
    ]
    for share, _ in SHARES:
        with _analyser(server.url, share, WINDOW + 2) as process:
            assert process.stdout
            reader = threading.Thread(target=process.stdout.read)  # a full pipe would stop it
            reader.start()
            time.sleep(0.3)
            during = neighbour(server.port)
            reader.join()
        more = during.p99 - usual.p99
        results.append(
            Result(
                f"the same beside analyses at a share of {share:.0%} (bound: p99 above the above)",
                f"{during.p50:.2f} / {during.p99:.2f} ms ({more:+.2f} ms)",
                "≤ 1 ms",
                more <= 1,
            )
        )
    return results


def _memory(small: Server, large: Server) -> list[Result]:
    first, second = (_analysed(server.url, 1.0) for server in (small, large))
    return [
        Result(
            f"memory growth of the analysing process, {one.keys / 1e6:g} M keys, {one.namespaces} namespaces",
            f"{one.grown:.1f} MiB",
            "≤ 100 MiB" if one is first else "no more than 10 MiB above that",
            one.grown <= (100 if one is first else first.grown + 10),
        )
        for one in (first, second)
    ]


def _primaries(each: int) -> Result:
    """Three primaries against one that has as many keys as the largest of them."""
    cluster = start_cluster(3)
    try:
        with contextlib.closing(cluster.client()) as client:
            keys.fill(client, each * 3)
        sizes = []
        for server in cluster.servers:
            with server.client() as client:
                sizes.append(client.dbsize())
        with _filled(max(sizes)) as alone:
            three = sorted(_analysed(cluster.url, 0.5).seconds for _ in range(ROUNDS))[ROUNDS // 2]
            one = sorted(_analysed(alone.url, 0.5).seconds for _ in range(ROUNDS))[ROUNDS // 2]
    finally:
        cluster.stop()
    cores = os.cpu_count() or 1
    return Result(
        f"three primaries of {max(sizes) / 1e3:.0f} k keys / one of them, share 50 %, on {cores} cores",
        f"{three / one:.2f} ({three:.2f} / {one:.2f} s)",
        f"≤ 1.2 with {_CORES_TO_SPARE} cores or more",
        three / one <= 1.2 if cores >= _CORES_TO_SPARE else None,
    )
