"""Changes of settings by their pages: made as they were looked at, by admins only, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit, setting_changes
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.servers import Cluster, Server, start
from tests.views.conftest import post, signed_in_client
from tests.views.settled import CHANGES, LFU, caches, change_at, changed, fingerprint, give, limited, tried, value


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


class TestMaking:
    def test_what_was_seen_is_set_read_back_and_stands_on_its_page(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        seen = fingerprint(admin)
        change = change_at(store, post(admin, CHANGES, {**LFU, "fingerprint": seen, "reason": "scans"}))
        assert value(server) == "allkeys-lfu"
        assert (change.state, change.kind, change.reason, change.actor) == ("applied", "change", "scans", "ada")
        text = admin.get(f"{CHANGES}/{change.number}").text
        assert "It was set, and was read back." in " ".join(text.split())
        assert "allkeys-lru" in text
        assert "Reason: scans" in text

    def test_it_is_in_the_audit_trail_in_the_operators_name(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        changed(admin, store)
        (entry,) = audit.search(store, Filters(action="settings.change"))
        assert (entry.actor, entry.cache, entry.status) == ("ada", "main", "done")
        assert "maxmemory-policy=allkeys-lfu" in entry.subject

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(self, role: Role, server: Server, app: Flask, store: Store) -> None:
        answer = post(signed_in_client(app, role), CHANGES, LFU)
        assert answer.status_code == 403
        assert value(server) == "allkeys-lru"
        assert setting_changes.of_cache(store, "main") == []

    def test_without_a_token_nothing_is_changed(self, server: Server, admin: FlaskClient) -> None:
        assert admin.post(CHANGES, data=LFU).status_code == 400
        assert value(server) == "allkeys-lru"

    def test_what_somebody_has_changed_meanwhile_is_shown_anew_and_nothing_is_done(
        self, server: Server, admin: FlaskClient
    ) -> None:
        seen = fingerprint(admin)
        give(server, "maxmemory-policy", "volatile-ttl")
        answer = post(admin, CHANGES, {**LFU, "fingerprint": seen, "reason": "scans"})
        assert answer.status_code == 409
        assert "not any more what was looked at" in answer.text
        assert "volatile-ttl" in answer.text
        assert 'value="scans"' in answer.text, "what was typed is kept"
        assert value(server) == "volatile-ttl"

    def test_what_would_evict_has_to_be_confirmed(self, server: Server, admin: FlaskClient, store: Store) -> None:
        with server.client() as client:
            pipe = client.pipeline(transaction=False)
            for number in range(5000):
                pipe.set(f"key:{number}", "v" * 2000)
            pipe.execute()
        answer = post(admin, CHANGES, {"maxmemory": "4mb"})
        assert answer.status_code == 422
        assert "do it all the same" in answer.text
        assert value(server, "maxmemory") == str(64 * 1024**2)
        change = change_at(store, post(admin, CHANGES, {"maxmemory": "4mb", "confirmed": "yes"}))
        assert change.state == "applied"
        assert value(server, "maxmemory") == str(4 * 1024**2)

    @pytest.mark.parametrize(
        ("name", "text", "sentence"),
        [
            ("maxmemory", "-1", "maxmemory is bytes such as"),
            ("maxmemory", "10eb", "maxmemory is bytes such as"),
            ("maxmemory", "101%", "at most 100%"),
            ("maxmemory-policy", "allkeys-best", "knows no policy"),
            ("maxmemory-policy", "<script>alert(1)</script>", "knows no policy"),
            ("maxmemory-samples", "0", "whole number from 1 to 64"),
            ("lazyfree-lazy-expire", "maybe", "is yes or no"),
        ],
    )
    def test_what_makes_no_sense_leads_back_to_the_form_with_what_was_typed(
        self, name: str, text: str, sentence: str, server: Server, admin: FlaskClient
    ) -> None:
        before = value(server, name)
        answer = post(admin, CHANGES, {name: text})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert "<script>alert" not in answer.text
        if not name.endswith("policy") and not name.startswith("lazyfree"):
            assert f'value="{text}"' in answer.text
        assert value(server, name) == before

    def test_what_is_set_already_is_said_and_not_kept(self, admin: FlaskClient, store: Store) -> None:
        answer = post(admin, CHANGES, {"maxmemory-policy": "allkeys-lru"}, follow_redirects=True)
        assert "has maxmemory-policy=allkeys-lru already" in answer.text
        assert setting_changes.of_cache(store, "main") == []

    def test_only_settings_of_the_editor_are_changed(self, server: Server, admin: FlaskClient, store: Store) -> None:
        change = changed(
            admin, store, **{"maxmemory-policy": "allkeys-lfu", "notify-keyspace-events": "KEA", "dir": "/"}
        )
        assert dict(change.wanted) == LFU
        assert value(server, "notify-keyspace-events") == ""

    def test_production_wants_its_name_typed(self, server: Server, admin: FlaskClient, store: Store) -> None:
        live = CHANGES.replace("main", "live")
        answer = post(admin, live, LFU)
        assert answer.status_code == 400
        assert "type its name to change its settings" in answer.text
        assert value(server) == "allkeys-lru"
        assert change_at(store, post(admin, live, {**LFU, "typed": "live"})).state == "applied"

    def test_a_read_only_cache_refuses(self, server: Server, admin: FlaskClient) -> None:
        answer = post(admin, CHANGES.replace("main", "seen"), LFU)
        assert answer.status_code == 409
        assert "declared read-only" in answer.text
        assert value(server) == "allkeys-lru"

    def test_where_config_is_denied_it_says_how_it_is_changed_instead(self, server: Server, admin: FlaskClient) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "-config")
        answer = post(admin, CHANGES.replace("main", "denied"), LFU)
        assert answer.status_code == 409
        assert "may not run CONFIG SET" in answer.text
        assert "parameter group" in answer.text

    def test_settings_that_a_trial_holds_are_left(self, server: Server, admin: FlaskClient, store: Store) -> None:
        tried(admin, store)
        answer = post(admin, CHANGES, {"maxmemory-policy": "volatile-lru"})
        assert answer.status_code == 409
        assert "End it first" in answer.text
        assert value(server) == "allkeys-lfu"


class TestTakingBack:
    def test_a_rollback_gives_what_was_there_and_says_of_what_it_is(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        change = changed(admin, store)
        back = change_at(store, post(admin, f"{CHANGES}/{change.number}/rollback", {"reason": "worse"}))
        assert value(server) == "allkeys-lru"
        assert (back.kind, back.takes_back, back.state) == ("rollback", change.number, "applied")
        assert f"change {change.number}" in admin.get(f"{CHANGES}/{back.number}").text

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(
        self, role: Role, server: Server, app: Flask, admin: FlaskClient, store: Store
    ) -> None:
        change = changed(admin, store)
        other = signed_in_client(app, role)
        assert post(other, f"{CHANGES}/{change.number}/rollback").status_code == 403
        assert value(server) == "allkeys-lfu"
        text = other.get(f"{CHANGES}/{change.number}").text
        assert "It was set, and was read back." in " ".join(text.split())
        assert "Roll back" not in text

    def test_of_another_cache_there_is_no_such_change(self, server: Server, admin: FlaskClient, store: Store) -> None:
        change = changed(admin, store)
        other = f"{CHANGES.replace('main', 'denied')}/{change.number}"
        assert admin.get(other).status_code == 404
        assert post(admin, f"{other}/rollback").status_code == 404
        assert value(server) == "allkeys-lfu"

    @pytest.mark.parametrize("number", ["0", "999", "9" * 30])
    def test_a_number_that_never_was_is_not_found(self, number: str, admin: FlaskClient) -> None:
        assert admin.get(f"{CHANGES}/{number}").status_code == 404

    def test_taken_back_twice_there_is_nothing_left_to_take_back(self, admin: FlaskClient, store: Store) -> None:
        change = changed(admin, store)
        post(admin, f"{CHANGES}/{change.number}/rollback")
        answer = post(admin, f"{CHANGES}/{change.number}/rollback")
        assert answer.status_code == 409
        assert "has any of change" in answer.text

    def test_production_wants_its_name_typed(self, server: Server, admin: FlaskClient, store: Store) -> None:
        live = CHANGES.replace("main", "live")
        change = change_at(store, post(admin, live, {**LFU, "typed": "live"}))
        assert post(admin, f"{live}/{change.number}/rollback").status_code == 400
        assert value(server) == "allkeys-lfu"
        assert post(admin, f"{live}/{change.number}/rollback", {"typed": "live"}).status_code == 303
        assert value(server) == "allkeys-lru"


class TestHistory:
    def test_it_begins_with_the_newest_and_leads_back_to_any_earlier_state(
        self, server: Server, admin: FlaskClient, store: Store
    ) -> None:
        first = changed(admin, store)
        second = changed(admin, store, maxmemory="32mb")
        text = admin.get(CHANGES).text
        assert text.index(f"{CHANGES}/{second.number}") < text.index(f"{CHANGES}/{first.number}")
        assert "policy allkeys-lru → allkeys-lfu" in text
        preview = admin.get(f"/caches/main/setting-previews?returns_to={first.number}", follow_redirects=True)
        assert "allkeys-lru" in preview.text
        assert "64\u202fMB" in preview.text
        wanted = {"maxmemory-policy": "allkeys-lru", "maxmemory": "64mb", "returns_to": str(first.number)}
        back = change_at(store, post(admin, CHANGES, wanted))
        assert (back.kind, back.takes_back) == ("return", first.number)
        assert (value(server), value(server, "maxmemory")) == ("allkeys-lru", str(64 * 1024**2))

    def test_trials_stand_among_the_changes(self, admin: FlaskClient, store: Store) -> None:
        trial = tried(admin, store)
        text = admin.get(CHANGES).text
        assert f"/caches/main/trials/{trial.number}" in text
        assert "Trial, begun" in text

    def test_a_viewer_reads_it_and_is_offered_no_return(
        self, admin: FlaskClient, viewer: FlaskClient, store: Store
    ) -> None:
        changed(admin, store)
        text = viewer.get(CHANGES).text
        assert "policy allkeys-lru → allkeys-lfu" in text
        assert "Return to before" not in text

    def test_it_goes_on_where_a_page_ends(
        self, admin: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dashboard.views.eviction.setting_changes.PAGE", 2)
        made = [changed(admin, store, maxmemory=f"{size}mb").number for size in (60, 61, 62)]
        text = admin.get(CHANGES).text
        assert f"{CHANGES}/{made[0]}" not in text
        older = admin.get(f"{CHANGES}?before={made[1]}").text
        assert f"{CHANGES}/{made[0]}" in older
        assert f"before={made[1]}" in text

    @pytest.mark.parametrize("number", ["-1", "0", "x", "9223372036854775808", "9" * 30])
    def test_from_a_number_that_no_change_can_have_it_begins_with_the_newest(
        self, number: str, admin: FlaskClient, store: Store
    ) -> None:
        made = changed(admin, store)
        assert f"{CHANGES}/{made.number}" in admin.get(f"{CHANGES}?before={number}").text

    def test_before_the_first_change_it_says_what_will_stand_here(self, viewer: FlaskClient) -> None:
        assert "Nothing was changed from here yet" in viewer.get(CHANGES).text

    def test_it_is_there_while_the_server_is_not(self, server: Server, admin: FlaskClient, store: Store) -> None:
        change = changed(admin, store)
        server.stop()
        assert "policy allkeys-lru → allkeys-lfu" in admin.get(CHANGES).text
        answer = admin.get(f"{CHANGES}/{change.number}")
        assert answer.status_code == 200
        assert "cannot be told now" in answer.text


class TestNodes:
    @pytest.fixture
    def partly(
        self, cluster: Cluster, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> Iterator[FlaskClient]:
        """Three primaries, of which the second takes no settings from us."""
        for server in cluster.servers:
            with server.client() as client:
                client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all")
        second = sorted(cluster.servers, key=lambda server: str(server.port))[1]
        url = f"main=redis+cluster://bob:pw@127.0.0.1:{cluster.servers[0].port}"
        app = make_app(settings.model_copy(update={"caches": Settings(caches=url).caches}))  # type: ignore[arg-type]
        client = signed_in_client(app, Role.ADMIN)
        assert fingerprint(client)
        with second.client() as there:
            there.execute_command("ACL", "SETUSER", "bob", "-config|set")
        yield client
        for server in cluster.servers:
            give(server, "maxmemory-policy", "noeviction")
            with server.client() as there:
                there.execute_command("ACL", "DELUSER", "bob")

    def test_where_one_of_three_refuses_its_page_says_which_and_offers_to_roll_back(
        self, partly: FlaskClient, cluster: Cluster
    ) -> None:
        answer = post(partly, CHANGES, LFU)
        assert answer.status_code == 303, answer.text
        text = partly.get(answer.location).text
        assert "A part of the nodes has it" in text
        assert "refused" in text
        assert "CONFIG SET" in text
        assert "Roll back" in text
        policies = [value(server) for server in cluster.servers]
        assert "allkeys-lfu" in policies, policies
        assert "noeviction" in policies
        back = post(partly, f"{answer.location}/rollback")
        assert back.status_code == 303, back.text
        assert {value(server) for server in cluster.servers} == {"noeviction"}


class TestKeeping:
    PATH = "/caches/kept/persistences"

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        found = tmp_path / "kept.conf"
        found.write_text("maxmemory 64mb\nmaxmemory-policy allkeys-lru\n")
        return found

    @pytest.fixture
    def kept(
        self, file: Path, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> Iterator[tuple[Flask, Server]]:
        """A server that has a configuration file."""
        server = start(config=file)
        try:
            urls = f"kept={server.url} bare={server.url}?environment=production"
            told = Settings(caches=urls).caches  # type: ignore[arg-type]
            yield make_app(settings.model_copy(update={"caches": told})), server
        finally:
            server.stop()

    def test_a_change_is_not_in_the_file_until_somebody_asks_for_it(
        self, kept: tuple[Flask, Server], file: Path
    ) -> None:
        app, _ = kept
        admin = signed_in_client(app, Role.ADMIN)
        page = post(admin, "/caches/kept/setting-changes", LFU).location
        assert "allkeys-lfu" not in file.read_text()
        assert "Not in the configuration file" in admin.get(page).text
        answer = post(admin, self.PATH, {"next": page}, follow_redirects=True)
        assert "Written into the configuration file of" in answer.text
        assert "maxmemory-policy allkeys-lfu" in file.read_text()
        assert "Not in the configuration file" not in answer.text
        assert "Written into the configuration files" in answer.text

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_refuses_who_is_no_admin(self, role: Role, kept: tuple[Flask, Server], file: Path) -> None:
        app, server = kept
        give(server, "maxmemory-policy", "allkeys-lfu")
        assert post(signed_in_client(app, role), self.PATH).status_code == 403
        assert "allkeys-lfu" not in file.read_text()

    def test_production_wants_its_name_typed(self, kept: tuple[Flask, Server], file: Path) -> None:
        app, server = kept
        admin = signed_in_client(app, Role.ADMIN)
        give(server, "maxmemory-policy", "allkeys-lfu")
        assert post(admin, self.PATH.replace("kept", "bare")).status_code == 400
        assert "allkeys-lfu" not in file.read_text()
        assert post(admin, self.PATH.replace("kept", "bare"), {"typed": "bare"}).status_code == 303
        assert "allkeys-lfu" in file.read_text()

    def test_a_server_without_a_file_says_so(self, admin: FlaskClient) -> None:
        answer = post(admin, "/caches/main/persistences", follow_redirects=True)
        assert "has not written its file" in answer.text

    def test_it_leads_to_no_other_site(self, admin: FlaskClient) -> None:
        answer = post(admin, "/caches/main/persistences", {"next": "https://example.com/"})
        assert answer.location == "/caches/main/eviction"
