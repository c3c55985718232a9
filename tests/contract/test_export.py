"""Export: each key of a selection as a line of JSON, however it is asked for; the end says whether that is all."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from dashboard.cache.errors import Denied
from dashboard.cache.exporting import reading as export_reading
from dashboard.cache.exporting.looking import MEMBERS_MOST, VALUE_BYTES
from dashboard.cache.exporting.run import Options, export, last_line
from dashboard.cache.selecting.selection import Selection, listed
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from tests.cache.broken import stopped
from tests.cache.hostile_keys import HOSTILE
from tests.contract.sites import Site
from tests.servers import HOST, Server, start_cluster

ALLOWED = "~* +@read +info +ping +time +select +command +asking +client +cluster"


@pytest.fixture(params=["script", "commands"])
def reader(request: pytest.FixtureRequest, site: Site) -> Iterator[Cache]:
    """Cachedeck as a user who may run scripts, or may not."""
    allowed = f"{ALLOWED} +eval_ro" if request.param == "script" else f"{ALLOWED} -eval_ro -eval"
    site.each("ACL", "SETUSER", "reader", "reset", "on", ">secret", *allowed.split())
    url = site.url.replace("://", "://reader:secret@")
    with closing(Cache(parse_target(f"shop={url}"))) as cache:
        assert cache.capabilities().can("EVAL_RO") is (request.param == "script")
        yield cache
    site.each("ACL", "DELUSER", "reader")


def exported(cache: Cache, selection: Selection | None = None, *, dump: bool = False) -> dict[bytes, dict[str, Any]]:
    """The lines of an export by their keys, after what every export must be."""
    *parts, last = export(cache, selection or Selection(), Options(dump=dump))
    lines = [json.loads(line) for part in (*parts, last) for line in part.lines]
    end = json.loads(last_line(last))["end"]
    assert end["complete"] is True
    assert end["keys"] == len(lines)
    assert end["left_out"] == sum("left_out" in line for line in lines)
    assert end["dumps"] == sum("dump" in line for line in lines)
    by_key = {raw(line["key"]): line for line in lines}
    assert len(by_key) == len(lines)
    return by_key


def raw(shown: str | dict[str, str]) -> bytes:
    return shown.encode() if isinstance(shown, str) else base64.b64decode(shown["base64"], validate=True)


def test_it_gives_the_value_of_every_type(reader: Cache, site: Site) -> None:
    site.plain.set("text", "caf\u00e9\n")
    site.plain.set("empty", "")
    site.plain.rpush("list", "a", b"\xff", "a")
    site.plain.hset("hash", mapping={"f": "v"})
    site.plain.sadd("set", "m")
    site.plain.zadd("zset", {"a": 1, "b": 1.5, "c": math.inf, "d": -math.inf})
    site.plain.xadd("stream", {"f": "v"}, id="5-1")
    found = exported(reader)
    assert {key: (line["type"], line["value"]) for key, line in found.items()} == {
        b"text": ("string", "caf\u00e9\n"),
        b"empty": ("string", ""),
        b"list": ("list", ["a", {"base64": "/w=="}, "a"]),
        b"hash": ("hash", [["f", "v"]]),
        b"set": ("set", ["m"]),
        b"zset": ("zset", [["d", "-inf"], ["a", 1], ["b", 1.5], ["c", "inf"]]),
        b"stream": ("stream", [["5-1", [["f", "v"]]]]),
    }


def test_it_gives_ttls(reader: Cache, site: Site) -> None:
    site.plain.set("lives", "v", ex=1000)
    site.plain.set("stays", "v")
    for dump in (False, True):
        found = exported(reader, dump=dump)
        assert 900_000 < found[b"lives"]["ttl_ms"] <= 1_000_000
        assert found[b"stays"]["ttl_ms"] == -1


def test_a_dump_brings_a_key_back_as_it_was(reader: Cache, site: Site) -> None:
    site.plain.hset("a", mapping={"f": "v", "g": b"\xff\x00"})
    before = site.plain.dump("a")
    line = exported(reader, dump=True)[b"a"]
    site.plain.delete("a")
    site.plain.restore("a", 0, base64.b64decode(line["dump"]))
    assert site.plain.dump("a") == before
    assert site.plain.hgetall("a") == {b"f": b"v", b"g": b"\xff\x00"}


def test_it_takes_only_what_is_selected(reader: Cache, site: Site) -> None:
    site.fill(f"api:{number}".encode() for number in range(50))
    site.fill(f"sess:{number}".encode() for number in range(50))
    site.plain.sadd("api:set", "m")
    assert len(exported(reader, Selection(b"api:*", type="string"))) == 50
    assert exported(reader, listed(["api:1", "sess:2", "no such key"])).keys() == {b"api:1", b"sess:2"}
    assert exported(reader, Selection(b"api:7")).keys() == {b"api:7"}
    assert exported(reader, Selection(b"nothing:*")) == {}


def test_every_key_of_many_stands_there_once(reader: Cache, site: Site) -> None:
    keys = {f"k:{number}".encode() for number in range(5000)}
    site.fill(keys)
    assert exported(reader).keys() == keys


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_key_and_value_can_be_read_back(name: str, shop: Cache, site: Site) -> None:
    site.plain.set(HOSTILE[name], HOSTILE[name])
    found = exported(shop)
    assert raw(found[HOSTILE[name]]["value"]) == HOSTILE[name]


def test_what_is_recognised_is_decoded_beside_its_bytes(shop: Cache, site: Site) -> None:
    packed = zlib.compress(b'{"a": 1}')
    site.plain.set("packed", packed)
    value = exported(shop)[b"packed"]["value"]
    assert raw(value) == packed
    assert value["as"] == ["zlib", "JSON"]
    assert json.loads(value["text"]) == {"a": 1}


def test_a_large_key_is_given_as_a_dump_and_a_huge_one_is_left_out_by_name(reader: Cache, site: Site) -> None:
    site.plain.set("large", b"x" * (VALUE_BYTES + 1))
    site.plain.set("fits", b"x" * VALUE_BYTES)
    site.plain.rpush("many", *range(MEMBERS_MOST + 1))
    site.plain.set("huge", b"x" * (export_reading.DUMP_BYTES + 1))
    for dump in (False, True):
        found = exported(reader, dump=dump)
        assert {"dump" in found[key] for key in (b"large", b"many")} == {True}
        assert ("value" in found[b"fits"]) is not dump
        assert found[b"huge"]["left_out"] == "It takes more than 16\u202fMB of memory."
        assert not {"value", "dump"} & found[b"huge"].keys()


def test_a_giant_among_small_elements_is_not_read_as_a_value(reader: Cache, site: Site) -> None:
    fields = {f"f{number}": "small" for number in range(5000)}
    site.plain.hset("hash", mapping={**fields, "giant": b"x" * (2 * VALUE_BYTES)})
    assert "dump" in exported(reader)[b"hash"]


def test_a_read_only_cache_is_exported_too(only_looking: Cache, site: Site) -> None:
    site.plain.hset("hash", "f", "v")
    site.plain.sadd("set", "m")
    assert exported(only_looking).keys() == {b"hash", b"set"}
    assert exported(only_looking, dump=True).keys() == {b"hash", b"set"}


def _user(valkey: Server, *more: str) -> str:
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "little", "reset", "on", ">secret", *ALLOWED.split(), *more)
    return f"shop=redis://little:secret@{HOST}:{valkey.port}"


def test_without_memory_usage_it_says_so_and_reads_what_it_can_measure(valkey: Server) -> None:
    with valkey.client() as client:
        client.set("text", "v")
        client.sadd("set", "m")
    with closing(Cache(parse_target(_user(valkey, "-memory|usage", "+eval_ro")))) as cache:
        found = exported(cache)
        assert found[b"text"]["value"] == "v"
        assert found[b"set"]["left_out"] == export_reading.NOT_TOLD
        with pytest.raises(Denied, match="MEMORY USAGE"):
            list(export(cache, Selection(), Options(dump=True)))


def test_without_dump_large_keys_are_left_out(valkey: Server) -> None:
    with valkey.client() as client:
        client.set("text", "v")
        client.set("large", b"x" * (VALUE_BYTES + 1))
    with closing(Cache(parse_target(_user(valkey, "-dump", "+eval_ro")))) as cache:
        found = exported(cache)
        assert found[b"text"]["value"] == "v"
        assert "may not be read by DUMP" in found[b"large"]["left_out"]
        with pytest.raises(Denied, match="DUMP"):
            list(export(cache, Selection(), Options(dump=True)))


def test_a_key_that_is_forbidden_is_named_and_the_others_are_read(valkey: Server) -> None:
    with valkey.client() as client:
        client.set("open", "v")
        client.set("closed", "v")
    for script in ("+eval_ro", "-eval_ro"):
        with closing(Cache(parse_target(_user(valkey, "resetkeys", "~open*", script)))) as cache:
            found = exported(cache)
        assert found[b"open"]["value"] == "v"
        assert "no permission for this key" in found[b"closed"]["left_out"]


@pytest.fixture
def meddled(shop: Cache, site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Without scripts: do something once, between the look at keys and the reading of them."""

    def arrange(act: Callable[[], object]) -> None:
        begun = export_reading.Reader._whole
        acts = [act]

        def whole(self: Any, looks: Any, node: Any) -> Any:
            if acts:
                acts.pop()()
            return begun(self, looks, node)

        monkeypatch.setattr(export_reading.Reader, "_whole", whole)
        monkeypatch.setattr(export_reading.Reader, "read", export_reading.Reader._by_commands)

    return arrange


