"""Measurements of regret on their pages: who may start one, what is said beforehand, and what was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.eviction.regret_count import Regret
from dashboard.cache.notifications.primary_listener import Gap
from dashboard.jobs.eviction_trace_job import NAME
from dashboard.settings import Settings
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.kept import MEASURED, keep_trace
from tests.servers import HOST, Server
from tests.views.conftest import by_htmx, post, signed_in_client
from tests.views.denied import denied_to_mo

PATH = "/caches/main/eviction-traces"


def events_of(server: Server) -> str:
    with contextlib.closing(server.client(decode_responses=True)) as client:
        return str(client.config_get("notify-keyspace-events")["notify-keyspace-events"])


def test_the_form_says_what_it_costs_and_what_is_changed_before_it_is_started(admin: FlaskClient) -> None:
    text = admin.get(PATH).text
    assert "gets the flags E, e and m on every primary" in text
    assert "about 2\u00a0µs" in text or "about 2 µs" in text
    assert "Start measuring" in text


def test_where_notifications_are_on_already_it_says_that_nothing_is_changed(admin: FlaskClient, valkey: Server) -> None:
    with contextlib.closing(valkey.client()) as client:
        client.config_set("notify-keyspace-events", "AKEm")
        assert "no setting is changed" in admin.get(PATH).text
        client.config_set("notify-keyspace-events", "")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_it_is_for_admins_only(app: Flask, store: Store, role: Role) -> None:
    browser = signed_in_client(app, role)
    assert "Start measuring" not in browser.get(PATH).text
    assert post(browser, PATH, {"seconds": "60"}).status_code == 403
    assert jobs.newest(store, "main", NAME) == []


@pytest.mark.parametrize("seconds", ["", "0", "61", "-60", "1e9", "x"])
def test_only_the_offered_lengths_are_taken(admin: FlaskClient, store: Store, seconds: str) -> None:
    assert post(admin, PATH, {"seconds": seconds}).status_code == 400
    assert jobs.newest(store, "main", NAME) == []


def test_it_starts_a_job_in_the_name_of_who_asked(admin: FlaskClient, store: Store) -> None:
    answer = post(admin, PATH, {"seconds": "300", "reason": "misses went up"})
    (job,) = jobs.newest(store, "main", NAME)
    assert answer.status_code == 303
    assert answer.location.endswith(f"{PATH}/{job.id}")
    assert (job.actor, job.reason, job.arguments["seconds"], job.arguments["actor"]) == (
        "ada",
        "misses went up",
        300,
        "ada",
    )
    assert "worker" in admin.get(answer.location).text


def test_a_second_one_leads_to_the_one_that_goes_on(admin: FlaskClient, store: Store) -> None:
    first = post(admin, PATH, {"seconds": "60"})
    assert post(admin, PATH, {"seconds": "60"}).location == first.location
    assert len(jobs.newest(store, "main", NAME)) == 1
    assert "Start measuring" not in admin.get(PATH).text


@pytest.fixture
def at(valkey: Server, settings: Settings, make_app: Callable[[Settings], Flask]) -> Callable[[str], FlaskClient]:
    """An admin's browser in front of a cache with these options in its URL."""

    def browser(options: str, user: str = "") -> FlaskClient:
        url = f"redis://{user}{HOST}:{valkey.port}?{options}"
        caches = Settings(caches=f"main={url}").caches  # type: ignore[arg-type]
        return signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.ADMIN)

    return browser


def test_on_production_the_caches_name_is_typed(at: Callable[..., FlaskClient]) -> None:
    admin = at("environment=production")
    assert "Type main to go on" in admin.get(PATH).text
    assert post(admin, PATH, {"seconds": "60"}).status_code == 400
    assert post(admin, PATH, {"seconds": "60", "typed": "main"}).status_code == 303


def test_a_read_only_cache_is_not_measured_and_says_why(at: Callable[..., FlaskClient]) -> None:
    admin = at("read_only=yes")
    text = admin.get(PATH).text
    assert "declared read-only" in text
    assert "Start measuring" not in text
    assert post(admin, PATH, {"seconds": "60"}).status_code in (403, 409)


