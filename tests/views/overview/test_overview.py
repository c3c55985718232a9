"""The overview: what it says when all is well, when samples are missing, and when a part of it fails."""

from __future__ import annotations

import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_targets
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import samples
from dashboard.store.operators import Role
from dashboard.store.samples import Sample
from dashboard.views import finding_list
from dashboard.views.access import access_of
from dashboard.views.overview import live_look
from tests.servers import HOST, Cluster, Server, free_port, running, start_cluster
from tests.views.conftest import by_htmx, deck_of, signed_in_client

MakeApp = Callable[[Settings], Flask]


def sample_now(app: Flask, name: str = "main") -> list[Sample]:
    """What the worker would have done just now."""
    deck = deck_of(app)
    Follower(deck.store, deck.caches[name], deck.settings.sample_seconds).sample()
    return samples.latest(deck.store, name)


def history(app: Flask, latest: list[Sample], seconds: int, **growth: float) -> None:
    """Samples every 2 s up to the latest ones, whose counters have grown by `growth` per second."""
    made = []
    for sample in latest:
        for back in range(2, seconds + 1, 2):
            values = dict(sample.values)
            values["sampled_at"] -= back
            values["uptime_in_seconds"] = 100_000.0 - back
            for name, rate in growth.items():
                values[name] -= back * rate
            made.append(replace(sample, at=sample.at - back, values=values))
        samples.save(deck_of(app).store, made)
        made = []


def grown(latest: list[Sample], app: Flask, **values: float) -> list[Sample]:
    """The latest samples again, one period later, with these values."""
    again = []
    for sample in latest:
        moved = {"sampled_at": sample.values["sampled_at"] + 2, "uptime_in_seconds": 100_000.0}
        again.append(replace(sample, at=sample.at + 2, values=dict(sample.values) | moved | values))
    samples.save(deck_of(app).store, again)
    return again


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)).replace("\u202f", " "))


def with_caches(settings: Settings, text: str) -> Settings:
    return settings.model_copy(update={"caches": parse_targets(text)})


def stale_samples(app: Flask, name: str = "main", age: float = 14.0) -> None:
    values = {"keys": 7.0, "used_memory": 1e6, "sampled_at": time.time() - age, "uptime_in_seconds": 1000.0}
    samples.save(deck_of(app).store, [Sample(time.time() - age, name, "a:1", values)])


# All is well


