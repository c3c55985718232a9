"""Listeners by their page: who is in danger, what is denied, and how much is drawn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import samples
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.samples import Sample
from dashboard.views.listening import listener_looks
from tests.cache.listening import limited as limits
from tests.cache.listening import raw, swamped
from tests.servers import Cluster, Server
from tests.views.conftest import by_htmx, deck_of, signed_in_client
from tests.views.settled import caches, limited

PATH = "/caches/main/listeners"


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


def _text(client: FlaskClient, path: str = PATH) -> str:
    return " ".join(client.get(path).text.split()).replace("\u202f", " ")


def test_it_counts_and_lists_with_names_that_are_text(server: Server, operator: FlaskClient) -> None:
    with (
        raw(server, "<b>bold</b>", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON", "BCAST")),
        raw(server, "app:listens", ("SUBSCRIBE", "<script>news</script>")),
    ):
        text = _text(operator)
    assert "1 client tracks keys, 1 client listens to channels; none is near the limit" in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "<b>bold" not in text
    assert "tracks by prefix" in text
    assert "<script>news" not in text
    assert "/caches/main/events?channel=%3Cscript%3Enews%3C/script%3E" in text


def test_a_reader_that_is_too_slow_is_named_with_its_share(server: Server, operator: FlaskClient) -> None:
    with server.client() as client:
        limits(client, "pubsub 20mb 0 0")
    with raw(server, "app:slow", ("SUBSCRIBE", "news")), raw(server, "app:quick", ("SUBSCRIBE", "other")):
        swamped(server, "news", 17 * 1024**2)
        text = _text(operator)
    assert "% of the limit at which the server drops it." in text.partition('id="answer"')[2][:300]
    rows = text.partition('id="listener-rows"')[2]
    assert rows.index("app:slow") < rows.index("app:quick")
    assert "in danger" in rows
    assert "% of 20 MB" in rows


def test_who_stays_above_the_soft_limit_is_seen_to(server: Server, app: Flask, operator: FlaskClient) -> None:
    with server.client() as client:
        limits(client, "pubsub 0 1mb 3600")
    with raw(server, "app:slow", ("SUBSCRIBE", "news")):
        swamped(server, "news", 1024**2)
        assert "1 is above the soft limit: the server drops whoever stays there." in _text(operator)
        cache = deck_of(app).caches["main"]
        last = listener_looks.look_at(cache, None, replicas=False)
        earlier = {who: since - 30 for who, since in last.since.items()}
        again = listener_looks.look_at(cache, replace(last, since=earlier), replicas=False)
        (slow,) = (one for one in again.clients if one.client.name == "app:slow")
        assert (slow.over or 0) >= 30
        assert "above 1\u202fMB for at least 3" in slow.words


def test_two_hundred_are_drawn_and_all_are_counted(server: Server, operator: FlaskClient) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(230):
            stack.enter_context(raw(server, f"app:{number}", ("SUBSCRIBE", f"channel:{number}")))
        text = _text(operator)
    assert "230 clients listen to channels" in text
    assert "The 200 nearest to being dropped, of 230." in text
    assert text.count('id="client-') == 200
    assert "200 of 230 channels" in text


def test_one_kind_is_shown_by_itself(server: Server, operator: FlaskClient) -> None:
    with (
        raw(server, "app:tracks", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")),
        raw(server, "app:listens", ("SUBSCRIBE", "news")),
    ):
        tracking, pubsub = _text(operator, f"{PATH}?show=tracking"), _text(operator, f"{PATH}?show=pubsub")
    assert "app:tracks" in tracking
    assert "app:listens" not in tracking
    assert "app:listens" in pubsub
    assert "app:tracks" not in pubsub


def test_it_is_drawn_anew_while_one_looks(server: Server, operator: FlaskClient) -> None:
    answer = operator.get(PATH, headers=by_htmx(operator))
    assert "<html" not in answer.text
    assert 'hx-trigger="every 3s"' in answer.text
    assert 'id="answer" hx-swap-oob="true"' in answer.text


def test_notifications_lead_to_the_console_as_events(server: Server, operator: FlaskClient) -> None:
    with raw(server, "app", ("SUBSCRIBE", "__keyevent@0__:expired"), ("SUBSCRIBE", "__keyevent@3__:expired")):
        text = _text(operator)
    assert "/caches/main/events?event=expired" in text
    assert "/caches/main/events?channel=__keyevent@3__:expired" in text


def test_it_refuses_a_viewer(viewer: FlaskClient) -> None:
    assert viewer.get(PATH).status_code == 403


def test_where_the_list_is_denied_it_counts_and_says_what_to_do(server: Server, operator: FlaskClient) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "bob", "-client|list", "-pubsub")
    with raw(server, "app", ("HELLO", "3"), ("CLIENT", "TRACKING", "ON")):
        text = _text(operator, PATH.replace("main", "denied"))
    assert "1 client tracks keys" in text
    assert "may not run CLIENT LIST" in text
    assert "+client|list" in text
    assert "+pubsub|channels" in text


def test_a_server_that_is_down_leaves_the_page_standing(server: Server, operator: FlaskClient) -> None:
    server.stop()
    answer = operator.get(PATH)
    assert answer.status_code == 200
    assert "cannot be reached" in answer.text


def test_a_read_only_cache_is_looked_at_like_any_other(server: Server, operator: FlaskClient) -> None:
    with raw(server, "app", ("SUBSCRIBE", "news")):
        assert "1 client listens to channels" in _text(operator, PATH.replace("main", "seen"))


def test_of_a_cluster_each_client_stands_with_its_node(
    cluster: Cluster, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    of_cluster = settings.model_copy(update={"caches": Settings(caches=f"main={cluster.url}").caches})  # type: ignore[arg-type]
    server = cluster.servers[1]
    with raw(server, "app", ("SUBSCRIBE", "news")):
        text = _text(signed_in_client(make_app(of_cluster), Role.OPERATOR))
    assert f"at 127.0.0.1:{server.port}" in text


def test_a_finding_about_dropped_clients_leads_here_who_may_come(
    server: Server, operator: FlaskClient, viewer: FlaskClient, store: Store
) -> None:
    now = time.time()
    for past in range(200, -1, -2):
        counters = {"client_output_buffer_limit_disconnections": 200.0 - past, "total_commands_processed": 1e4 - past}
        values = {**counters, "sampled_at": now - past, "uptime_in_seconds": 1e5 - past}
        samples.save(store, [Sample(now - past, "main", f"127.0.0.1:{server.port}", values)])
    link = f'href="{PATH}">Listeners'
    for client, leads in ((operator, True), (viewer, False)):
        page = client.get("/caches/main/").text
        assert "its replies waited in too large a buffer" in page
        assert (link in page) is leads