@pytest.mark.parametrize(("denied", "named"), [("subscribe", "SUBSCRIBE"), ("config|set", "CONFIG SET")])
def test_where_a_command_is_denied_the_page_names_it(
    valkey: Server, at: Callable[..., FlaskClient], denied: str, named: str
) -> None:
    with denied_to_mo(valkey, at, denied) as admin:
        text = admin.get(PATH).text
    assert "cannot be measured here" in text
    assert named in text
    assert "Start measuring" not in text


def test_where_the_flags_cannot_be_read_the_admin_says_that_they_are_set(
    valkey: Server, at: Callable[..., FlaskClient], store: Store
) -> None:
    with denied_to_mo(valkey, at, "config|get") as admin:
        text = admin.get(PATH).text
        assert "cannot be read here" in text
        assert "is set there, with the flags E, e and m" in text
        assert post(admin, PATH, {"seconds": "60", "on": "yes"}).status_code == 303
    (job,) = jobs.newest(store, "main", NAME)
    assert job.arguments["on"] is True


def test_what_was_found_is_said_with_its_interval_and_its_cost(viewer: FlaskClient, store: Store) -> None:
    job = keep_trace(store, MEASURED)
    text = viewer.get(f"{PATH}/{job.id}").text
    assert "31\u202f% of the evicted keys were asked for again within" in text
    assert "29\u202f% to 33\u202f%" in text
    assert "one in 4" in text
    assert "250 events/s" in text
    assert "no setting was changed" in text
    assert "31\u202f% of the evicted keys" in viewer.get(PATH).text


def test_what_was_not_heard_is_said(viewer: FlaskClient, store: Store) -> None:
    gap = Gap("10.0.0.3:6379", 12.0, 3.0, "main cannot be reached.")
    text = viewer.get(f"{PATH}/{keep_trace(store, replace(MEASURED, gaps=(gap,), unheard=1200)).id}").text
    assert "10\u202f% of the evictions that the servers counted" in text
    assert "10.0.0.3:6379 was not heard for 3" in text


def test_while_it_runs_the_page_asks_for_itself_and_can_be_cancelled_by_admins(
    viewer: FlaskClient, admin: FlaskClient, store: Store
) -> None:
    job = keep_trace(store, MEASURED, state="running")
    address = f"{PATH}/{job.id}"
    assert "every 1s" in viewer.get(address, headers=by_htmx(viewer)).text
    assert (
        f"/jobs/{job.id}/cancellation"
        not in viewer.get(address).text.partition('id="trace"')[2].partition("</section>")[0]
    )
    assert f"/jobs/{job.id}/cancellation" in admin.get(address).text
    assert "2\u202fmin of 2\u202fmin" in admin.get(address).text


@pytest.mark.parametrize(
    ("evictions", "going_on", "over"),
    [
        (0, "No key was evicted yet.", "No key was evicted while it was measured."),
        (40, "No eviction was followed yet.", "No eviction was followed while it was measured."),
    ],
)
def test_a_measurement_without_evictions_is_told_as_over_only_when_it_is(
    viewer: FlaskClient, store: Store, evictions: int, going_on: str, over: str
) -> None:
    nothing = replace(MEASURED, regret=Regret(evictions=evictions))
    for state, told, other in (("running", going_on, over), ("finished", over, going_on)):
        job = keep_trace(store, nothing, state=state)
        text = viewer.get(f"{PATH}/{job.id}").text
        assert told in text
        assert other not in text
        assert told in viewer.get(PATH).text


def test_names_of_servers_that_are_markup_are_drawn_as_text(viewer: FlaskClient, store: Store) -> None:
    gap = Gap("<script>alert(1)</script>", 1.0, None, "<b>no</b>")
    text = viewer.get(f"{PATH}/{keep_trace(store, replace(MEASURED, gaps=(gap,))).id}").text
    assert "<script>alert(1)" not in text
    assert "<b>no" not in text


def test_a_measurement_of_another_cache_is_not_there(viewer: FlaskClient, store: Store) -> None:
    job = keep_trace(store, MEASURED, cache="other")
    assert viewer.get(f"{PATH}/{job.id}").status_code == 404
    assert viewer.get(f"{PATH}/999999").status_code == 404


def test_looking_at_the_form_changes_nothing(admin: FlaskClient, valkey: Server) -> None:
    before = events_of(valkey)
    admin.get(PATH)
    assert events_of(valkey) == before
