"""Watches for stampedes on their pages: who may start one, what is said beforehand, and what was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.notifications.primary_listener import Gap
from dashboard.cache.stampedes.report import Stampedes
from dashboard.jobs.stampede_watch_job import LEAST_MISSES, MOST_MISSES, NAME
from dashboard.settings import Settings
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.kept import WATCHED, keep_watch
from tests.servers import HOST, Server
from tests.views.conftest import by_htmx, post, signed_in_client
from tests.views.denied import denied_to_mo

PATH = "/caches/main/stampedes"
FORM = {"seconds": "300", "threshold": "20"}


def test_the_form_says_what_it_costs_and_what_is_changed_and_changes_nothing(
    admin: FlaskClient, valkey: Server
) -> None:
    text = admin.get(PATH).text
    assert "gets the flags E, $, e, g, m, n and x on every primary" in text
    assert "events/s" in text or "about 2 µs" in text
    assert "MONITOR" in text
    assert "Start watching" in text
    with contextlib.closing(valkey.client(decode_responses=True)) as client:
        assert client.config_get("notify-keyspace-events") == {"notify-keyspace-events": ""}


def test_it_is_a_tab_of_events(viewer: FlaskClient) -> None:
    assert f'href="{PATH}" aria-current="page"' in viewer.get(PATH).text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_it_is_for_admins_only(app: Flask, store: Store, role: Role) -> None:
    browser = signed_in_client(app, role)
    assert "Start watching" not in browser.get(PATH).text
    assert post(browser, PATH, FORM).status_code == 403
    assert jobs.newest(store, "main", NAME) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": ""},
        {"seconds": "61"},
        {"seconds": "x"},
        {"threshold": ""},
        {"threshold": str(LEAST_MISSES - 1)},
        {"threshold": str(MOST_MISSES + 1)},
        {"threshold": "many"},
    ],
)
def test_only_what_is_offered_is_taken(admin: FlaskClient, store: Store, wrong: dict[str, str]) -> None:
    assert post(admin, PATH, FORM | wrong).status_code == 400
    assert jobs.newest(store, "main", NAME) == []


def test_it_starts_a_job_in_the_name_of_who_asked(admin: FlaskClient, store: Store) -> None:
    answer = post(admin, PATH, FORM | {"threshold": "50", "reads": "yes", "reason": "misses went up"})
    (job,) = jobs.newest(store, "main", NAME)
    assert answer.status_code == 303
    assert answer.location.endswith(f"{PATH}/{job.id}")
    assert (job.actor, job.reason) == ("ada", "misses went up")
    assert {
        "seconds": 300,
        "threshold": 50,
        "reads": True,
        "actor": "ada",
        "on": False,
    }.items() <= job.arguments.items()
    assert "worker" in admin.get(answer.location).text
    assert post(admin, PATH, FORM).location == answer.location
    assert len(jobs.newest(store, "main", NAME)) == 1
    assert "A watch is going on" in admin.get(PATH).text


def test_reads_are_sampled_only_where_that_is_chosen(admin: FlaskClient, store: Store) -> None:
    post(admin, PATH, FORM)
    assert jobs.newest(store, "main", NAME)[0].arguments["reads"] is False


@pytest.fixture
def at(valkey: Server, settings: Settings, make_app: Callable[[Settings], Flask]) -> Callable[[str], FlaskClient]:
    """An admin's browser in front of a cache with these options in its URL."""

    def browser(options: str, user: str = "") -> FlaskClient:
        url = f"redis://{user}{HOST}:{valkey.port}?{options}"
        caches = Settings(caches=f"main={url}").caches  # type: ignore[arg-type]
        return signed_in_client(make_app(settings.model_copy(update={"caches": caches})), Role.ADMIN)

    return browser


def test_on_production_reads_are_not_sampled_unasked_and_the_caches_name_is_typed(
    at: Callable[..., FlaskClient],
) -> None:
    admin = at("environment=production")
    text = admin.get(PATH).text
    assert "Type main to go on" in text
    assert 'name="reads" value="yes">' in text
    assert post(admin, PATH, FORM).status_code == 400
    assert post(admin, PATH, FORM | {"typed": "main"}).status_code == 303


def test_elsewhere_they_are(admin: FlaskClient) -> None:
    assert 'name="reads" value="yes" checked>' in admin.get(PATH).text


def test_a_read_only_cache_is_not_watched_and_says_why(at: Callable[..., FlaskClient]) -> None:
    admin = at("read_only=yes")
    text = admin.get(PATH).text
    assert "declared read-only" in text
    assert "Start watching" not in text
    assert post(admin, PATH, FORM).status_code in (403, 409)


