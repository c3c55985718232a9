"""What commands cost, read from real servers, and what is computed from it."""

from __future__ import annotations

import math
import random
import time
from contextlib import closing

import pytest

from dashboard.cache.statistics.command_families import FAMILIES, OTHER, by_family, family, of_applications
from dashboard.cache.statistics.commands import (
    MOST_COMMANDS,
    Cost,
    Costs,
    added,
    carry,
    costs_of,
    grown,
    parse,
    quantile,
    was_set_back,
)
from tests.servers import Server, running


def take(server: Server, run: float = 1.0) -> Costs:
    with closing(server.client(protocol=2)) as client:
        stats = client.execute_command("INFO COMMANDSTATS")
        return Costs(time.time(), "a:1", parse(stats, client.execute_command("LATENCY HISTOGRAM")), run)


def costs(run: float = 1.0, carried: dict[str, Cost] | None = None, **calls: float) -> Costs:
    return Costs(0.0, "a:1", {name: Cost(many, 10 * many) for name, many in calls.items()}, run, carried or {})


def buckets(times: list[float]) -> dict[float, float]:
    """As a server counts them: by powers of two."""
    found: dict[float, float] = {}
    for one in times:
        bound = 2.0 ** math.ceil(math.log2(one))
        found[bound] = found.get(bound, 0) + 1
    return found


