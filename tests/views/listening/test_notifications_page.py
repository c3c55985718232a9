"""Keyspace notifications by their page: seen, switched on for a bounded time, taken back, refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit, samples, trials
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.samples import Sample
from dashboard.store.trials import Trial
from tests.servers import Cluster, Server
from tests.views.conftest import by_htmx, deck_of, post, signed_in_client
from tests.views.settled import a_worker_lives, caches, give, limited, value

PATH = "/caches/main/notifications"
SETTING = "notify-keyspace-events"
FORM = {"flags": ["E", "x"], "for": "15m", "reason": "to see what expires"}


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


def _text(client: FlaskClient, path: str = PATH) -> str:
    return " ".join(client.get(path).text.split()).replace("\u202f", " ")


def _on(store: Store, cache: str = "main") -> Trial:
    (found,) = trials.open_on(store, [cache])
    return found


class TestLooking:
    def test_a_viewer_sees_what_is_off_and_what_each_flag_means(self, viewer: FlaskClient) -> None:
        text = _text(viewer)
        assert "The server tells of nothing: notify-keyspace-events is off." in text
        assert "A key is removed because its TTL was over." in text
        assert "Only an administrator switches it on." in text
        assert "<form" not in text.partition("<main")[2]

    def test_it_says_what_is_on(self, server: Server, viewer: FlaskClient) -> None:
        give(server, SETTING, "Exe")
        assert "The server tells of expired keys, evicted keys (by event)" in _text(viewer)

    def test_flags_that_tell_nothing_by_themselves_are_said_to(self, server: Server, viewer: FlaskClient) -> None:
        give(server, SETTING, "xe")
        assert "The server tells of nothing: notify-keyspace-events is xe, which lacks K and E." in _text(viewer)

    def test_a_server_that_lacks_a_flag_is_named_beside_it(self, admin: FlaskClient) -> None:
        assert "Valkey 9" in _text(admin)
        assert "does not know it" in _text(admin)

    def test_other_screens_can_say_what_to_tick(self, admin: FlaskClient) -> None:
        page = admin.get(f"{PATH}?flags=Ex").text
        ticked = [line for line in page.splitlines() if 'type="checkbox" name="flags"' in line and " checked" in line]
        assert [line.partition('value="')[2][0] for line in ticked] == ["E", "x"]

    def test_what_is_no_flag_is_refused(self, admin: FlaskClient) -> None:
        assert admin.get(f"{PATH}?flags=<script>").status_code == 400
        assert post(admin, PATH, {**FORM, "flags": "?"}).status_code == 400

    def test_what_ticks_would_cost_is_told_by_the_rates_of_now(self, admin: FlaskClient, store: Store) -> None:
        at = time.time() - 200
        for past in range(0, 200, 2):
            counters = {"expired_keys": 10.0 * past, "evicted_keys": 0.0, "keyspace_misses": 500.0 * past}
            gauges = {"sampled_at": at + past, "uptime_in_seconds": 1e5 + past, "keys": 10.0}
            samples.save(store, [Sample(at + past, "main", "127.0.0.1:1", {**counters, **gauges})])
        answer = admin.get(f"{PATH}?flags=E&flags=x&flags=m", headers=by_htmx(admin)).text.replace("\u202f", " ")
        assert "510 events/s (49.8 kB/s), about 0.1 % of one core" in answer
        assert "<html" not in answer
        page = _text(admin, f"{PATH}?flags=KExm")
        assert "1 k events/s" in page, "by key and by event is twice"

    def test_a_server_that_is_down_leaves_the_page_standing(self, server: Server, admin: FlaskClient) -> None:
        server.stop()
        answer = admin.get(PATH)
        assert answer.status_code == 200
        assert "cannot be reached" in answer.text

    def test_a_read_only_cache_says_so_and_is_offered_nothing(self, admin: FlaskClient) -> None:
        text = _text(admin, PATH.replace("main", "seen"))
        assert "seen is declared read-only here." in text
        assert "Remove read_only from its URL" in text
        assert "Switch on at" not in text
        assert post(admin, PATH.replace("main", "seen"), FORM).status_code == 409

    @pytest.mark.parametrize("right", ["-config|set", "-config|get"])
    def test_without_rights_it_says_what_to_do(self, right: str, server: Server, admin: FlaskClient) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", right)
        text = _text(admin, PATH.replace("main", "denied"))
        assert "CONFIG" in text
        assert "parameter group of Amazon ElastiCache" in text
        assert "Switch on at" not in text

    def test_where_config_is_renamed_it_says_so(
        self, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        with limited("--rename-command", "CONFIG", "") as renamed:
            app = make_app(caches(settings, renamed))
            text = _text(signed_in_client(app, Role.ADMIN))
        assert "main knows no CONFIG SET: it was renamed or taken out." in text
        assert "Switch on at" not in text


class TestSwitchingOn:
    def test_they_are_on_for_the_time_and_it_is_audited(self, server: Server, admin: FlaskClient, store: Store) -> None:
        a_worker_lives(store)
        answer = post(admin, PATH, FORM)
        assert answer.status_code == 303
        assert set(value(server, SETTING)) == set("Ex")
        found = _on(store)
        assert (found.purpose, found.seconds, found.reason) == ("notifications", 900, "to see what expires")
        (entry,) = audit.search(store, Filters(action="events.on"))
        assert (entry.actor, entry.status, entry.reason) == ("ada", "done", "to see what expires")
        text = _text(admin)
        assert 'Switched on: <span class="mono">Ex</span>' in text
        assert "Go back now" in text
        assert "Switch on at" not in text, "one at a time"

    def test_it_is_on_top_of_every_screen_and_taken_back_by_one_press(
        self, server: Server, admin: FlaskClient, viewer: FlaskClient, store: Store
    ) -> None:
        give(server, SETTING, "Kg")
        a_worker_lives(store)
        post(admin, PATH, FORM)
        for screen in ("", "keys", "jobs", "notifications"):
            assert "Keyspace notifications are on (EKgx). It goes back by itself in" in _text(
                viewer, f"/caches/main/{screen}"
            )
        found = _on(store)
        assert "Notifications" in _text(admin, f"/caches/main/trials/{found.number}")
        assert post(admin, f"/caches/main/trials/{found.number}/end").status_code == 303
        assert set(value(server, SETTING)) == set("Kg")
        assert trials.open_on(store, ["main"]) == []
        assert audit.search(store, Filters(action="events.off"))
        assert "Switched on before" in _text(viewer)
        history = _text(viewer, "/caches/main/setting-changes")
        assert "Notifications, on" in history
        assert "Notifications, off" in history
        assert f"/caches/main/trials/{found.number}" in history

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(self, role: Role, server: Server, app: Flask, store: Store) -> None:
        assert post(signed_in_client(app, role), PATH, FORM).status_code == 403
        assert value(server, SETTING) == ""
        assert trials.open_on(store, ["main"]) == []

    def test_it_refuses_who_sends_no_token(self, server: Server, admin: FlaskClient) -> None:
        assert admin.post(PATH, data=FORM).status_code == 400
        assert value(server, SETTING) == ""

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"flags": []}, "Tick what is to be told."),
            ({"flags": ["x"]}, "Nothing would be told: tick E (by event) or K (by key), too."),
            ({"flags": ["E"]}, "Nothing would be told: tick at least one class of events, too."),
            ({"for": "4m"}, "A time between 5 min and 24 h"),
            ({"for": "25h"}, "A time between 5 min and 24 h"),
            ({"for": "soon"}, "A time between 5 min and 24 h"),
        ],
    )
    def test_it_says_what_is_wrong_keeps_what_was_typed_and_changes_nothing(
        self, fields: dict[str, object], sentence: str, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        answer = post(admin, PATH, {**FORM, **fields})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert 'value="to see what expires"' in answer.text
        assert value(server, SETTING) == ""
        assert trials.open_on(store, ["main"]) == []

    def test_a_class_is_enough_where_a_channel_is_on(self, server: Server, admin: FlaskClient) -> None:
        give(server, SETTING, "Eg")
        assert post(admin, PATH, {**FORM, "flags": ["x"]}).status_code == 303
        assert set(value(server, SETTING)) == set("Egx")

    def test_what_is_on_already_changes_nothing(self, server: Server, admin: FlaskClient, store: Store) -> None:
        give(server, SETTING, "AE")
        answer = post(admin, PATH, FORM, follow_redirects=True)
        assert "These are on already, on every primary: nothing was changed." in answer.text
        assert trials.open_on(store, ["main"]) == []

    def test_production_wants_its_name_typed(self, server: Server, admin: FlaskClient) -> None:
        live = PATH.replace("main", "live")
        assert post(admin, live, FORM).status_code == 400
        assert value(server, SETTING) == ""
        assert post(admin, live, {**FORM, "typed": "live"}).status_code == 303
        assert set(value(server, SETTING)) == set("Ex")

    def test_a_flag_that_the_server_does_not_know_leaves_nothing_on(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        answer = post(admin, PATH, {**FORM, "flags": ["E", "x", "o"]})
        assert answer.status_code == 409
        assert "The trial was not started" in answer.text
        assert value(server, SETTING) == ""
        assert trials.open_on(store, ["main"]) == []

    def test_a_second_one_is_told_whose_the_first_is(self, server: Server, admin: FlaskClient, store: Store) -> None:
        post(admin, PATH, FORM)
        answer = post(admin, PATH, {**FORM, "flags": ["E", "m"]})
        assert answer.status_code == 409
        assert "switched on by ada" in answer.text
        assert set(value(server, SETTING)) == set("Ex")
        assert len(trials.open_on(store, ["main"])) == 1

    def test_of_two_admins_at_once_one_has_his_way(self, server: Server, app: Flask, store: Store) -> None:
        clients = [signed_in_client(app, Role.ADMIN) for _ in range(2)]
        together = threading.Barrier(2)
        found: list[int] = []

        def press(client: FlaskClient, flags: list[str]) -> None:
            together.wait()
            found.append(post(client, PATH, {**FORM, "flags": flags}).status_code)

        wanted = [["E", "x"], ["K", "m"]]
        threads = [threading.Thread(target=press, args=pair) for pair in zip(clients, wanted, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [303, 409]
        assert set(value(server, SETTING)) == set(_on(store).wanted[SETTING])
        assert value(server, SETTING) in {"xE", "Km", "mK", "Ex"}

    def test_a_reason_is_text(self, admin: FlaskClient) -> None:
        post(admin, PATH, {**FORM, "reason": "<img src=x onerror=alert(1)>"})
        assert "<img src=x" not in admin.get(PATH).text


class TestOfACluster:
    @pytest.fixture
    def settings(self, settings: Settings, cluster: Cluster) -> Iterator[Settings]:
        yield settings.model_copy(update={"caches": Settings(caches=f"main={cluster.url}").caches})  # type: ignore[arg-type]
        for server in cluster.servers:
            give(server, SETTING, "")

    def test_primaries_that_differ_are_each_named_and_get_back_their_own(
        self, cluster: Cluster, app: Flask, admin: FlaskClient, store: Store
    ) -> None:
        for server, flags in zip(cluster.servers, ("Ex", "", ""), strict=True):
            give(server, SETTING, flags)
        text = _text(admin)
        assert "The primaries differ: 127.0.0.1:" in text
        assert "2 primaries tell of nothing" in text
        assert "1 of 3" in text
        assert post(admin, PATH, {**FORM, "flags": ["E", "e"]}).status_code == 303
        assert [set(value(server, SETTING)) for server in cluster.servers] == [set("Exe")] * 3
        post(admin, f"/caches/main/trials/{_on(store).number}/end")
        assert [set(value(server, SETTING)) for server in cluster.servers] == [set("Ex"), set(), set()]
        assert deck_of(app).caches["main"].primaries()
