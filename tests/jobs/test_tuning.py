"""A change of settings is seen beforehand, reaches every node or says where not, and can be taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.cache.servers.setting import BadValue
from dashboard.jobs import tuning
from dashboard.jobs.tuning_refused import (
    Altered,
    NoSuchChange,
    NothingToChange,
    TrialOpen,
    Unchangeable,
    Unconfirmed,
)
from dashboard.store import setting_changes
from tests.jobs.tuned import ADA, LFU, Tuned, tuned, tuned_cluster
from tests.programs import wait_until
from tests.servers import Cluster, Server, running, start, start_cluster, start_cluster_replicas

MB = 1024 * 1024


@pytest.fixture
def shop(valkey: Server, tmp_path: Path) -> Iterator[Tuned]:
    with tuned(tmp_path, valkey.url, [valkey]) as found:
        yield found


@pytest.fixture
def three(cluster: Cluster, tmp_path: Path) -> Iterator[Tuned]:
    with tuned_cluster(tmp_path, cluster) as found:
        yield found


def _apply(site: Tuned, wanted: dict[str, str], **options: object) -> setting_changes.SettingChange:
    return tuning.apply(site.store, site.settings, site.cache, wanted, ADA, "to see", **options)  # type: ignore[arg-type]


def test_a_preview_says_what_would_change_and_changes_nothing(three: Tuned) -> None:
    three.set("maxmemory-policy", "allkeys-lfu", three.servers[1])
    seen = three.preview({**LFU, "maxmemory": "64mb"})
    assert [one.node for one in seen.planned] == [node.name for node in three.cache.primaries()]
    assert dict(seen.planned[0].wanted) == {**LFU, "maxmemory": str(64 * MB)}
    assert dict(seen.planned[1].wanted) == {"maxmemory": str(64 * MB)}
    assert three.values("maxmemory") == ["0", "0", "0"]


def test_it_reaches_every_primary_is_read_back_and_stands_in_the_history(three: Tuned) -> None:
    seen = three.preview({**LFU, "maxmemory": "64mb"})
    done = _apply(three, {**LFU, "maxmemory": "64mb"}, fingerprint=seen.fingerprint)
    assert (done.state, [one.state for one in done.nodes]) == ("applied", ["applied"] * 3)
    assert three.values("maxmemory-policy") == ["allkeys-lfu"] * 3
    assert setting_changes.of_cache(three.store, "shop") == [done]
    assert done.nodes[0].before == {"maxmemory-policy": "noeviction", "maxmemory": "0"}
    (entry,) = three.audited("settings.change")
    assert (entry.actor, entry.status, entry.reason) == ("ada", "done", "to see")
    assert entry.before[done.nodes[0].node]["maxmemory"] == "0"
    assert entry.after["state"] == "applied"


def test_where_the_second_of_three_refuses_the_state_is_clear_and_can_be_rolled_back(three: Tuned) -> None:
    three.forbid(three.servers[1], "-config|set")
    done = _apply(three, LFU)
    assert done.state == "partial"
    assert [one.state for one in done.nodes] == ["applied", "refused", "waiting"]
    assert "CONFIG SET" in done.nodes[1].sentence
    assert three.values("maxmemory-policy") == ["allkeys-lfu", "noeviction", "noeviction"]
    assert setting_changes.get(three.store, done.number) == done

    back = tuning.roll_back(three.store, three.cache, done.number, ADA)
    assert (back.state, back.kind, back.takes_back) == ("applied", "rollback", done.number)
    assert [one.node for one in back.nodes] == [done.nodes[0].node]
    assert three.values("maxmemory-policy") == ["noeviction"] * 3
    assert three.audited("settings.rollback")[0].status == "done"


def test_where_all_refuse_nothing_is_changed_and_there_is_nothing_to_roll_back(three: Tuned) -> None:
    for server in three.servers[1:]:
        three.forbid(server, "-config|set")
    seen = three.preview(LFU)
    three.forbid(three.servers[0], "-config|set")
    done = _apply(three, LFU, fingerprint=seen.fingerprint)
    assert done.state == "failed"
    with pytest.raises(NothingToChange):
        tuning.roll_back(three.store, three.cache, done.number, ADA)


def test_what_somebody_else_has_set_meanwhile_is_not_rolled_back(three: Tuned) -> None:
    done = _apply(three, LFU)
    three.set("maxmemory-policy", "volatile-ttl", three.servers[0])
    back = tuning.roll_back(three.store, three.cache, done.number, ADA)
    assert three.values("maxmemory-policy") == ["volatile-ttl", "noeviction", "noeviction"]
    assert "somebody else" in next(one.sentence for one in back.nodes if not one.wanted)


def test_it_is_refused_where_it_is_not_any_more_what_was_looked_at(shop: Tuned) -> None:
    seen = shop.preview(LFU)
    shop.set("maxmemory-policy", "allkeys-random")
    with pytest.raises(Altered):
        _apply(shop, LFU, fingerprint=seen.fingerprint)
    assert shop.values("maxmemory-policy") == ["allkeys-random"]


def test_it_is_refused_where_every_node_has_it_already(shop: Tuned) -> None:
    with pytest.raises(NothingToChange, match="maxmemory=0"):
        shop.preview({"maxmemory": "0"})


def test_a_limit_below_what_is_used_has_to_be_confirmed(shop: Tuned) -> None:
    shop.set("maxmemory-policy", "allkeys-lru")
    with shop.servers[0].client() as client:
        client.mset({f"k:{number}": "x" * 1000 for number in range(5000)})
    seen = shop.preview({"maxmemory": "4mb"})
    assert seen.asks
    with pytest.raises(Unconfirmed) as error:
        _apply(shop, {"maxmemory": "4mb"}, fingerprint=seen.fingerprint)
    assert error.value.asks == seen.asks
    assert shop.values("maxmemory") == ["0"]
    assert shop.audited("settings.change") == []
    assert _apply(shop, {"maxmemory": "4mb"}, confirmed=True).state == "applied"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("maxmemory-policy", "allkeys-mru"),
        ("maxmemory", "-1"),
        ("maxmemory", "10eb"),
        ("maxmemory-samples", "0"),
        ("requirepass", "secret"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(shop: Tuned, name: str, text: str) -> None:
    with pytest.raises(BadValue):
        shop.preview({name: text})
    assert setting_changes.of_cache(shop.store, "shop") == []


def test_a_percentage_is_of_the_smallest_machine(shop: Tuned) -> None:
    machine = tuning.current(shop.store, shop.settings, shop.cache).nodes[0].machine
    wanted = int(shop.preview({"maxmemory": "50%"}).wanted["maxmemory"])
    assert 0 < wanted <= machine / 2 + 1


def test_a_cache_without_config_tells_what_info_knows_and_how_it_is_changed_there(shop: Tuned) -> None:
    shop.forbid(shop.servers[0], "-config")
    shop.cache._capabilities = None
    found = tuning.current(shop.store, shop.settings, shop.cache)
    assert "CONFIG SET" in found.why_not
    assert "ElastiCache" in found.how
    assert found.nodes[0].values == {"maxmemory": "0", "maxmemory-policy": "noeviction"}
    assert not found.told
    with pytest.raises(Unchangeable):
        shop.preview(LFU)


def test_a_cache_whose_server_has_renamed_config_is_the_same(tmp_path: Path) -> None:
    with running("--rename-command", "CONFIG", "") as server, tuned(tmp_path, server.url, [server]) as site:
        found = tuning.current(site.store, site.settings, site.cache)
        assert "knows no CONFIG SET" in found.why_not
        assert found.nodes[0].values["maxmemory-policy"] == "noeviction"


def test_a_read_only_cache_refuses(valkey: Server, tmp_path: Path) -> None:
    with tuned(tmp_path, valkey.url, [valkey], "read_only=yes") as site:
        assert "read-only" in tuning.current(site.store, site.settings, site.cache).why_not
        with pytest.raises(Unchangeable):
            _apply(site, LFU)


def test_while_a_primary_cannot_be_read_none_is_changed(three: Tuned) -> None:
    three.forbid(three.servers[2], "-config|get")
    with pytest.raises(Unchangeable, match="CONFIG GET"):
        _apply(three, LFU)
    assert three.values("maxmemory-policy") == ["noeviction"] * 3


def test_what_a_trial_holds_is_not_changed_and_other_settings_are(shop: Tuned) -> None:
    trial = shop.started()
    with pytest.raises(TrialOpen) as error:
        _apply(shop, {"maxmemory-policy": "noeviction"})
    assert error.value.trial == trial.number
    assert _apply(shop, {"maxmemory-samples": "7"}).state == "applied"
    with pytest.raises(TrialOpen):
        tuning.persist(shop.store, shop.cache, ADA)
    shop.set("maxmemory-samples", "5")


def test_a_return_gives_what_was_there_before_a_change_and_all_after_it(shop: Tuned) -> None:
    first = _apply(shop, {"maxmemory": "64mb"})
    second = _apply(shop, {"maxmemory": "128mb", **LFU})
    assert tuning.state_before(shop.store, shop.cache, second.number) == {
        "maxmemory": str(64 * MB),
        "maxmemory-policy": "noeviction",
    }
    before = tuning.state_before(shop.store, shop.cache, first.number)
    assert before == {"maxmemory": "0", "maxmemory-policy": "noeviction"}
    done = _apply(shop, dict(before), kind="return", takes_back=first.number, confirmed=True)
    assert (done.kind, done.state, shop.values("maxmemory")) == ("return", "applied", ["0"])
    with pytest.raises(NoSuchChange):
        tuning.state_before(shop.store, shop.cache, 99)


def test_settings_are_written_into_the_file_on_request_only(tmp_path: Path) -> None:
    file = tmp_path / "valkey.conf"
    file.write_text("maxmemory 20mb\nsave ''\n")
    server = start(config=file)
    with contextlib.ExitStack() as stack, tuned(tmp_path, server.url, [server]) as site:
        stack.callback(server.stop)
        site.set("maxmemory", "10485760")
        nodes = tuning.current(site.store, site.settings, site.cache).nodes
        (told,) = tuning.not_in_file(site.cache, nodes).values()
        assert told["maxmemory"] == (str(10 * MB), str(20 * MB))
        done = _apply(site, LFU)
        assert file.read_text().startswith("maxmemory 20mb")
        assert list(tuning.persist(site.store, site.cache, ADA, "for good").values()) == [""]
        assert "allkeys-lfu" in file.read_text()
        assert tuning.not_in_file(site.cache, tuning.current(site.store, site.settings, site.cache).nodes) == {}
        kept = setting_changes.get(site.store, done.number)
        assert kept
        assert kept.persisted_at
        assert site.audited("settings.persist")[0].status == "done"


def test_a_server_without_a_file_says_so(shop: Tuned) -> None:
    _apply(shop, LFU)
    (why,) = tuning.persist(shop.store, shop.cache, ADA).values()
    assert "without a config file" in why
    assert setting_changes.of_cache(shop.store, "shop")[0].persisted_at is None


@pytest.fixture
def doubled() -> Iterator[tuple[Cluster, list[Server]]]:
    """A cluster of three primaries, each with a replica."""
    cluster = start_cluster()
    replicas: list[Server] = []
    try:
        replicas = start_cluster_replicas(cluster)
        yield cluster, replicas
    finally:
        for server in replicas:
            server.stop()
        cluster.stop()


def test_replicas_are_changed_by_choice(doubled: tuple[Cluster, list[Server]], tmp_path: Path) -> None:
    cluster, replicas = doubled
    with tuned(tmp_path, cluster.url, [*cluster.servers, *replicas]) as site:

        def all_are_known() -> bool:
            site.cache.primaries(fresh=True)
            return len(tuning.current(site.store, site.settings, site.cache).nodes) == 6

        wait_until(all_are_known, "the cluster tells of its replicas")
        everywhere = tuning.current(site.store, site.settings, site.cache).nodes
        assert [node.is_replica for node in everywhere] == [False, True] * 3
        assert len(site.preview(LFU).planned) == 3
        done = _apply(site, LFU, replicas=True)
        assert (done.state, len(done.nodes)) == ("applied", 6)
        assert site.values("maxmemory-policy") == ["allkeys-lfu"] * 6
        tuning.roll_back(site.store, site.cache, done.number, ADA)
        assert site.values("maxmemory-policy") == ["noeviction"] * 6
