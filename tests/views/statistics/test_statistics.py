"""The statistics page: what it draws from samples, of which range and primary, and who may see the slow log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.statistics.commands import Costs, parse
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import command_samples, samples
from dashboard.store.command_samples import CommandSample
from dashboard.store.operators import Role
from dashboard.views.statistics import figures as statistics_figures
from tests.programs import wait_until
from tests.servers import HOST, Cluster, Server, free_port
from tests.views.conftest import by_htmx, deck_of, signed_in_client
from tests.views.overview.test_overview import stale_samples, text_of, with_caches

MakeApp = Callable[[Settings], Flask]

PATH = "/caches/main/statistics"
RANGES = ("15", "60", "1440", "10080")


def sample(app: Flask, name: str = "main", times: int = 3) -> None:
    """Some rounds of the worker, each with a little traffic before."""
    deck = deck_of(app)
    follower = Follower(deck.store, deck.caches[name], 0.001, 0.001)
    for _ in range(times):
        for node in deck.caches[name].primaries():
            with closing(node.client.pipeline(transaction=False)) as pipe:
                for _ in range(50):
                    pipe.execute_command("PING")
                pipe.execute()
        follower.sample()


def looks(app: Flask) -> list[CommandSample]:
    return command_samples.load(deck_of(app).store, "main", 0, resolution=command_samples.RAW)


def series(client: FlaskClient, query: str = "", name: str = "main") -> dict[str, dict]:  # type: ignore[type-arg]
    found = client.get(f"/caches/{name}/statistics/samples{query}").get_json()
    return {one["id"]: one for one in found["series"]}


def test_it_says_how_it_is_and_where_memory_is(app: Flask, viewer: FlaskClient) -> None:
    sample(app)
    page = viewer.get(PATH)
    assert page.status_code == 200
    said = text_of(page.text)
    assert "Memory " in said
    assert "what the server has allocated" in said
    assert 'aria-current="page">Statistics<' in page.text


def test_before_any_sample_it_says_so(viewer: FlaskClient) -> None:
    page = viewer.get(PATH)
    assert page.status_code == 200
    assert "No sample yet" in page.text
    assert "the worker looks every 15 s" in page.text


@pytest.mark.parametrize("minutes", RANGES)
def test_every_range_has_every_chart(app: Flask, viewer: FlaskClient, minutes: str) -> None:
    page = viewer.get(f"{PATH}?minutes={minutes}").text
    drawn = set(re.findall(r'data-chart="(\w+)"', page))
    assert drawn == set(series(viewer, f"?minutes={minutes}"))
    assert len(drawn) == 13


def test_its_commands_are_those_that_were_called(app: Flask, viewer: FlaskClient, valkey: Server) -> None:
    deck = deck_of(app)
    follower = Follower(deck.store, deck.caches["main"], 0.001, 0.001)
    wait_until(lambda: (follower.sample(), bool(looks(app)))[1], "a look at commands")
    with closing(valkey.client()) as client:
        for _ in range(20):
            client.zadd("ranking", {"a": 1})
        with pytest.raises(Exception, match="WRONGTYPE"):
            client.get("ranking")
    # A machine under load may let one look time out.
    wait_until(lambda: (follower.sample(), len(looks(app)) > 1)[1], "two looks at commands")
    page = viewer.get(PATH).text
    row = re.search(r'<tr id="command-\d+">\s*<td class="mono">get</td>.*?</tr>', page, re.DOTALL)
    assert row
    # One call that failed; the time it took, as the table sorts it. Whole numbers are written as the series has them.
    assert [float(value) for value in re.findall(r'data-value="([^"]+)"', row[0])[-2:]] == [1, 0]
    assert ">zadd<" in page
    assert "Percentiles are within a factor of two" in page


def test_a_primary_is_chosen_in_the_address(settings: Settings, make_app: MakeApp, cluster: Cluster) -> None:
    app = make_app(with_caches(settings, f"clu={cluster.url}"))
    sample(app, "clu")
    viewer = signed_in_client(app, Role.VIEWER)
    latest = samples.latest(deck_of(app).store, "clu")
    page = unescape(viewer.get("/caches/clu/statistics?minutes=60").text)
    for one in latest:
        assert f'href="/caches/clu/statistics?minutes=60&node={one.node}"' in page
    one, whole = latest[0], series(viewer, "", "clu")["keys"]["lines"][0]["values"]
    alone = series(viewer, f"?node={one.node}", "clu")
    assert alone["memory"]["lines"][0]["values"][-1] == pytest.approx(one.values["used_memory"], rel=1e-5)
    assert whole[-1] == sum(each.values["keys_with_ttl"] for each in latest)
    shown = unescape(viewer.get(f"/caches/clu/statistics?node={one.node}").text)
    assert f'aria-current="page">{one.node}<' in shown
    assert series(viewer, "?node=nobody:1", "clu")["memory"]["x"] == []
    assert viewer.get("/caches/clu/statistics?node=nobody:1").status_code == 200


@pytest.mark.parametrize("path", ["", "/figures", "/samples"])
def test_another_range_is_refused(viewer: FlaskClient, path: str) -> None:
    answer = viewer.get(f"{PATH}{path}?minutes=7")
    assert answer.status_code == 400
    assert "minutes is one of 15, 60, 1440, 10080." in answer.text


def test_the_tables_are_drawn_anew_by_themselves(app: Flask, viewer: FlaskClient) -> None:
    sample(app)
    page = unescape(viewer.get(f"{PATH}?minutes=60").text)
    assert f'hx-get="{PATH}/figures?minutes=60" hx-trigger="every 30s"' in page
    again = viewer.get(f"{PATH}/figures?minutes=60", headers=by_htmx(viewer)).text
    assert 'id="answer" hx-swap-oob="true"' in again
    assert "Where memory is" in again
    assert "<html" not in again


def test_it_answers_while_the_cache_does_not(settings: Settings, make_app: MakeApp) -> None:
    app = make_app(with_caches(settings, f"main=redis://{HOST}:{free_port()}"))
    stale_samples(app)
    viewer = signed_in_client(app, Role.OPERATOR)
    begun = time.monotonic()
    assert viewer.get(PATH).status_code == 200
    assert viewer.get(f"{PATH}/samples").status_code == 200
    assert time.monotonic() - begun < 30
    log = viewer.get(f"{PATH}/slow-log", headers=by_htmx(viewer))
    assert log.status_code == 200
    assert "cannot be reached" in log.text


def test_a_block_that_fails_leaves_the_others(app: Flask, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sample(app)

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(statistics_figures, "table", broken)
    page = viewer.get(PATH)
    assert page.status_code == 200
    assert "This part of the page cannot be drawn." in page.text
    assert "Where memory is" in page.text


def test_a_command_named_by_a_hostile_server_breaks_nothing(app: Flask, viewer: FlaskClient) -> None:
    sample(app)
    store, now = deck_of(app).store, time.time()
    for place, calls in enumerate((1, 500, 900)):
        stats = b"cmdstat_<script>alert(1)</script>:calls=%d,usec=%d\r\n" % (calls, 10 * calls)
        costs = Costs(now - 60 + 20 * place, "b:1", parse(stats))
        command_samples.save(store, [CommandSample(costs.at, "main", costs.node, costs.to_plain())], 15.0)
    page = viewer.get(PATH).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert viewer.get(f"{PATH}/samples").status_code == 200


def test_the_slow_log_is_for_operators(app: Flask, viewer: FlaskClient, operator: FlaskClient) -> None:
    assert viewer.get(f"{PATH}/slow-log").status_code == 403
    assert "slow-log" not in viewer.get(PATH).text
    assert "slow-log" in operator.get(PATH).text


def test_the_slow_log_shows_hostile_arguments_as_text(operator: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.set("<b>key</b>", b"\x00\xff")
        client.config_set("slowlog-log-slower-than", 10_000)
    part = operator.get(f"{PATH}/slow-log", headers=by_htmx(operator)).text
    assert "SET &lt;b&gt;key&lt;/b&gt; \\x00\\xff" in part
    assert "<html" not in part
    whole = operator.get(f"{PATH}/slow-log").text
    assert "SET &lt;b&gt;key" in whole
    assert "<h1>Slow log</h1>" in whole


def test_an_empty_slow_log_says_so(operator: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.slowlog_reset()
    part = operator.get(f"{PATH}/slow-log", headers=by_htmx(operator)).text
    assert "Empty: nothing took longer" in part


def test_where_the_slow_log_is_denied_the_primary_is_named(operator: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.execute_command("ACL", "SETUSER", "default", "-slowlog")
    try:
        part = operator.get(f"{PATH}/slow-log", headers=by_htmx(operator)).text
    finally:
        with closing(valkey.client()) as client:
            client.execute_command("ACL", "SETUSER", "default", "+slowlog")
    assert f"127.0.0.1:{valkey.port}" in part
    assert "slowlog" in part.lower()
    assert "Empty" not in part
