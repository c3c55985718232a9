"""Bad weather in mid-walk: servers die, hang, are replaced, get slow or full, and an analysis says what happened."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import pytest
import redis

from dashboard.cache.analysis import run as analysis
from dashboard.cache.analysis.report import Report, Snapshot
from dashboard.cache.analysis.run import Options, analyze
from dashboard.cache.errors import Strained
from dashboard.cache.estimate import exactly
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.calls import Visited
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.walking import watch
from dashboard.cache.walking.govern import at_once, govern
from dashboard.cache.walking.governor import Budget
from dashboard.cache.walking.watch import Limits
from dashboard.jobs.analysis_job import KIND
from tests.cache.analysing import set_all
from tests.contract.sites import SERVICE, replaceable
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, running, start_cluster, start_cluster_replicas

SOME = 6000
QUICK = ("--repl-diskless-sync-delay", "0")
FAILING_OVER = ("--cluster-node-timeout", "1000", *QUICK)
# Some hundred batches of ten keys, at a pace at which there is time for the weather to change.
SLOW = Options(Budget(share=0.05, hold_ms=0.01), every=0)
HANGING = "?timeout=1&connect_timeout=1"  # where one waits in vain


@pytest.fixture(autouse=True)
def _a_snapshot_of_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after one that a stalled machine has taken long to make."""
    monkeypatch.setattr(analysis, "SNAPSHOT_SHARE", math.inf)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is waited for, however slow the machine is."""
    monkeypatch.setattr(analysis, "PATIENCE_SECONDS", 3600.0)


def _keys(number: int, name: str = "k") -> list[bytes]:
    return [f"{name}:{n}".encode() for n in range(number)]


def _counts(report: Report) -> dict[str, float]:
    return {row.name: row.keys.value for row in report.namespaces}


def _storable(snapshot: Snapshot) -> Snapshot:
    """What is left of it after it was stored and read again."""
    again: Snapshot = KIND.adapter.validate_json(KIND.adapter.dump_json(snapshot))
    return again


def _until(walking: Iterator[Snapshot], share: float = 0.3) -> Snapshot:
    for snapshot in walking:
        if snapshot.progress.share >= share:
            assert not snapshot.progress.ended
            return snapshot
    raise AssertionError("it ended before the weather changed")


def _last(walking: Iterator[Snapshot]) -> Snapshot:
    *_, last = walking
    assert _storable(last) == last
    return last


@contextlib.contextmanager
def _stopped(server: Server) -> Iterator[None]:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def _opened(url: str, options: str = "") -> Iterator[Cache]:
    with closing(Cache(parse_target(f"shop={url}{options}"))) as cache:
        yield cache


# --- a cluster ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _cluster(
    *arguments: str, replicas: bool = False, options: str = ""
) -> Iterator[tuple[Cluster, list[Server], Cache]]:
    """A cluster with SOME keys, its replicas, and Cachedeck on it, entered by every node."""
    cluster, found = start_cluster(3, *arguments), []
    try:
        if replicas:
            found = start_cluster_replicas(cluster, *arguments)
        with closing(cluster.client()) as client:
            pipe = client.pipeline()  # type: ignore[no-untyped-call]
            for key in _keys(SOME):
                pipe.set(key, "v")
            pipe.execute()
        hosts = ",".join(f"{HOST}:{server.port}" for server in cluster.servers)
        with _opened(f"redis+cluster://{hosts}", options) as cache:
            yield cluster, found, cache
    finally:
        for server in (*cluster.servers, *found):
            server.stop()


def test_a_primary_that_is_killed_is_followed_by_its_replica() -> None:
    with _cluster(*FAILING_OVER, replicas=True) as (cluster, replicas, cache):
        walking = analyze(cache, Selection(), SLOW)
        first = _until(walking)
        cluster.servers[1].stop()
        last = _last(walking)
        assert f"{HOST}:{replicas[1].port}" in {node.name for node in cache.primaries()}
    assert first.progress.primaries == last.progress.primaries == 3
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)
    assert _counts(last.report) == {"k:*": SOME}
    assert last.report.memory is not None
    assert last.report.memory.exact
    # The cluster is down for a moment, which is no reason to go on with what takes several times as long.
    assert last.report.method == "script", last.report.notes


def test_a_primary_that_is_killed_without_a_replica_is_told_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "PATIENCE_SECONDS", 2.0)
    with _cluster("--cluster-require-full-coverage", "no") as (cluster, _, cache):
        theirs = {}
        for server in cluster.servers:
            with server.client() as client:
                theirs[server.port] = client.dbsize()
        walking = analyze(cache, Selection(), SLOW)
        first = _until(walking)
        dead = cluster.servers[2]
        dead.stop()
        last = _last(walking)
    assert last.progress.ended
    assert not last.progress.complete
    assert list(last.progress.lost) == [f"{HOST}:{dead.port}"]
    assert "cannot be reached" in last.progress.lost[f"{HOST}:{dead.port}"]
    # All of the others, what was seen of the one that died, and of the rest an estimate.
    assert first.progress.examined < last.progress.examined < SOME
    assert last.progress.examined >= SOME - theirs[dead.port]
    assert not last.report.keys.exact
    assert last.report.keys.low <= SOME <= last.report.keys.high


def test_a_primary_that_is_dead_from_the_beginning_is_told_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "PATIENCE_SECONDS", 0.0)
    with _cluster("--cluster-require-full-coverage", "no") as (cluster, _, cache):
        cache.primaries()
        with cluster.servers[0].client() as client:
            gone = client.dbsize()
        cluster.servers[0].stop()
        found = list(analyze(cache, Selection(), SLOW))
    for snapshot in found:
        assert _storable(snapshot) == snapshot
    assert list(found[-1].progress.lost) == [f"{HOST}:{cluster.servers[0].port}"]
    assert found[-1].progress.examined == SOME - gone
    assert found[-1].report.keys.value == SOME - gone


def test_while_one_primary_hangs_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = analysis.SNAPSHOT_SHARE
    # A snapshot takes longer than a batch, and each look at what hangs waits for its time-out: both are kept few.
    monkeypatch.setattr(analysis, "SNAPSHOT_SHARE", 0.5)
    monkeypatch.setattr("dashboard.cache.walking.govern.RETRY_SECONDS", 4.0)
    with _cluster(options=HANGING) as (cluster, _, cache):
        walking = analyze(cache, Selection(), SLOW)
        _until(walking, 0.1)
        with _stopped(cluster.servers[0]), cluster.servers[1].client() as client:
            snapshot = _until(walking, 0.55)
            assert f"{HOST}:{cluster.servers[0].port}" in snapshot.progress.lost
            assert client.ping()
        monkeypatch.setattr(analysis, "SNAPSHOT_SHARE", usual)
        last = _last(walking)
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)


def test_primaries_advance_alike_while_none_hangs() -> None:
    """What was seen of each is about as much, so a part stands for the whole."""
    with _cluster() as (_, _, cache):
        first = _until(analyze(cache, Selection(), SLOW), 0.4)
    (row,) = first.report.namespaces
    assert first.report.sample == first.progress.examined
    assert row.keys.value == pytest.approx(SOME, rel=0.01)


# --- one server ---------------------------------------------------------------------------------------------


def test_what_was_counted_before_a_restart_is_void() -> None:
    """The server comes back with other data, larger and smaller keys: nothing of the old is in the report."""
    with running() as server, _opened(server.url) as cache:
        with server.client() as client:
            for number in range(200):
                client.set(f"old:big:{number}", "v" * 5000)
        with server.client() as client:
            client.execute_command("EVAL", "for i = 1, 5800 do redis.call('SET', 'old:' .. i, 'v') end", 0)
        walking = analyze(cache, Selection(), SLOW)
        first = _until(walking)
        assert "old:*" in _counts(first.report)
        server.restart()
        set_all(server, _keys(1000, "new"))
        last = _last(walking)
    assert last.progress.complete, last.progress.lost
    assert _counts(last.report) == {"new:*": 1000}
    assert last.report.keys == exactly(1000)
    assert len(last.report.biggest) == 100
    assert all(key.name.startswith("new:") for key in last.report.biggest)


def test_a_server_that_hangs_for_a_while_is_gone_on_with() -> None:
    with running() as server, _opened(server.url, HANGING) as cache:
        set_all(server, _keys(SOME))
        walking = analyze(cache, Selection(), SLOW)
        first = _until(walking)
        os.kill(server.process.pid, signal.SIGSTOP)
        timer = threading.Timer(2.0, os.kill, (server.process.pid, signal.SIGCONT))
        timer.start()
        try:
            last = _last(walking)
        finally:
            timer.join()
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)
    assert last.progress.examined > first.progress.examined


def test_a_server_that_runs_somebodys_script_is_gone_on_with() -> None:
    with running("--busy-reply-threshold", "20") as server, _opened(server.url, HANGING) as cache:
        set_all(server, _keys(SOME))
        walking = analyze(cache, Selection(), SLOW)
        _until(walking)
        with server.client() as client:
            script = threading.Thread(target=_endless_script, args=(server,))
            script.start()
            wait_until(lambda: _is_busy(client), "it is busy")
            killer = threading.Timer(1.0, client.execute_command, ("SCRIPT", "KILL"))
            killer.start()
            last = _last(walking)
            killer.join(120)
            script.join(120)
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)
    assert last.report.method == "script", last.report.notes


def _endless_script(server: Server) -> None:
    with contextlib.suppress(redis.RedisError), server.client() as client:
        client.execute_command("EVAL", "while true do end", 0)


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.get("k")
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


# --- the server gets worse ----------------------------------------------------------------------------------


def _strained(walking: Iterator[Snapshot]) -> tuple[Snapshot, str]:
    found: list[Snapshot] = []
    with pytest.raises(Strained) as caught:
        found.extend(walking)
    return found[-1], caught.value.sentence


@pytest.mark.parametrize("share", [0.02, 1.0])
def test_it_ends_by_itself_where_the_server_answers_late(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watch, "JUDGED_PINGS", 3)
    with running("--enable-debug-command", "yes") as server, _opened(server.url) as cache:
        with server.client() as client:
            client.execute_command("EVAL", "for i = 1, 200000 do redis.call('SET', 'k:' .. i, 'v') end", 0)
        options = Options(Budget(share=share, hold_ms=0.05), every=0.2)
        walking = analyze(cache, Selection(), options)
        first = next(walking)
        stop = threading.Event()
        sleeper = threading.Thread(target=_sleeps, args=(server, stop))
        sleeper.start()
        try:
            last, sentence = _strained(walking)
        finally:
            stop.set()
            sleeper.join(120)
    assert "answers a PING" in sentence
    assert "limit 50 ms" in sentence
    assert not last.progress.ended
    assert last.progress.examined >= first.progress.examined
    assert last.report.keys.value > 0


def _sleeps(server: Server, stop: threading.Event) -> None:
    with server.client() as client:
        while not stop.is_set():
            client.execute_command("DEBUG", "SLEEP", 0.25)


def test_it_ends_by_itself_where_the_server_fills_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    with running() as server, _opened(server.url) as cache, server.client() as client:
        set_all(server, _keys(SOME))
        options = Options(Budget(share=0.02, hold_ms=0.02), every=0.2)
        walking = analyze(cache, Selection(), options)
        next(walking)
        for number in range(100):
            client.set(f"blob:{number}", b"b" * (1 << 20))
        last, sentence = _strained(walking)
    assert "more memory than when this began" in sentence
    assert not last.progress.ended
    assert 0 < last.progress.examined < SOME


def test_a_server_that_stays_as_it_is_strains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is far below what is usual does end it: so it is looked at, and one far above does not."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "JUDGED_PINGS", 3)
    with running() as server, _opened(server.url) as cache:
        set_all(server, _keys(SOME))
        options = Options(Budget(share=0.05, hold_ms=0.01), every=0.2, limits=Limits(latency_ms=-1000.0))
        _, sentence = _strained(analyze(cache, Selection(), options))
        assert "answers a PING" in sentence
        options = replace(options, limits=Limits(latency_ms=600_000.0))
        assert _last(analyze(cache, Selection(), options)).progress.complete


# --- a sentinel ---------------------------------------------------------------------------------------------


@pytest.fixture
def watched() -> Iterator[tuple[Server, Server, Server]]:
    """(primary, replica, sentinel): the sentinel alone decides, and soon."""
    with replaceable(lambda primary: set_all(primary, _keys(SOME)), *QUICK) as found:
        yield found


@pytest.mark.parametrize("killed", [False, True], ids=["asked for", "killed"])
def test_a_primary_that_a_sentinel_replaces_is_followed(watched: tuple[Server, Server, Server], killed: bool) -> None:
    primary, replica, sentinel = watched
    with _opened(f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}") as cache:
        walking = analyze(cache, Selection(), SLOW)
        _until(walking)
        if killed:
            primary.stop()
        else:
            with sentinel.client() as client:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        last = _last(walking)
        with replica.client() as client:
            assert client.info("replication")["role"] == "master"
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)
    assert _counts(last.report) == {"k:*": SOME}


# --- replicas, the end and the pace ---------------------------------------------------------------------------


def _calls(server: Server) -> Counter[str]:
    with server.client() as client:
        stats = client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): facts["calls"] for name, facts in stats.items()})


def _forget(servers: Sequence[Server]) -> None:
    for server in servers:
        with server.client() as client:
            client.config_resetstat()


def test_replicas_are_asked_in_place_of_a_clusters_primaries() -> None:
    with _cluster(*FAILING_OVER, replicas=True) as (cluster, replicas, cache):
        cache.capabilities()
        _forget([*cluster.servers, *replicas])
        last = _last(analyze(cache, Selection(), Options(Budget(share=1.0), replicas=True)))
        for primary, replica in zip(cluster.servers, replicas, strict=True):
            assert _calls(primary)["eval_ro"] == _calls(primary)["scan"] == 0
            assert _calls(replica)["eval_ro"] > 0
            assert _calls(replica)["memory|usage"] > 0
    assert last.progress.complete, last.progress.lost
    assert last.report.keys == exactly(SOME)
    assert last.report.method == "script", last.report.notes
    assert any("Counted on replicas" in note for note in last.report.notes)


def test_a_replica_is_asked_in_place_of_a_servers_primary() -> None:
    with running(*QUICK) as primary, running(*QUICK, "--replicaof", f"{HOST} {primary.port}") as replica:
        set_all(primary, _keys(SOME))
        with replica.client() as client:
            wait_until(lambda: client.dbsize() == SOME, "it has all keys")
        with primary.client() as client:
            wait_until(lambda: client.info("replication")["slave0"]["state"] == "online", "in step")
        with _opened(primary.url) as cache:
            cache.capabilities()
            _forget([primary, replica])
            last = _last(analyze(cache, Selection(), Options(Budget(share=1.0), replicas=True)))
        assert _calls(primary)["eval_ro"] == _calls(primary)["scan"] == 0
        assert _calls(replica)["eval_ro"] > 0
    assert last.report.keys == exactly(SOME)
    assert any(str(replica.port) in note for note in last.report.notes)


def test_where_there_is_no_replica_the_primary_is_asked_and_that_is_told() -> None:
    with running() as server, _opened(server.url) as cache:
        set_all(server, _keys(100))
        last = _last(analyze(cache, Selection(), Options(Budget(share=1.0), replicas=True)))
    assert last.report.keys == exactly(100)
    assert last.report.notes == ("No replica is in step with its primary, so primaries were asked.",)


def test_leaving_it_in_the_middle_leaves_nothing_behind() -> None:
    with _cluster() as (cluster, _, cache):
        before = {thread.name for thread in threading.enumerate()}
        walking = analyze(cache, Selection(), SLOW)
        _until(walking, 0.2)
        walking.close()  # type: ignore[attr-defined]
        assert {thread.name for thread in threading.enumerate()} == before
        _forget(cluster.servers)
        time.sleep(0.3)
        for server in cluster.servers:
            assert _calls(server)["eval_ro"] == 0
        # The connections it had are the pool's again: another analysis opens none besides.
        opened = [_connections(server) for server in cluster.servers]
        for _ in range(3):
            walking = analyze(cache, Selection(), SLOW)
            next(walking)
            walking.close()  # type: ignore[attr-defined]
        assert [_connections(server) for server in cluster.servers] <= [number + 1 for number in opened]
        cache.close()
        for server in cluster.servers:
            wait_until(lambda server=server: _connections(server) == 0, "all are closed")  # type: ignore[misc]


def _connections(server: Server) -> int:
    """Connections from clients, without the one that asks."""
    with server.client() as client:
        return [one["flags"] for one in client.client_list()].count("N") - 1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_servers_time_is_taken_for_no_more_than_the_share(share: float) -> None:
    with running() as server, _opened(server.url) as cache:
        with server.client() as client:
            client.execute_command("EVAL", "for i = 1, 20000 do redis.call('SET', 'k:' .. i, 'v') end", 0)
        last = _last(analyze(cache, Selection(), Options(Budget(share=share), every=0.2)))
    assert last.progress.calls > 10
    # After its last call nobody rests any more, and it may be just that one in which the machine has stalled.
    assert last.progress.busy - last.progress.longest_ms / 1000 <= 1.2 * share * last.progress.elapsed


def test_a_walk_that_is_lost_at_its_end_says_so() -> None:
    """The last batch is there when the server goes: whether it was the same server until then, nobody can say."""
    with running() as server, _opened(server.url) as cache:
        set_all(server, _keys(50))
        budget = Budget(share=1.0, watched=True)

        def visit(node: object, cursor: int, count: int) -> Visited[int]:
            server.stop()
            return Visited(0, 50, 50)

        *_, last = govern(cache, at_once(visit), budget)
    assert last.found is None
    assert list(last.position.lost) == [f"{HOST}:{server.port}"]
