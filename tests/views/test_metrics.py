"""/metrics: a valid exposition of what the store knows, for tokens, each told of what it may see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from redis.exceptions import ResponseError
from werkzeug.test import TestResponse

from dashboard.cache.statistics.exposed import FAMILIES, OF_ALL
from dashboard.jobs.sampler import Follower
from dashboard.settings import Settings
from dashboard.store import audit, jobs, samples, tokens, trials, workers
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.samples import Sample
from dashboard.store.setting_changes import Asked
from dashboard.store.tokens import Draft
from dashboard.store.trials import Draft as TrialDraft
from tests.servers import Cluster, Server
from tests.views.conftest import deck_of

Scrape = Callable[..., TestResponse]


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    urls = f"main={valkey.url} elsewhere={valkey.url}/1"
    return settings.model_copy(update={"caches": Settings(caches=urls).caches, "sample_seconds": 60.0})  # type: ignore[arg-type]


@pytest.fixture
def scrape(app: Flask, store: Store, client: FlaskClient) -> Scrape:
    """As Prometheus does it, with a viewer's token for every cache, or of the one that is named."""

    def ask(cache: str = "", accept: str = "") -> TestResponse:
        _, secret = tokens.add(store, Draft(f"scraper {cache} {time.monotonic_ns()}", Role.VIEWER, cache), "zoe")
        return client.get("/metrics", headers={"Authorization": f"Bearer {secret}", "Accept": accept})

    return ask


def sample(app: Flask) -> None:
    deck = deck_of(app)
    for cache in deck.caches.values():
        Follower(deck.store, cache, deck.settings.sample_seconds).sample()


def found(answer: TestResponse) -> dict[str, Metric]:
    """The families of an answer, by the name of what they hold."""
    assert answer.status_code == 200, answer.text
    return {one.samples[0].name: one for one in parse(answer.text)}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    (wanted,) = [one.value for one in families[name].samples if labels.items() <= one.labels.items()]
    return wanted


def test_it_is_a_valid_exposition_of_what_is_documented(app: Flask, scrape: Scrape) -> None:
    sample(app)
    families = found(scrape())
    assert set(families) <= set(FAMILIES)
    for name, family in families.items():
        assert family.type == FAMILIES[name].kind
        assert family.documentation == FAMILIES[name].says
        for one in family.samples:
            assert set(one.labels) == set(FAMILIES[name].labels)