def test_it_counts_every_call_of_a_real_server(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_resetstat()
        for number in range(50):
            client.set(f"key:{number}", "x")
            client.get(f"key:{number}")
        with pytest.raises(Exception, match="WRONGTYPE"):
            client.lpush("key:1", "x")
        with pytest.raises(Exception, match="wrong number"):
            client.execute_command("GET")
    seen = take(valkey).commands
    assert (seen["get"].calls, seen["set"].calls) == (50, 50)
    assert seen["get"].usec > 0
    assert sum(seen["get"].histogram.values()) == 50
    assert (seen["lpush"].calls, seen["lpush"].failed) == (1, 1)
    assert seen["get"].rejected == 1
    assert seen["config|resetstat"].calls == 1


def test_without_histograms_it_takes_what_the_server_says_since_its_start(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_resetstat()
        client.get("missing")
        stats, told = client.execute_command("INFO COMMANDSTATS"), client.execute_command("INFO LATENCYSTATS")
    seen = parse(stats, None, told)["get"]
    assert len(seen.told) == 3
    assert 0 < seen.told[0] <= seen.told[1] <= seen.told[2]
    assert seen.percentile(0.99) is None


def test_what_was_written_down_is_read_again(valkey: Server) -> None:
    seen = take(valkey)
    with_all = Costs(1.0, "a:1", {**seen.commands, "x": Cost(1, 2.5, 3, 4, (1, 2), (1, 2, 3))}, 7.0, {"get": Cost(9)})
    assert costs_of(1.0, "a:1", with_all.to_plain()) == with_all


@pytest.mark.parametrize("median", [3.0, 80.0, 5000.0])
@pytest.mark.parametrize("share", [0.5, 0.99, 0.999])
def test_a_quantile_is_within_a_factor_of_two_of_the_truth(median: float, share: float) -> None:
    chance = random.Random(7)
    times = sorted(median * chance.lognormvariate(0, 0.8) for _ in range(20_000))
    truth = times[math.ceil(share * len(times)) - 1]
    found = quantile(buckets(times), share)
    assert found is not None
    assert truth / 2 <= found <= 2 * truth


def test_a_quantile_of_nothing_is_unknown() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({1: 0}, 0.5) is None


def test_a_quantile_lies_in_the_bucket_that_holds_it() -> None:
    assert quantile({1: 90, 1024: 10}, 0.5) <= 1  # type: ignore[operator]
    assert 512 <= quantile({1: 90, 1024: 10}, 0.99) <= 1024  # type: ignore[operator]
    assert quantile({1: 90, 1024: 10}, 1.0) == 1024


def test_the_percentiles_of_a_stretch_leave_out_what_was_before(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_resetstat()
        client.eval("for i = 1, 3000000 do end", 0)
        before = take(valkey)
        for _ in range(200):
            client.eval("return 1", 0)
        lately = grown(before, take(valkey))["eval"]
    assert lately.calls == 200
    slowest, then = lately.percentile(1.0), before.commands["eval"].percentile(1.0)
    assert slowest is not None
    assert then is not None
    assert sum(lately.histogram.values()) == 200
    assert then not in lately.histogram or slowest <= then


def test_growth_is_of_what_was_called() -> None:
    assert grown(costs(get=5, set=1), costs(get=8, set=1)) == {"get": Cost(3, 30)}


def test_a_command_that_was_never_called_before_has_grown_by_all_of_it() -> None:
    assert grown(costs(get=5), costs(get=5, set=2)) == {"set": Cost(2, 20)}


@pytest.mark.parametrize("restart", [True, False])
def test_counters_that_were_set_back_never_make_it_negative(restart: bool) -> None:
    with running() as server, closing(server.client()) as client:
        for _ in range(50):
            client.get("missing")
        before = take(server, run=1.0)
        if restart:
            server.restart()
        else:
            client.config_resetstat()
        client.get("missing")
        after = take(server, run=2.0 if restart else 1.0)
        server.stop()
    assert was_set_back(before, after)
    assert grown(before, after)["get"].calls == 1
    carrying = Costs(after.at, after.node, after.commands, after.run, carry(before, after))
    assert grown(before, carrying)["get"].calls == 1
    earlier = costs(run=1.0, get=20)
    assert grown(earlier, carrying)["get"].calls == 31  # 30 until the counters were set back, and one since


def test_what_is_carried_along_adds_up_over_several_restarts() -> None:
    first, second, third = costs(1, get=100), costs(2, get=10, set=4), costs(3, get=1)
    second = Costs(0.0, "a:1", second.commands, 2, carry(first, second))
    third = Costs(0.0, "a:1", third.commands, 3, carry(second, third))
    found = grown(costs(1, get=90), third)
    assert found["get"].calls == 10 + 10 + 1
    assert found["set"].calls == 4


def test_a_restart_is_seen_even_where_the_counters_have_overtaken() -> None:
    assert grown(costs(1, get=5), costs(2, get=50))["get"].calls == 50


def test_histograms_that_come_later_do_not_count_what_was_before() -> None:
    a = Costs(0.0, "a:1", {"get": Cost(1000, 5)})
    b = Costs(1.0, "a:1", {"get": Cost(1010, 6, buckets=(1, 1010))})
    assert grown(a, b)["get"] == Cost(10, 1)


def test_histograms_that_were_set_back_alone_show_what_was_since(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        for _ in range(30):
            client.get("missing")
        before = take(valkey)
        client.config_set("latency-tracking", "no")
        client.config_set("latency-tracking", "yes")
        client.get("missing")
        lately = grown(before, take(valkey))["get"]
    assert lately.calls == 1
    assert all(calls >= 0 for calls in lately.histogram.values())


def test_nodes_are_added_up() -> None:
    found = added([{"get": Cost(1, 2, 3, 4, (1, 1))}, {"get": Cost(1, 2, 3, 4, (1, 1, 2, 5))}, {"set": Cost(1)}])
    assert found == {"get": Cost(2, 4, 6, 8, (1, 2, 2, 5)), "set": Cost(1)}


def test_it_survives_what_no_server_says() -> None:
    text = (
        b"cmdstat_get:calls=x,usec=nan\r\ncmdstat_:calls=1\r\ncmdstat_\xff\x00<b>:calls=-1,usec=1e999\r\nnonsense\r\n"
        b"cmdstat_+set:calls=3\r\ncmdstat_" + b"n" * 500 + b":calls=1\r\n"
    )
    seen = parse(
        text,
        [b"get", 5, b"set", [b"calls", 1, b"histogram_usec", [1, b"x", 5]], 7],
        b"latency_percentiles_usec_get:p50=x",
    )
    assert seen["get"] == Cost()
    assert seen["set"].calls == 3
    assert max(len(name) for name in seen) == 64
    assert costs_of(0.0, "a", Costs(0.0, "a", seen).to_plain()).commands == seen


def test_a_server_that_names_too_many_commands_is_cut() -> None:
    text = "\r\n".join(f"cmdstat_c{number}:calls=1,usec={number}" for number in range(5000)).encode()
    seen = parse(text)
    assert len(seen) == MOST_COMMANDS
    assert "c4999" in seen
    assert not was_set_back(Costs(0.0, "a", {"lost": Cost(1)}), Costs(0.0, "a", seen))


def test_every_command_of_a_server_has_a_family(valkey: Server) -> None:
    with closing(valkey.client()) as client:
        names = [name.decode() for name in client.execute_command("COMMAND LIST")]
    internal = {"pfdebug", "pfselftest"}
    assert len(names) > 200
    assert [name for name in names if family(name) == OTHER and name not in internal] == []


def test_a_module_is_something_else() -> None:
    assert family("json.get") == OTHER
    assert family("config|get") == family("info") == "server"
    assert by_family([("get", 2.0), ("set", 1.0), ("mget", 3.0)]) == {"string reads": 5.0, "writes": 1.0}
    assert len(set(FAMILIES)) == len(FAMILIES)


@pytest.mark.parametrize("name", ["scan", "eval_ro", "memory|usage", "info", "ping", "config|get", "latency|histogram"])
def test_what_cachedeck_looks_round_with_is_no_application(name: str) -> None:
    assert not of_applications(name)


@pytest.mark.parametrize("name", ["get", "hgetall", "evalsha", "xreadgroup", "json.get", "del"])
def test_what_applications_send_is(name: str) -> None:
    assert of_applications(name)