def test_a_key_that_vanishes_meanwhile_is_counted_and_has_no_line(
    shop: Cache, site: Site, meddled: Callable[[Callable[[], object]], None]
) -> None:
    site.plain.set("a", "v")
    meddled(lambda: site.plain.delete("a"))
    *_, last = export(shop, Selection())
    assert (last.counts.keys, last.counts.gone) == (0, 1)


def test_a_key_that_changes_its_type_meanwhile_is_looked_at_again(
    shop: Cache, site: Site, meddled: Callable[[Callable[[], object]], None]
) -> None:
    site.plain.set("a", "v")

    def change() -> None:
        site.plain.delete("a")
        site.plain.sadd("a", "m")

    meddled(change)
    assert exported(shop)[b"a"]["value"] == ["m"]


def test_a_primary_that_is_lost_makes_it_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.cache.exporting.run.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("dashboard.cache.walking.turns.PATIENCE_SECONDS", 0.0)
    cluster = start_cluster(3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
    try:
        client = cluster.client()
        for number in range(90):
            client.set(f"k:{number}", "v")
        client.close()
        target = parse_target(f"shop={cluster.url}?timeout=0.4&connect_timeout=0.4")
        with closing(Cache(target)) as cache, stopped(cluster.servers[2]):
            *_, last = export(cache, Selection(b"k:*"))
        end = json.loads(last_line(last))["end"]
        assert end["complete"] is False
        assert 30 < end["keys"] < 90
        assert str(cluster.servers[2].port) in end["why"]
    finally:
        cluster.stop()
