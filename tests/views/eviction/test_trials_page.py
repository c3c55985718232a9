"""Trials by their pages: started from a preview, seen on every screen of their cache, ended or kept."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from dashboard.jobs import trying
from dashboard.jobs.asking import Caller
from dashboard.settings import Settings
from dashboard.store import audit, samples, trials
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.samples import Sample
from dashboard.store.schema import TrialRow
from dashboard.store.trials import Trial
from tests.servers import Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client
from tests.views.settled import LFU, TRIALS, a_worker_lives, caches, fingerprint, give, limited, trial, tried, value

SCREENS = ("", "keys", "expiry", "memory", "eviction", "setting-changes", "invalidations", "jobs")


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


def _page(client: FlaskClient, number: int) -> str:
    return " ".join(client.get(f"{TRIALS}/{number}").text.split())


def _set(store: Store, number: int, **values: object) -> None:
    with store.write() as session:
        session.execute(update(TrialRow).where(TrialRow.id == number).values(**values))


class TestStarting:
    def test_it_is_put_on_and_its_page_says_until_when_and_what_takes_it_back(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        seen = fingerprint(admin)
        found = tried(admin, store, fingerprint=seen, evictions="5000", reason="scans")
        assert value(server) == "allkeys-lfu"
        assert found.ends_at == pytest.approx(found.started_at + 1800)
        assert (found.guards["hit_ratio_points"], found.guards["evictions"], found.guards["p99_ms"]) == (2, 5000, None)
        text = _page(admin, found.number)
        assert "Trial of policy allkeys-lfu" in text
        assert f'data-expires-at="{found.ends_at:.3f}"' in text
        assert "above 5 k/s" in text.replace("\u202f", " ")
        assert "Reason: scans" in text
        (entry,) = audit.search(store, Filters(action="settings.try"))
        assert (entry.actor, entry.status) == ("ada", "done")

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(self, role: Role, server: Server, app: Flask, store: Store) -> None:
        answer = post(signed_in_client(app, role), TRIALS, {**LFU, "for": "30m"})
        assert answer.status_code == 403
        assert value(server) == "allkeys-lru"
        assert trials.of_cache(store, "main") == []

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"for": "soon"}, "Write a time such as"),
            ({"for": ""}, "Write a time such as"),
            ({"for": "1s"}, "The time is between 10 s and 7 days."),
            ({"for": "8d"}, "The time is between 10 s and 7 days."),
            ({"hit_ratio_points": "few"}, "A limit is a number, or empty."),
            ({"hit_ratio_points": "-1"}, "A limit is a number from 0.1 to 100."),
            ({"evictions": "inf"}, "A limit is a number from"),
            ({"p99_ms": "nan"}, "A limit is a number from"),
        ],
    )
    def test_it_says_what_is_wrong_keeps_what_was_typed_and_starts_nothing(
        self, fields: dict[str, str], sentence: str, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        answer = post(admin, TRIALS, {**LFU, "for": "45m", "reason": "scans", **fields})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert 'value="scans"' in answer.text
        assert value(server) == "allkeys-lru"
        assert trials.of_cache(store, "main") == []

    def test_limits_that_are_left_empty_are_not_watched(self, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store, hit_ratio_points="", evictions=" ", p99_ms="")
        assert set(found.guards.values()) == {None}

    def test_production_wants_its_name_typed(self, server: Server, admin: FlaskClient) -> None:
        live = TRIALS.replace("main", "live")
        assert post(admin, live, {**LFU, "for": "30m"}).status_code == 400
        assert value(server) == "allkeys-lru"
        assert post(admin, live, {**LFU, "for": "30m", "typed": "live"}).status_code == 303

    def test_a_second_one_is_refused(self, server: Server, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        answer = post(admin, TRIALS, {"maxmemory-samples": "10", "for": "30m"})
        assert answer.status_code == 409
        assert "A trial is going on on main already. End it first." in answer.text
        assert value(server, "maxmemory-samples") == "5"

    def test_what_is_not_any_more_as_it_was_seen_is_not_tried(self, server: Server, admin: FlaskClient) -> None:
        seen = fingerprint(admin)
        give(server, "maxmemory-policy", "volatile-ttl")
        answer = post(admin, TRIALS, {**LFU, "for": "45m", "fingerprint": seen})
        assert answer.status_code == 409
        assert "not any more what was looked at" in answer.text
        assert 'value="45m"' in answer.text
        assert value(server) == "volatile-ttl"

    def test_where_the_server_refuses_it_says_so_and_nothing_is_left(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        denied = TRIALS.replace("main", "denied")
        fingerprint(admin, path="/caches/denied/setting-previews")  # what may be done is known for a while
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "-config|set")
        answer = post(admin, denied, {**LFU, "for": "30m"}, follow_redirects=True)
        assert "The trial was not started" in answer.text
        assert value(server) == "allkeys-lru"
        assert [one.state for one in trials.of_cache(store, "denied")] == ["failed"]


class TestEnding:
    def test_to_go_back_now_gives_what_was_there(self, server: Server, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store)
        answer = post(admin, f"{TRIALS}/{found.number}/end")
        assert answer.status_code == 303
        assert value(server) == "allkeys-lru"
        assert trial(store, found.number).state == "reverted"
        text = _page(admin, found.number)
        assert "Taken back by ada." in text
        assert "Go back now" not in text

    def test_to_keep_it_leaves_what_was_tried(self, server: Server, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store)
        post(admin, f"{TRIALS}/{found.number}/keep", {"reason": "better"})
        assert value(server) == "allkeys-lfu"
        assert trial(store, found.number).state == "kept"
        assert "Kept by ada: better" in _page(admin, found.number)

    @pytest.mark.parametrize("act", ["end", "keep"])
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(
        self, role: Role, act: str, server: Server, app: Flask, admin: FlaskClient, store: Store
    ) -> None:
        found = tried(admin, store)
        other = signed_in_client(app, role)
        assert post(other, f"{TRIALS}/{found.number}/{act}").status_code == 403
        assert trial(store, found.number).state == "running"
        assert value(server) == "allkeys-lfu"
        text = _page(other, found.number)
        assert "Trial of policy allkeys-lfu" in text
        assert "Go back now" not in text

    def test_on_production_to_keep_it_wants_the_name_and_to_go_back_does_not(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        live = TRIALS.replace("main", "live")
        post(admin, live, {**LFU, "for": "30m", "typed": "live"})
        (found,) = trials.of_cache(store, "live")
        assert post(admin, f"{live}/{found.number}/keep").status_code == 400
        assert trial(store, found.number).state == "running"
        assert post(admin, f"{live}/{found.number}/end").status_code == 303
        assert value(server) == "allkeys-lru"

    def test_what_has_ended_says_so_once_more(self, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store)
        post(admin, f"{TRIALS}/{found.number}/end")
        answer = post(admin, f"{TRIALS}/{found.number}/keep", follow_redirects=True)
        assert f"Trial {found.number} has ended" in answer.text
        assert trial(store, found.number).state == "reverted"

    def test_of_another_cache_there_is_no_such_trial(self, server: Server, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store)
        other = f"{TRIALS.replace('main', 'denied')}/{found.number}"
        assert admin.get(other).status_code == 404
        assert post(admin, f"{other}/end").status_code == 404
        assert post(admin, f"{other}/keep").status_code == 404
        assert value(server) == "allkeys-lfu"

    def test_while_the_server_is_gone_it_is_stuck_and_says_that_it_is_tried_again(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        found = tried(admin, store)
        a_worker_lives(store)
        server.stop()
        assert post(admin, f"{TRIALS}/{found.number}/end").status_code == 303
        assert trial(store, found.number).state == "stuck"
        text = _page(admin, found.number)
        assert "It could not be taken back everywhere yet. It is tried again and again." in text
        assert "has not taken it back yet" in text or "cannot be taken back yet" in text


class TestItsPage:
    @pytest.fixture
    def running(self, admin: FlaskClient, store: Store) -> Trial:
        """A trial with a minute of samples before and 20 s of it, in which the hit ratio rose."""
        now = time.time()
        _samples(store, now - 400, now, hits=80, misses=20)
        found = tried(admin, store, evictions="500")
        _samples(store, found.started_at, found.started_at + 20, hits=95, misses=5, since=now - 400)
        return found

    def test_it_shows_the_limits_beside_how_things_are(self, running: Trial, admin: FlaskClient) -> None:
        text = _page(admin, running.number).replace("\u202f", " ")
        assert "below 78" in text, "80 % before, and two points less"
        assert "above 500/s" in text

    def test_it_is_polled_while_it_is_open_and_not_afterwards(
        self, app: Flask, running: Trial, admin: FlaskClient
    ) -> None:
        address = f"{TRIALS}/{running.number}"
        fragment = admin.get(address, headers=by_htmx(admin))
        assert "<html" not in fragment.text
        assert 'hx-trigger="every 2s"' in fragment.text
        post(admin, f"{address}/end")
        assert "hx-trigger" not in admin.get(address, headers=by_htmx(admin)).text

    def test_what_happened_meanwhile_is_told_and_is_hostile(
        self, running: Trial, admin: FlaskClient, store: Store
    ) -> None:
        trials.note(store, running.number, ["<script>alert(1)</script> had lost the settings."])
        text = _page(admin, running.number)
        assert "<script>alert" not in text
        assert "had lost the settings." in text

    def test_limits_that_cannot_be_read_break_nothing(self, running: Trial, admin: FlaskClient, store: Store) -> None:
        _set(store, running.number, guards='{"of another version": 1}', baseline='{"x": 2}')
        assert admin.get(f"{TRIALS}/{running.number}").status_code == 200

    def test_at_its_end_it_compares_before_and_during(
        self, app: Flask, running: Trial, admin: FlaskClient, store: Store
    ) -> None:
        deck = deck_of(app)
        at = running.started_at + 21
        trying.finish(store, deck.settings, deck.caches["main"], running, "It was over.", Caller("w", "", "trial"), at)
        text = _page(admin, running.number)
        assert "Before and during" in text
        assert "Hit ratio" in text
        assert "It was over." in text


class TestTheBanner:
    @pytest.mark.parametrize("screen", SCREENS)
    def test_it_stands_on_every_screen_of_its_cache(
        self, screen: str, admin: FlaskClient, viewer: FlaskClient, store: Store
    ) -> None:
        found = tried(admin, store)
        a_worker_lives(store)
        text = " ".join(viewer.get(f"/caches/main/{screen}").text.split())
        assert "Trial of policy allkeys-lfu. It goes back by itself in" in text
        assert f'href="{TRIALS}/{found.number}"' in text

    def test_it_is_not_on_another_cache_and_not_on_screens_of_none(self, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        assert "Trial of policy" not in admin.get("/caches/live/").text
        assert "Trial of policy" not in admin.get("/audit").text

    def test_it_comes_and_goes_on_a_page_that_is_open(self, admin: FlaskClient, store: Store) -> None:
        strip = "/caches/main/jobs/strip"
        assert "banner-trial" not in admin.get(strip, headers=by_htmx(admin)).text
        found = tried(admin, store)
        assert "banner-trial" in admin.get(strip, headers=by_htmx(admin)).text
        post(admin, f"{TRIALS}/{found.number}/end")
        assert "banner-trial" not in admin.get(strip, headers=by_htmx(admin)).text

    def test_without_a_worker_it_says_that_nobody_watches(self, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        assert "No worker runs: nobody watches it" in admin.get("/caches/main/").text

    def test_it_says_when_it_is_overdue(self, admin: FlaskClient, store: Store) -> None:
        found = tried(admin, store)
        _set(store, found.number, ends_at=time.time() - 300)
        assert "Its time was over 5 min ago, and no worker runs to take it back." in _spaced(admin)
        a_worker_lives(store)
        assert "Its time was over 5 min ago: it is being taken back." in _spaced(admin)

    def test_a_trial_that_was_too_short_to_compare_says_so(self, admin: FlaskClient, store: Store) -> None:
        """Not that there were no samples: there may have been, but fewer than a comparison takes."""
        found = tried(admin, store)
        post(admin, f"{TRIALS}/{found.number}/end")
        text = " ".join(admin.get(f"{TRIALS}/{found.number}").text.split())
        assert "too little was sampled to compare" in text
        assert "there were no samples" not in text

    def test_it_needs_no_server(self, server: Server, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        server.stop()
        assert "Trial of policy allkeys-lfu" in admin.get("/caches/main/jobs").text


def _spaced(client: FlaskClient) -> str:
    return " ".join(client.get("/caches/main/").text.split()).replace("\u202f", " ")


def _samples(store: Store, start: float, end: float, *, hits: float, misses: float, since: float = 0.0) -> None:
    """One every two seconds, of a server with so many hits and misses per second."""
    at = start
    while at <= end:
        passed = at - (since or start)
        values = {
            "keyspace_hits": 1e6 + hits * passed,
            "keyspace_misses": 1e6 + misses * passed,
            "evicted_keys": 10 * passed,
            "total_commands_processed": 2e6 + 100 * passed,
            "used_memory": 1e6,
            "sampled_at": at,
            "uptime_in_seconds": at,
        }
        samples.save(store, [Sample(at, "main", "127.0.0.1:1", values)])
        at += 2