def test_it_is_valid_openmetrics_where_that_is_asked_for(app: Flask, scrape: Scrape) -> None:
    sample(app)
    answer = scrape(accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {one.name for one in parse_openmetrics(answer.text)} >= {"redis_up", "redis_evicted_keys"}


def test_what_is_told_by_default_is_what_prometheus_reads(app: Flask, scrape: Scrape) -> None:
    assert scrape().content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", ";;;,=", "text/plain;version=\x7f;q=nan"])
def test_who_accepts_nonsense_is_told_what_prometheus_reads(accept: str, scrape: Scrape) -> None:
    assert scrape(accept=accept).content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_every_name_has_a_figure_on_a_real_server(app: Flask, scrape: Scrape, store: Store, valkey: Server) -> None:
    with valkey.client() as client:
        client.set("text", "v")
        for wrong in (("GET",), ("LPUSH", "text", "v")):  # one that is rejected, one that fails
            with pytest.raises(ResponseError):
                client.execute_command(*wrong)
    sample(app)
    absent = set(FAMILIES) - set(found(scrape()))
    assert absent == set()


def test_figures_are_those_of_the_server(app: Flask, scrape: Scrape, valkey: Server) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory", 100 << 20)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.mset({f"key:{number}": "v" for number in range(10)})
        client.expire("key:1", 1000)
        client.get("key:2")
        sample(app)
        hits = client.info("stats")["keyspace_hits"]
    families = found(scrape())
    where = {"cache": "main", "node": f"127.0.0.1:{valkey.port}"}
    assert value(families, "redis_up", **where) == 1
    assert value(families, "redis_memory_max_bytes", **where) == 100 << 20
    assert value(families, "redis_db_keys", **where) == 10
    assert value(families, "redis_db_keys_expiring", **where) == 1
    assert value(families, "redis_keyspace_hits_total", **where) == hits
    assert value(families, "redis_instance_info", role="master", maxmemory_policy="allkeys-lru", **where) == 1
    assert value(families, "redis_start_time_seconds", **where) == pytest.approx(time.time(), abs=3600)


def test_commands_are_counted_as_the_server_counts_them(app: Flask, scrape: Scrape, valkey: Server) -> None:
    with valkey.client() as client:
        client.config_resetstat()
        client.set("text", "v")
        for _ in range(5):
            client.get("text")
        with pytest.raises(ResponseError):
            client.lpush("text", "v")
        with pytest.raises(ResponseError):
            client.execute_command("GET")
        sample(app)
    families = found(scrape())
    where = {"cache": "main", "node": f"127.0.0.1:{valkey.port}"}
    assert value(families, "redis_commands_total", cmd="get", **where) == 5
    assert value(families, "redis_commands_rejected_calls_total", cmd="get", **where) == 1
    assert value(families, "redis_commands_failed_calls_total", cmd="lpush", **where) == 1
    assert 0 < value(families, "redis_commands_duration_seconds_total", cmd="get", **where) < 1


def test_no_server_is_asked(app: Flask, scrape: Scrape, valkey: Server) -> None:
    sample(app)
    with valkey.client() as client:
        before = client.info("stats")["total_connections_received"], client.info("commandstats")["cmdstat_info"]
        scrape()
        after = client.info("stats")["total_connections_received"], client.info("commandstats")["cmdstat_info"]
    assert after[0] == before[0]
    assert after[1]["calls"] == before[1]["calls"] + 2  # our own looks


def test_a_cluster_is_told_by_its_primaries(
    settings: Settings, make_app: Callable[[Settings], Flask], cluster: Cluster
) -> None:
    urls = Settings(caches=f"main={cluster.url}").caches  # type: ignore[arg-type]
    app = make_app(settings.model_copy(update={"caches": urls}))
    sample(app)
    _, secret = tokens.add(deck_of(app).store, Draft("scraper", Role.VIEWER), "zoe")
    answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert len({one.labels["node"] for one in found(answer)["redis_memory_used_bytes"].samples}) == 3


def test_a_token_of_one_cache_is_told_of_that_one(app: Flask, scrape: Scrape) -> None:
    sample(app)
    families = found(scrape("elsewhere"))
    told = {one.labels["cache"] for family in families.values() for one in family.samples if "cache" in one.labels}
    assert told == {"elsewhere"}
    assert not set(families) & {one.name for one in OF_ALL}


def test_a_cache_that_was_never_sampled_is_down(app: Flask, scrape: Scrape) -> None:
    families = found(scrape())
    assert value(families, "redis_up", cache="main", node="") == 0
    assert "redis_memory_used_bytes" not in families


def test_of_a_primary_that_is_sampled_no_more_nothing_is_told_but_that_it_is_down(
    app: Flask, scrape: Scrape, store: Store
) -> None:
    now = time.time()
    old = Sample(now - 600, "main", "10.0.0.1:6379", {"used_memory": 5.0, "sampled_at": now - 600})
    gone = Sample(now - 3000, "main", "10.0.0.2:6379", {"used_memory": 5.0, "sampled_at": now - 3000})
    samples.save(store, [old, gone], 60)
    sample(app)
    families = found(scrape())
    assert value(families, "redis_up", node="10.0.0.1:6379") == 0
    told = {one.labels["node"] for one in families["redis_memory_used_bytes"].samples}
    assert "10.0.0.1:6379" not in told
    assert "10.0.0.2:6379" not in {one.labels["node"] for one in families["redis_up"].samples}


def test_a_hostile_name_of_a_node_breaks_nothing(app: Flask, scrape: Scrape, store: Store) -> None:
    name = 'a"}\\ 1\nredis_up{x="\u2028<script>'
    samples.save(store, [Sample(time.time(), "main", name, {"used_memory": 5.0})], 60)
    assert value(found(scrape()), "redis_memory_used_bytes", node=name) == 5


def test_trials_that_are_overdue_or_stuck_are_told(app: Flask, scrape: Scrape, store: Store) -> None:
    late = trials.begin(store, TrialDraft("main", "trial", {}, -100.0, Asked("ada", "")))
    stuck = trials.begin(store, TrialDraft("main", "events", {}, 100.0, Asked("ada", "")))
    trials.go(store, stuck, "stuck")
    families = found(scrape())
    assert value(families, "cachedeck_trials_open", cache="main", purpose="trial") == 1
    assert value(families, "cachedeck_trials_overdue", cache="main") == 1
    assert value(families, "cachedeck_trials_stuck", cache="main") == 1
    assert value(families, "cachedeck_trials_overdue", cache="elsewhere") == 0
    assert late.open


def test_jobs_are_told_by_their_state_and_workers_while_they_live(app: Flask, scrape: Scrape, store: Store) -> None:
    jobs.create(store, "main", "analysis", {}, "ada", "")
    assert value(found(scrape()), "cachedeck_workers") == 0
    workers.beat(store, "one")
    families = found(scrape())
    assert value(families, "cachedeck_workers") == 1
    assert value(families, "cachedeck_jobs", cache="main", state="queued") == 1
    assert value(families, "cachedeck_jobs", cache="main", state="running") == 0


def test_what_was_done_is_counted_in_the_audit_trail(app: Flask, scrape: Scrape, store: Store) -> None:
    before = value(found(scrape()), "cachedeck_audit_entries_total")
    with audit.record(store, audit.Change("ada", "", "main", "key.ttl", "key")):
        pass
    assert value(found(scrape()), "cachedeck_audit_entries_total") == before + 2


def test_units_are_those_of_the_names(app: Flask, scrape: Scrape, store: Store) -> None:
    samples.save(store, [Sample(time.time(), "main", "node", {"avg_ttl_ms": 1500.0})], 60)
    assert value(found(scrape()), "redis_db_avg_ttl_seconds", node="node") == 1.5


def test_it_asks_for_a_token(client: FlaskClient, admin: FlaskClient) -> None:
    for browser in (client, admin):  # a session is no token
        answer = browser.get("/metrics")
        assert answer.status_code == 401
        assert answer.mimetype == "application/problem+json"
        assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_the_documents_name_every_metric_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = {found[1]: found for found in re.finditer(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", text, re.M)}
    assert set(rows) == set(FAMILIES)
    for name, row in rows.items():
        family = FAMILIES[name]
        assert (row[2], row[4]) == (family.kind, family.says)
        assert re.findall(r"`(\w+)`", row[3]) == list(family.labels)