@pytest.mark.parametrize(("denied", "named"), [("subscribe", "SUBSCRIBE"), ("config|set", "CONFIG SET")])
def test_where_a_command_is_denied_the_page_names_it(
    valkey: Server, at: Callable[..., FlaskClient], denied: str, named: str
) -> None:
    with denied_to_mo(valkey, at, denied) as admin:
        text = admin.get(PATH).text
    assert "cannot be watched here" in text
    assert named in text
    assert "Start watching" not in text


def test_where_monitor_is_denied_misses_alone_are_offered(valkey: Server, at: Callable[..., FlaskClient]) -> None:
    with denied_to_mo(valkey, at, "monitor") as admin:
        text = admin.get(PATH).text
    assert "MONITOR: not allowed for this user" in text
    assert 'name="reads"' not in text
    assert "Start watching" in text


def test_each_alert_says_what_happened_what_helps_and_leads_to_its_key(viewer: FlaskClient, store: Store) -> None:
    text = viewer.get(f"{PATH}/{keep_watch(store, WATCHED).id}").text
    assert "214 misses in 180\u202fms after expiry; one refill would have done." in text
    assert "It was written 57 times, first after 150\u202fms." in text
    assert "3 times, 612 misses in all" in text
    assert 'href="/caches/main/keys/api:product:17"' in text
    assert "<strong>Lock.</strong> Let one reader refill it" in text
    assert "<strong>Early refresh.</strong>" in text
    assert "<strong>Jitter.</strong> 4 keys of api:product:*" in text
    assert "/caches/main/retimings/new?pattern=api:product:*" in text
    assert "90 misses in 500\u202fms after eviction; it is not refilled yet." in text
    assert "<strong>Memory.</strong>" in text
    assert "<strong>Gentle invalidation.</strong>" in text
    assert "5 times, first after 400\u202fms, although lock:api:price:5 looks like its lock." in text
    assert "lock:api:price:5 did not hold" in text
    assert "3 keys had a stampede, the worst api:product:17 with 214 misses." in text


def test_what_is_missed_is_listed_with_how_sure_it_is(viewer: FlaskClient, store: Store) -> None:
    text = viewer.get(f"{PATH}/{keep_watch(store, WATCHED).id}").text
    assert "estimated from 4\u202f000 in 12 looks" in text
    assert "607 to 612" in text
    assert "the beginning of 5\u202f000 bytes" in text
    assert "20\u202fk misses in 58\u202fs, never filled." in text
    assert "Remember that it is not there" in text
    assert "no setting was changed" in text
    assert "2 times a key was missed as often and refilled once, under a lock." in text
    assert "3 keys had a stampede" in viewer.get(PATH).text


def test_names_of_keys_that_are_markup_are_drawn_as_text(viewer: FlaskClient, store: Store) -> None:
    job = keep_watch(store, replace(WATCHED, gaps=(Gap("<script>alert(1)</script>", 1.0, None, "<b>no</b>"),)))
    for text in (viewer.get(f"{PATH}/{job.id}").text, viewer.get(PATH).text):
        assert "<b>bold" not in text
        assert "<script>alert(1)" not in text
        assert "<b>no" not in text


def test_what_was_not_heard_and_not_asked_for_is_said(viewer: FlaskClient, store: Store) -> None:
    gap = Gap("10.0.0.3:6379", 12.0, 3.0, "main cannot be reached.")
    found = replace(
        WATCHED,
        gaps=(gap,),
        unheard=3_000,
        reads=False,
        sampled=0,
        new=False,
        found=Stampedes(misses=12, given_up=4, alerts_dropped=2),
    )
    text = viewer.get(f"{PATH}/{keep_watch(store, found).id}").text
    assert "10\u202f% of the misses that the servers counted" in text
    assert "10.0.0.3:6379 was not heard for 3" in text
    assert "does not tell of new keys" in text
    assert "4 keys had to be given up" in text
    assert "2 smaller alerts" in text
    assert "No stampede among 12 misses." in text


def test_while_it_runs_the_page_asks_for_itself_and_can_be_cancelled_by_admins(
    viewer: FlaskClient, admin: FlaskClient, store: Store
) -> None:
    address = f"{PATH}/{keep_watch(store, WATCHED, state='running').id}"
    text = viewer.get(address, headers=by_htmx(viewer)).text
    assert "every 1s" in text
    assert "<html" not in text
    assert "cancellation" not in text
    assert "cancellation" in admin.get(address, headers=by_htmx(admin)).text


def test_a_watch_of_another_cache_is_not_there(viewer: FlaskClient, store: Store) -> None:
    job = keep_watch(store, WATCHED, cache="other")
    assert viewer.get(f"{PATH}/{job.id}").status_code == 404
    assert viewer.get(f"{PATH}/999999").status_code == 404
