"""The Eviction screen: pressure, policies and settings; for who may change them, and where nobody can."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.cache.servers.setting import SETTINGS
from dashboard.settings import Settings
from dashboard.store.operators import Role
from tests.servers import Cluster, Server, running, start
from tests.views.conftest import by_htmx, signed_in_client
from tests.views.settled import caches, give, limited

PATH = "/caches/main/eviction"
FORM = 'action="/caches/main/setting-previews"'


@pytest.fixture
def server() -> Iterator[Server]:
    with limited() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: Server) -> Settings:
    return caches(settings, server)


def _of(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"caches": Settings(caches=url).caches})  # type: ignore[arg-type]


def _fields(text: str) -> dict[str, str]:
    """What the form's fields are filled with."""
    return dict(re.findall(r'name="had\.([a-z-]+)" value="([^"]*)"', text))


class TestTheForm:
    def test_it_has_every_setting_that_the_server_has_with_its_value(self, server: Server, admin: FlaskClient) -> None:
        fields = _fields(admin.get(PATH).text)
        with server.client(decode_responses=True) as client:
            has = {one.name for one in SETTINGS if one.editable and client.config_get(one.name)}
        assert set(fields) == has
        assert (fields["maxmemory"], fields["maxmemory-policy"]) == ("64mb", "allkeys-lru")

    def test_it_lists_the_policies_of_the_server_itself(self, server: Server, admin: FlaskClient) -> None:
        text = admin.get(PATH).text
        listed = re.findall(r'name="maxmemory-policy" value="([a-z-]+)"', text)
        with server.client() as client:
            for policy in listed:
                client.config_set("maxmemory-policy", policy)
        assert len(listed) >= 8
        assert re.search(r'value="allkeys-lru" checked', text)

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_who_is_no_admin_sees_the_values_and_no_form(self, role: Role, app: Flask) -> None:
        text = signed_in_client(app, role).get(PATH).text
        assert FORM not in text
        assert "Only an administrator changes settings." in text
        assert "64\u202fMB" in text
        assert "allkeys-lru" in text

    def test_a_servers_refusal_to_know_a_setting_leaves_it_out(self, app: Flask, server: Server) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all")
        assert "lfu-log-factor" in _fields(signed_in_client(app, Role.ADMIN).get("/caches/denied/eviction").text)


class TestWhereNothingCanBeChanged:
    def test_a_read_only_cache_shows_its_values_and_says_why(self, admin: FlaskClient) -> None:
        text = admin.get("/caches/seen/eviction").text
        assert "declared read-only" in text
        assert "Remove read_only from its URL" in text
        assert "64\u202fMB" in text
        assert "setting-previews" not in text

    def test_where_config_is_denied_it_shows_what_info_tells_and_how_it_is_changed_there(
        self, server: Server, admin: FlaskClient
    ) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "-config")
        answer = admin.get("/caches/denied/eviction")
        assert answer.status_code == 200
        assert "may not run CONFIG SET" in answer.text
        assert "parameter group of Amazon ElastiCache" in answer.text
        assert "64\u202fMB" in answer.text
        assert "allkeys-lru" in answer.text
        assert "setting-previews" not in answer.text

    def test_where_config_is_renamed_nothing_breaks(
        self, tmp_path: Path, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        file = tmp_path / "renamed.conf"
        file.write_text('rename-command CONFIG ""\nmaxmemory 32mb\n')
        with ExitStack() as stack:
            renamed = start(config=file)
            stack.callback(renamed.stop)
            app = make_app(_of(settings, f"main={renamed.url}"))
            answer = signed_in_client(app, Role.ADMIN).get(PATH)
            assert answer.status_code == 200
            assert "knows no CONFIG SET" in answer.text
            assert "32\u202fMB" in answer.text
            assert FORM not in answer.text

    def test_where_info_is_denied_too_nothing_breaks(self, server: Server, admin: FlaskClient) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "-config", "-info")
        answer = admin.get("/caches/denied/eviction")
        assert answer.status_code == 200
        assert "Eviction" in answer.text

    def test_a_server_that_is_gone_says_so_in_the_place_of_the_form(self, server: Server, admin: FlaskClient) -> None:
        server.stop()
        answer = admin.get(PATH)
        assert answer.status_code == 200
        assert "cannot be reached" in answer.text
        assert FORM not in answer.text


class TestNodes:
    @pytest.fixture
    def shards(self, cluster: Cluster, settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[Flask]:
        yield make_app(_of(settings, f"main={cluster.url}"))
        for server in cluster.servers:
            give(server, "maxmemory", "0")
            give(server, "maxmemory-policy", "noeviction")

    def test_values_in_which_they_differ_are_shown_with_the_nodes_and_left_as_they_are(
        self, shards: Flask, cluster: Cluster
    ) -> None:
        odd = cluster.servers[1]
        give(odd, "maxmemory", str(32 * 1024**2))
        give(odd, "maxmemory-policy", "volatile-lru")
        text = " ".join(signed_in_client(shards, Role.ADMIN).get(PATH).text.split())
        assert "The nodes differ:" in text
        assert f"32 MB on 127.0.0.1:{odd.port}" in text
        assert "no limit on 2 primaries" in text
        assert "noeviction" in text
        assert _fields(text)["maxmemory"] == ""
        assert not re.search(r'name="maxmemory-policy" value="[a-z-]+" checked', text), "no policy is that of all"

    def test_one_that_does_not_answer_is_told_and_the_others_are_shown(
        self, settings: Settings, make_app: Callable[[Settings], Flask], cluster: Cluster
    ) -> None:
        with cluster.servers[2].client() as client:
            client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all", "-config|get")
        for server in cluster.servers[:2]:
            with server.client() as client:
                client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all")
        url = f"main=redis+cluster://bob:pw@127.0.0.1:{cluster.servers[0].port}"
        text = " ".join(signed_in_client(make_app(_of(settings, url)), Role.ADMIN).get(PATH).text.split())
        assert f"127.0.0.1:{cluster.servers[2].port}</span> cannot be read" in text
        assert "Until they can, none is changed." in text
        for server in cluster.servers:
            with server.client() as client:
                client.execute_command("ACL", "DELUSER", "bob")


class TestTheFigures:
    def test_they_are_a_fragment_of_their_own(self, viewer: FlaskClient) -> None:
        answer = viewer.get(f"{PATH}/live", headers=by_htmx(viewer))
        assert answer.status_code == 200
        assert "<html" not in answer.text

    def test_before_the_first_sample_it_says_that_there_is_none(self, viewer: FlaskClient) -> None:
        assert "No samples yet" in viewer.get(PATH).text

    def test_it_says_what_differs_from_the_file(
        self, tmp_path: Path, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        file = tmp_path / "own.conf"
        file.write_text("maxmemory 32mb\n")
        with ExitStack() as stack:
            own = start(config=file)
            stack.callback(own.stop)
            admin = signed_in_client(make_app(_of(settings, f"main={own.url}")), Role.ADMIN)
            assert "Not in the configuration file" not in admin.get(PATH).text
            give(own, "maxmemory-policy", "allkeys-lru")
            text = admin.get(PATH).text
            assert "Not in the configuration file" in text
            assert "persistences" in text


def test_a_server_without_any_limit_says_so(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    with running() as bare:
        text = signed_in_client(make_app(_of(settings, f"main={bare.url}")), Role.VIEWER).get(PATH).text
        assert "no limit" in text