def test_it_opens_on_findings_in_words(app: Flask, viewer: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_set("maxmemory", "64mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.set("a", 1, ex=100)
        client.config_resetstat()  # other tests look at a great many keys of this server
    latest = sample_now(app)
    history(app, latest, 400, keyspace_hits=0, keyspace_misses=0)
    grown(latest, app, keyspace_hits=latest[0].values["keyspace_hits"] + 931, keyspace_misses=69)
    answer = viewer.get("/caches/main/")
    said = text_of(answer.text)
    assert answer.status_code == 200
    assert re.search(r"Good Hit ratio 9\d\.\d % over the last 5 min", said)
    assert "Memory" in said
    assert "of 64 MB" in said
    assert "No problem found." in said
    assert "Sampled" in said
    assert re.search(r"Evictions [\d.]+ per s, last 5 min", said)
    assert re.search(r"Expirations [\d.]+ per s, last 5 min", said)


def test_it_says_that_no_maxmemory_is_set(app: Flask, viewer: FlaskClient) -> None:
    sample_now(app)
    said = text_of(viewer.get("/caches/main/").text)
    assert "Look No maxmemory is set: the server will grow until the kernel stops it." in said


def test_it_says_why_keys_are_evicted(app: Flask, viewer: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "3mb")
        latest = sample_now(app)
        for number in range(600):
            client.set(f"k:{number}", "x" * 10_000)
        evicted = client.info()["evicted_keys"]
        assert evicted > 0
        history(app, [replace(sample, at=sample.at - 4) for sample in latest], 20)
        time_of_next = latest[0].at + 2
        while time.time() < time_of_next:
            time.sleep(0.05)
        sample_now(app)
    assert re.search(r"Look \S+( k)? evictions(/s| in).*allkeys-lru", text_of(viewer.get("/caches/main/overview").text))


def test_the_page_polls_its_fragment_every_two_seconds(app: Flask, viewer: FlaskClient) -> None:
    sample_now(app)
    page = viewer.get("/caches/main/").text
    assert re.search(r'<div id="live" hx-get="/caches/main/overview" hx-trigger="every 2s"', page)
    fragment = viewer.get("/caches/main/overview", headers=by_htmx(viewer)).text
    assert "<html" not in fragment
    assert re.search(r'<p class="answer" id="answer" hx-swap-oob="true">', fragment)
    assert 'class="findings"' in fragment
    assert 'class="tiles"' in fragment


def test_what_it_draws_by_itself_is_no_sign_of_life(app: Flask) -> None:
    for endpoint in ("overview.figures", "overview.health", "overview.samples"):
        assert access_of(app, endpoint).background
    assert not access_of(app, "overview.show").background
    assert all(access_of(app, f"overview.{name}").role is Role.VIEWER for name in ("show", "figures", "samples"))


def test_the_anonymous_are_sent_to_the_login(client: FlaskClient) -> None:
    assert client.get("/caches/main/").status_code == 303
    answer = client.get("/caches/main/overview", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith("/login")


def test_an_unknown_cache_is_not_found(viewer: FlaskClient) -> None:
    for path in ("", "overview", "samples", "health"):
        assert viewer.get(f"/caches/other/{path}").status_code == 404


def test_it_shows_only_the_samples_of_its_own_cache(settings: Settings, make_app: MakeApp, valkey: Server) -> None:
    app = make_app(with_caches(settings, f"main={valkey.url} other={valkey.url}"))
    sample_now(app)
    viewer = signed_in_client(app, Role.VIEWER)
    assert "Operations" in text_of(viewer.get("/caches/main/overview").text)
    assert "Operations" not in text_of(viewer.get("/caches/other/overview").text)


def test_a_denied_command_is_named(settings: Settings, make_app: MakeApp) -> None:
    with running() as server, closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", "viewer", "on", ">pw", "~*", "&*", "+@all", "-config|set", "-eval")
        app = make_app(with_caches(settings, f"main=redis://viewer:pw@{HOST}:{server.port}"))
        sample_now(app)
        said = text_of(signed_in_client(app, Role.VIEWER).get("/caches/main/").text)
    assert "Not available here: CONFIG SET, EVAL." in said


# Samples are missing


def test_without_any_sample_it_asks_for_the_worker(viewer: FlaskClient) -> None:
    assert "No sample yet: is the worker running?" in text_of(viewer.get("/caches/main/").text)


def test_stale_samples_are_said_to_be_stale(app: Flask, viewer: FlaskClient) -> None:
    stale_samples(app)
    said = text_of(viewer.get("/caches/main/").text)
    assert re.search(r"No sample for 1[45] s: is the worker running\?", said)
    assert re.search(r"Stale: these figures are 0:1[45] old\.", said)
    assert "Keys 7" in said


def test_it_does_not_ask_the_server_while_samples_are_fresh(settings: Settings, make_app: MakeApp) -> None:
    app = make_app(with_caches(settings, f"main=redis://{HOST}:{free_port()}"))
    stale_samples(app, age=0.0)
    said = text_of(signed_in_client(app, Role.VIEWER).get("/caches/main/overview").text)
    assert "cannot be reached" not in said
    assert "Keys 7" in said


def test_it_says_why_there_are_no_samples(settings: Settings, make_app: MakeApp, valkey: Server) -> None:
    app = make_app(with_caches(settings, f"main=redis://:wr0ng@{HOST}:{valkey.port}"))
    answer = signed_in_client(app, Role.VIEWER).get("/caches/main/")
    assert answer.status_code == 200
    assert "Act main refuses the user name or password." in text_of(answer.text)
    assert "wr0ng" not in answer.text


def test_it_says_that_the_server_denies_what_the_sampler_asks(settings: Settings, make_app: MakeApp) -> None:
    with running() as server, closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", "viewer", "on", ">pw", "~*", "+@all", "-info")
        app = make_app(with_caches(settings, f"main=redis://viewer:pw@{HOST}:{server.port}"))
        said = text_of(signed_in_client(app, Role.VIEWER).get("/caches/main/").text)
    assert "INFO" in said
    assert "is the worker running?" not in said


def test_a_server_that_hangs_is_named_within_its_time_out(settings: Settings, make_app: MakeApp) -> None:
    with running() as server:
        app = make_app(with_caches(settings, f"main={server.url}?timeout=0.2&connect_timeout=0.2"))
        sample_now(app)
        stale_samples(app, age=20.0)
        with sqlite3.connect(settings.data / "cachedeck.db") as database:
            database.execute("DELETE FROM samples WHERE node != 'a:1'")
        database.close()
        server.process.send_signal(signal.SIGSTOP)
        said = text_of(signed_in_client(app, Role.VIEWER).get("/caches/main/overview").text)
        server.process.send_signal(signal.SIGCONT)
    assert "Act main did not answer within the time-out." in said
    assert "figures and charts show what was before" in said
    assert "Keys 7" in said


def test_it_recovers_by_itself(settings: Settings, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_look, "FRESH_SECONDS", 0.0)
    with running() as server:
        app = make_app(with_caches(settings, f"main={server.url}"))
        viewer = signed_in_client(app, Role.VIEWER)
        server.stop()
        assert "main cannot be reached." in text_of(viewer.get("/caches/main/overview").text)
        server.restart()
        assert "is the worker running?" in text_of(viewer.get("/caches/main/overview").text)
        sample_now(app)
        said = text_of(viewer.get("/caches/main/overview").text)
        server.stop()
    assert "Operations" in said
    assert "cannot be reached" not in said


def test_only_one_look_at_a_time_waits_for_a_server_that_hangs() -> None:
    looks, entered, leave = live_look.Looks(), threading.Event(), threading.Event()
    (target,) = parse_targets(f"main=redis://{HOST}:{free_port()}")

    class Waiting(Cache):
        def primaries(self):  # type: ignore[no-untyped-def]
            entered.set()
            leave.wait(120)
            return super().primaries()

    with closing(Waiting(target)) as cache:
        found: list[object] = []
        first = threading.Thread(target=lambda: found.append(looks.trouble(cache)))
        first.start()
        assert entered.wait(120)
        assert looks.trouble(cache) is None
        leave.set()
        first.join()
        assert found == [looks.trouble(cache)]
    assert found[0] is not None


# A part fails


def test_a_block_that_fails_leaves_the_others(
    app: Flask, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample_now(app)

    def fail(_picture: object) -> None:
        raise ZeroDivisionError("s3cret detail")

    monkeypatch.setattr(finding_list, "findings", fail)
    answer = viewer.get("/caches/main/")
    assert answer.status_code == 200
    assert "This part of the page cannot be drawn." in answer.text
    assert 'class="tiles"' in answer.text
    assert "data-charts" in answer.text
    assert "s3cret" not in answer.text
    assert "_findings.html cannot be drawn" in caplog.text


def test_a_store_that_fails_leaves_the_page(app: Flask, viewer: FlaskClient, settings: Settings) -> None:
    with sqlite3.connect(settings.data / "cachedeck.db") as database:
        database.execute("DROP TABLE samples")
    database.close()
    answer = viewer.get("/caches/main/")
    assert answer.status_code == 200
    assert "The figures cannot be read now." in answer.text
    assert "own database does not answer" in unescape(answer.text)
    assert "data-charts" in answer.text
    assert viewer.get("/caches/main/health").status_code == 200


# Clusters


def test_a_cluster_has_a_row_for_each_primary_and_a_total(
    settings: Settings, make_app: MakeApp, cluster: Cluster
) -> None:
    with closing(cluster.client()) as client:
        for number in range(60):
            client.set(f"key:{number}", 1, ex=100)
    app = make_app(with_caches(settings, f"clu={cluster.url}"))
    sample_now(app, "clu")
    page = signed_in_client(app, Role.VIEWER).get("/caches/clu/").text
    table = page[page.index("<table") : page.index("</table>")]
    for server in cluster.servers:
        assert f"{HOST}:{server.port}" in table
    assert "Total of 3" in text_of(table)
    cells = re.findall(r"<td.*?</td>", table[table.index("<tfoot") :], re.DOTALL)
    assert text_of(cells[5]).strip() == "\u2013", "one sample tells no rate"
    assert "Keys 60" in text_of(page)


def test_a_standalone_server_has_no_table_of_primaries(app: Flask, viewer: FlaskClient) -> None:
    sample_now(app)
    assert "<table" not in viewer.get("/caches/main/").text


def test_a_lost_primary_is_named_and_the_others_are_shown(settings: Settings, make_app: MakeApp) -> None:
    lost = start_cluster(3)
    try:
        app = make_app(with_caches(settings, f"clu={lost.url}?timeout=0.3&connect_timeout=0.3"))
        latest = sample_now(app, "clu")
        with sqlite3.connect(settings.data / "cachedeck.db") as database:
            database.execute("DELETE FROM samples")
        database.close()
        gone = f"{HOST}:{lost.servers[2].port}"
        moved = [replace(one, at=one.at - 30, values={**one.values, "sampled_at": one.at - 30}) for one in latest]
        samples.save(deck_of(app).store, [one for one in moved if one.node == gone])
        samples.save(deck_of(app).store, [one for one in latest if one.node != gone])
        said = text_of(signed_in_client(app, Role.VIEWER).get("/caches/clu/overview").text)
    finally:
        lost.stop()
    assert re.search(rf"Act No answer from {gone} for 3\d s; totals leave it out\.", said)
    assert "Total of 2" in said
    assert "silent" in said


# Charts


def test_charts_come_as_json_of_the_shape_that_the_script_reads(app: Flask, viewer: FlaskClient) -> None:
    latest = sample_now(app)
    history(app, latest, 60, total_commands_processed=50.0)
    data = viewer.get("/caches/main/samples").get_json()
    assert abs(data["now"] - time.time()) < 60
    assert [one["id"] for one in data["series"]] == ["ops", "hit_ratio", "memory", "evictions", "clients"]
    ops = data["series"][0]
    assert set(ops) == {"id", "title", "unit", "format", "caption", "x", "lines", "limit", "limit_label"}
    assert len(ops["x"]) == len(ops["lines"][0]["values"]) == 31
    assert ops["x"] == sorted(ops["x"])
    assert ops["lines"][0]["values"][1:] == [50.0] * 30
    assert {line["label"] for line in data["series"][3]["lines"]} == {"evicted", "expired"}
    assert data["series"][2]["limit"] is None


def test_charts_of_one_primary_show_only_it(settings: Settings, make_app: MakeApp, cluster: Cluster) -> None:
    app = make_app(with_caches(settings, f"clu={cluster.url}"))
    latest = sample_now(app, "clu")
    viewer = signed_in_client(app, Role.VIEWER)
    whole = viewer.get("/caches/clu/samples").get_json()["series"][2]["lines"][0]["values"]
    one = viewer.get(f"/caches/clu/samples?node={latest[0].node}").get_json()["series"][2]["lines"][0]["values"]
    assert one == [pytest.approx(latest[0].values["used_memory"], rel=1e-5)]
    assert whole == [pytest.approx(sum(sample.values["used_memory"] for sample in latest), rel=1e-5)]
    assert viewer.get("/caches/clu/samples?node=nobody:1").get_json()["series"][2]["x"] == []


@pytest.mark.parametrize("minutes", [60, 1440, 10080])
def test_a_young_history_is_drawn_finely_in_longer_ranges_too(app: Flask, viewer: FlaskClient, minutes: int) -> None:
    history(app, sample_now(app), 100)
    data = viewer.get(f"/caches/main/samples?minutes={minutes}").get_json()
    assert len(data["series"][0]["x"]) == 51


@pytest.mark.parametrize(("minutes", "most"), [(60, 62), (1440, 8)])
def test_longer_ranges_have_fewer_points(app: Flask, viewer: FlaskClient, minutes: int, most: int) -> None:
    latest = sample_now(app)
    history(app, latest, 1000)
    old = [replace(one, at=one.at - back) for one in latest for back in (3000, 3060, 4500, 5400)]
    samples.save(deck_of(app).store, old)
    samples.compact(deck_of(app).store, time.time())
    data = viewer.get(f"/caches/main/samples?minutes={minutes}").get_json()
    assert 2 <= len(data["series"][0]["x"]) <= most
    assert data["now"] - data["series"][0]["x"][-1] < 60


def test_range_and_primary_stand_in_the_address(app: Flask, viewer: FlaskClient) -> None:
    sample_now(app)
    page = unescape(viewer.get("/caches/main/?minutes=60&node=a:1").text)
    assert re.search(r'data-src="/caches/main/samples\?minutes=60&node=a:1"\s+data-every="8" data-span="3600"', page)
    assert re.search(r'minutes=60&node=a:1" aria-current="page">1 h<', page)
    assert 'href="/caches/main/?minutes=1440&node=a:1">24 h<' in page
    assert 'href="/caches/main/?minutes=60">All primaries<' in page


def test_a_hostile_node_in_the_address_stays_text(viewer: FlaskClient) -> None:
    page = viewer.get("/caches/main/", query_string={"node": "<img src=x onerror=alert(1)>"}).text
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.parametrize("path", ["", "samples"])
def test_another_range_is_refused(viewer: FlaskClient, path: str) -> None:
    answer = viewer.get(f"/caches/main/{path}?minutes=7")
    assert answer.status_code == 400
    assert "minutes is one of 15, 60, 1440, 10080." in answer.text


# Health


def test_the_badge_says_the_worst(app: Flask, viewer: FlaskClient, valkey: Server) -> None:
    assert "worth a look" in viewer.get("/caches/main/health").text
    stale_samples(app)
    assert "problem" in viewer.get("/caches/main/health").text


def test_the_badge_of_a_healthy_cache(app: Flask, viewer: FlaskClient, valkey: Server) -> None:
    with closing(valkey.client()) as client:
        client.config_set("maxmemory", "64mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    grown(sample_now(app), app)
    assert "healthy" in viewer.get("/caches/main/health").text
