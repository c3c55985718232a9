"""The preview of a change: what the form has touched, where it would go, and nothing done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import setting_changes
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.setting_changes import Asked, NodeChange
from tests.servers import Cluster, Server, start_cluster, start_cluster_replicas
from tests.views.conftest import signed_in_client
from tests.views.settled import PREVIEW, a_worker_lives, caches, changed, give, limited, tried, value


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


def _asked(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))


class TestTheFormsAddress:
    def test_it_names_only_what_was_touched(self, admin: FlaskClient) -> None:
        sent = {
            "had.maxmemory-policy": "allkeys-lru",
            "maxmemory-policy": "allkeys-lfu",
            "had.maxmemory": "64mb",
            "maxmemory": "64mb",
            "had.maxmemory-samples": "5",
            "maxmemory-samples": "",
            "act": "try",
        }
        answer = admin.get(PREVIEW, query_string=sent)
        assert answer.status_code == 303
        assert _asked(answer.location) == {"maxmemory-policy": "allkeys-lfu", "act": "try"}

    def test_replicas_are_named_where_they_were_ticked(self, admin: FlaskClient) -> None:
        sent = {"had.maxmemory": "64mb", "maxmemory": "32mb", "replicas": "1"}
        assert _asked(admin.get(PREVIEW, query_string=sent).location) == {"maxmemory": "32mb", "replicas": "1"}

    def test_a_form_in_which_nothing_was_touched_leads_back_to_it(self, admin: FlaskClient) -> None:
        answer = admin.get(PREVIEW, query_string={"had.maxmemory": "64mb", "maxmemory": "64mb"}, follow_redirects=True)
        assert "Nothing was changed in the form." in answer.text
        assert answer.request.path == "/caches/main/eviction"


class TestThePreview:
    def test_it_says_what_goes_from_what_to_what_and_changes_nothing(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        text = admin.get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu&maxmemory=80mb").text
        assert "Nothing has been changed yet." in text
        for told in ("allkeys-lru", "allkeys-lfu", "64\u202fMB", "80\u202fMB", f"127.0.0.1:{server.port}"):
            assert told in text
        assert value(server) == "allkeys-lru"
        assert setting_changes.of_cache(store, "main") == []

    def test_it_offers_limits_that_fit_to_how_things_are(self, admin: FlaskClient) -> None:
        text = admin.get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu").text
        assert 'value="30m"' in text
        assert 'name="hit_ratio_points" value="2"' in text
        assert 'name="evictions" value="100"' in text
        assert "This server does not tell latencies." in text, "p99 is told by samples only, and there are none"

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_who_is_no_admin_sees_it_and_no_button(self, role: Role, app: Flask) -> None:
        text = signed_in_client(app, role).get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu").text
        assert "allkeys-lfu" in text
        assert "Only an administrator changes settings." in text
        assert 'action="/caches/main/setting-changes"' not in text
        assert "Start the trial" not in text

    def test_a_typed_value_that_cannot_be_meant_leads_back_to_the_form(self, admin: FlaskClient) -> None:
        answer = admin.get(f"{PREVIEW}?maxmemory=-1")
        assert answer.status_code == 422
        assert "maxmemory is bytes such as 2gb, 512mb or 75%" in answer.text
        assert 'value="-1"' in answer.text
        assert "Nothing was changed." in answer.text

    def test_what_is_there_already_is_said(self, admin: FlaskClient) -> None:
        answer = admin.get(f"{PREVIEW}?maxmemory=64mb", follow_redirects=True)
        assert "already, on every node" in answer.text

    def test_it_says_where_no_worker_would_take_a_trial_back(self, admin: FlaskClient, store: Store) -> None:
        address = f"{PREVIEW}?maxmemory-policy=allkeys-lfu"
        assert "No worker runs." in admin.get(address).text
        a_worker_lives(store)
        assert "No worker runs." not in admin.get(address).text

    def test_production_asks_for_its_name(self, admin: FlaskClient) -> None:
        text = admin.get(f"{PREVIEW.replace('main', 'live')}?maxmemory-policy=allkeys-lfu").text
        assert text.count("Type live to go on") == 2, "to apply it, and to try it"

    def test_settings_that_are_tried_are_not_previewed(self, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        answer = admin.get(f"{PREVIEW}?maxmemory-policy=volatile-lru")
        assert answer.status_code == 409
        assert "End it first" in answer.text

    def test_a_read_only_cache_says_that_it_is(self, admin: FlaskClient) -> None:
        answer = admin.get(f"{PREVIEW.replace('main', 'seen')}?maxmemory-policy=allkeys-lfu")
        assert answer.status_code == 409
        assert "declared read-only" in answer.text

    def test_a_server_that_is_gone_is_a_problem(self, server: Server, admin: FlaskClient) -> None:
        server.stop()
        answer = admin.get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu")
        assert answer.status_code in (409, 503)
        assert "cannot be reached" in answer.text


class TestAReturn:
    def test_it_is_to_everything_as_it_was_before_that_change(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        first = changed(admin, store)
        changed(admin, store, maxmemory="32mb")
        give(server, "maxmemory-samples", "7")
        answer = admin.get(f"{PREVIEW}?returns_to={first.number}")
        assert _asked(answer.location) == {
            "maxmemory-policy": "allkeys-lru",
            "maxmemory": str(64 * 1024**2),
            "returns_to": str(first.number),
        }
        text = admin.get(answer.location).text
        assert "Preview of a return" in text
        assert "Start the trial" not in text

    def test_to_before_a_change_of_another_cache_there_is_none(self, admin: FlaskClient, store: Store) -> None:
        first = changed(admin, store)
        assert admin.get(f"{PREVIEW.replace('main', 'live')}?returns_to={first.number}").status_code == 404

    @pytest.mark.parametrize("number", ["0", "x", "-1", "1e3", "9" * 40])
    def test_to_before_what_never_was_there_is_none(self, number: str, admin: FlaskClient) -> None:
        assert admin.get(f"{PREVIEW}?returns_to={number}", follow_redirects=True).status_code in (200, 404)

    def test_to_before_a_measurement_there_is_nothing_that_the_form_could_change(
        self, admin: FlaskClient, store: Store
    ) -> None:
        on = {"notify-keyspace-events": "Eem"}
        node = NodeChange("one:1", "one:1", {"notify-keyspace-events": ""}, on, "applied")
        made = setting_changes.begin(store, "main", "events", on, [node], Asked("ada", ""))
        answer = admin.get(f"{PREVIEW}?returns_to={made.number}")
        assert (answer.status_code, answer.location) == (303, "/caches/main/eviction")


class TestReplicas:
    @pytest.fixture
    def doubled(self) -> Iterator[Cluster]:
        """Three primaries with a replica each."""
        with ExitStack() as stack:
            found = start_cluster()
            stack.callback(found.stop)
            for replica in start_cluster_replicas(found):
                stack.callback(replica.stop)
            yield found

    @pytest.fixture
    def shards(self, doubled: Cluster, settings: Settings, make_app: Callable[[Settings], Flask]) -> FlaskClient:
        told = Settings(caches=f"main={doubled.url}").caches  # type: ignore[arg-type]
        return signed_in_client(make_app(settings.model_copy(update={"caches": told})), Role.ADMIN)

    def test_they_are_left_unless_they_are_asked_for_and_that_is_said(self, shards: FlaskClient) -> None:
        text = shards.get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu").text
        assert "Change the 3 replicas too" in text
        assert "on 3 primaries." in text
        assert "on 3 primaries and 3 replicas." in shards.get(f"{PREVIEW}?maxmemory-policy=allkeys-lfu&replicas=1").text
