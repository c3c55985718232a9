"""What holds for every route of the application, whoever wrote it and whenever it is added."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, Rule
from werkzeug.test import TestResponse

from dashboard.cache.selecting.key_token import to_token
from dashboard.settings import Settings
from dashboard.store import operators, tokens
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft
from dashboard.views.access import Unmarked, access_of, role_of
from dashboard.views.api.problems import TYPE as PROBLEM
from dashboard.views.render import API
from tests.servers import Server
from tests.views.conftest import NAMES, by_htmx, deck_of, signed_in_client, token

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = {"static", "login.show", "login.create", "home.health"}
"""Open to everybody. A route that is added here is added on purpose."""

KEY = b"api:user:42"
BY_NAME = {"cache": "main", "key": to_token(KEY), "filename": "css/base.css"}


@dataclass(frozen=True)
class Call:
    """One method of one route, with an address that exists."""

    endpoint: str
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.endpoint})"

    def by(self, client: FlaskClient, **options: Any) -> TestResponse:
        return client.open(self.path, method=self.method, **options)


@pytest.fixture
def app(app: Flask, valkey: Server) -> Flask:
    with closing(valkey.client()) as arranging:
        arranging.set(KEY, "value", ex=3600)
        arranging.hset("api:hash", mapping={"a": "1"})
        arranging.zadd("api:ranking", {"a": 1})
    return app


@pytest.fixture
def calls(app: Flask) -> list[Call]:
    """Of the pages: what a session may call."""
    found = [call for call in _calls(app) if not access_of(app, call.endpoint).by_token]
    assert len({call.endpoint for call in found}) > 10
    return found


@pytest.fixture
def api_calls(app: Flask) -> list[Call]:
    """Of the API: what a token may call."""
    found = [call for call in _calls(app) if access_of(app, call.endpoint).by_token]
    assert {call.method for call in found} == {"GET", "POST"}
    return found


def _calls(app: Flask) -> Iterator[Call]:
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            path = app.url_map.bind("localhost").build(rule.endpoint, _arguments(rule), method=_method_of(rule))
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Call(rule.endpoint, method, path)


def _method_of(rule: Rule) -> str:
    return min((rule.methods or set()) - {"HEAD", "OPTIONS"})


def _arguments(rule: Rule) -> dict[str, Any]:
    def value(name: str) -> Any:
        if isinstance(rule._converters[name], IntegerConverter):
            return 1
        return BY_NAME.get(name, "1")

    return {name: value(name) for name in rule.arguments}


def _rest(client: FlaskClient, call: Call, fragment: bool = False) -> TestResponse:
    """Ask and read the whole answer, of a stream without end only what comes before its first event."""
    answer = call.by(client, headers=by_htmx(client) if fragment else None, buffered=False)
    if answer.mimetype != "text/event-stream":
        _ = answer.data
    answer.close()
    return answer


def _state(settings: Settings, valkey: Server) -> dict[str, object]:
    """All that a request could change: our own database to the last row, the cache's keys and settings."""
    with closing(sqlite3.connect(settings.database.removeprefix("sqlite:///"))) as own:
        rows = list(own.iterdump())
    with closing(valkey.client()) as cache:
        keys = {key: (cache.dump(key), cache.expiretime(key)) for key in cache.scan_iter(count=1000)}
        return {"rows": rows, "keys": keys, "config": cache.config_get("*")}


class TestEveryRoute:
    def test_it_states_its_role(self, app: Flask) -> None:
        silent = []
        for endpoint in {rule.endpoint for rule in app.url_map.iter_rules()}:
            try:
                role_of(app, endpoint)
            except Unmarked:
                silent.append(endpoint)
        assert silent == []

    def test_it_is_not_public_by_accident(self, app: Flask) -> None:
        endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
        assert {endpoint for endpoint in endpoints if role_of(app, endpoint) is None} == PUBLIC

    def test_it_sends_the_anonymous_to_the_login_page(self, app: Flask, calls: list[Call]) -> None:
        client, open_doors = app.test_client(), []
        for call in calls:
            if call.endpoint in PUBLIC:
                continue
            headers = {"X-CSRFToken": token(client)}
            plain = call.by(client, headers=headers)
            htmx = call.by(client, headers=by_htmx(client))
            if plain.status_code != 303 or not plain.location.startswith("/login"):
                open_doors.append(str(call))
            if htmx.status_code != 401 or not htmx.headers["HX-Redirect"].startswith("/login"):
                open_doors.append(f"{call} by htmx")
        assert open_doors == []

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_it_lets_no_lower_role_in(
        self, app: Flask, calls: list[Call], role: Role, settings: Settings, valkey: Server
    ) -> None:
        client, refused, open_doors = signed_in_client(app, role), 0, []
        before = _state(settings, valkey)
        for call in calls:
            wanted = role_of(app, call.endpoint)
            if wanted is None or wanted <= role:
                continue
            refused += 1
            for headers in ({"X-CSRFToken": token(client)}, by_htmx(client)):
                if call.by(client, headers=headers).status_code != 403:
                    open_doors.append(str(call))
        assert open_doors == []
        assert refused
        assert _state(settings, valkey) == before

    @pytest.mark.parametrize("role", list(Role))
    def test_it_lets_its_own_role_look(self, app: Flask, calls: list[Call], role: Role) -> None:
        client, closed_doors = signed_in_client(app, role), []
        for call in calls:
            if call.method == "GET" and role_of(app, call.endpoint) == role:
                answer = _rest(client, call)
                if answer.status_code in {401, 403} or "/login" in (answer.location or ""):
                    closed_doors.append(str(call))
        assert closed_doors == []

    def test_it_reads_or_changes_but_not_both(self, app: Flask) -> None:
        both = [
            str(rule)
            for rule in app.url_map.iter_rules()
            if (rule.methods or set()) & CHANGING and (rule.methods or set()) & {"GET", "HEAD"}
        ]
        unknown = [str(rule) for rule in app.url_map.iter_rules() if (rule.methods or set()) - CHANGING - READING]
        assert (both, unknown) == ([], [])

    @pytest.mark.parametrize("fragment", [False, True], ids=["page", "fragment"])
    def test_it_changes_nothing_on_get(
        self, app: Flask, calls: list[Call], settings: Settings, valkey: Server, fragment: bool
    ) -> None:
        client, guilty, broken = signed_in_client(app, Role.ADMIN), [], []
        before = _state(settings, valkey)
        for call in calls:
            if call.method != "GET":
                continue
            answer = _rest(client, call, fragment)
            if answer.status_code >= 500:
                broken.append(f"{call}: {answer.status_code}")
            after = _state(settings, valkey)
            if after != before:
                guilty.append(str(call))
                before = after
        assert (guilty, broken) == ([], [])

    def test_it_changes_nothing_without_a_token_of_this_session(
        self, app: Flask, calls: list[Call], settings: Settings, valkey: Server
    ) -> None:
        client, stranger = signed_in_client(app, Role.ADMIN), app.test_client()
        with stranger.session_transaction() as session:
            session["csrf_token"] = "f" * 40
        before, believed = _state(settings, valkey), []
        tokens = {"none": {}, "another session's": {"X-CSRFToken": token(stranger)}, "nonsense": {"X-CSRFToken": "x"}}
        for call in calls:
            for kind, headers in tokens.items() if call.method in CHANGING else ():
                answer = call.by(client, headers=headers)
                if answer.status_code != 400:
                    believed.append(f"{call} with {kind}: {answer.status_code}")
        assert believed == []
        assert _state(settings, valkey) == before
        assert client.get("/account").status_code == 200


class TestEveryRouteOfTheApi:
    BODY = b'{"cache": "main", "pattern": "api:*", "dry_run": true}'

    def _asked(
        self, app: Flask, call: Call, secret: str = "", client: FlaskClient | None = None, address: str = "127.0.0.1"
    ) -> TestResponse:
        head = {"Authorization": f"Bearer {secret}"} if secret else {}
        client, place = client or app.test_client(), {"REMOTE_ADDR": address}
        if call.method == "POST":
            return call.by(
                client, headers=head, data=self.BODY, content_type="application/json", environ_overrides=place
            )
        return call.by(client, headers=head, environ_overrides=place)

    def test_no_other_route_is_below_its_path(self, app: Flask, calls: list[Call], api_calls: list[Call]) -> None:
        assert [str(call) for call in api_calls if not call.path.startswith(API)] == []
        assert [str(call) for call in calls if call.path.startswith(API)] == []

    def test_acts_are_for_operators(self, app: Flask, api_calls: list[Call]) -> None:
        assert {call.method for call in api_calls if access_of(app, call.endpoint).role == Role.VIEWER} == {"GET"}

    @pytest.mark.parametrize("secret", ["", "cdk_" + "A" * 43, "\u00e9"])
    def test_it_refuses_a_missing_and_a_wrong_token(
        self, app: Flask, api_calls: list[Call], secret: str, settings: Settings, valkey: Server
    ) -> None:
        for number, call in enumerate(
            api_calls
        ):  # each from elsewhere, as too many wrong ones of an address are slowed
            answer = self._asked(app, call, secret, address=f"10.0.0.{number}")
            assert (answer.status_code, answer.mimetype) == (401, PROBLEM), str(call)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer "), str(call)

    def test_a_session_is_no_credential(
        self, app: Flask, api_calls: list[Call], settings: Settings, valkey: Server
    ) -> None:
        client = signed_in_client(app, Role.ADMIN)
        before = _state(settings, valkey)
        for call in api_calls:
            answer = call.by(client, headers={"X-CSRFToken": token(client)}, json={})
            assert answer.status_code == 401, str(call)
        assert _state(settings, valkey) == before

    def test_a_token_is_no_session(self, app: Flask, calls: list[Call]) -> None:
        _, secret = tokens.add(deck_of(app).store, Draft("deploy", Role.OPERATOR), "ada")
        for call in calls:
            if call.endpoint not in PUBLIC:
                client = app.test_client()
                head = {"Authorization": f"Bearer {secret}", "X-CSRFToken": token(client)}
                answer = call.by(client, headers=head)
                assert answer.status_code == 303, str(call)
                assert answer.location.startswith("/login"), str(call)

    def test_it_refuses_a_viewers_token_for_acts(
        self, app: Flask, api_calls: list[Call], settings: Settings, valkey: Server
    ) -> None:
        _, secret = tokens.add(deck_of(app).store, Draft("watch", Role.VIEWER), "ada")
        self._asked(app, api_calls[0], secret)  # notes its first use
        before = _state(settings, valkey)
        for call in api_calls:
            answer = self._asked(app, call, secret)
            if call.method == "POST":
                assert (answer.status_code, answer.mimetype) == (403, PROBLEM), str(call)
            else:
                assert answer.status_code in {200, 404}, str(call)
        assert _state(settings, valkey) == before

    def test_it_needs_no_csrf_token_and_sets_no_cookie(self, app: Flask, api_calls: list[Call]) -> None:
        _, secret = tokens.add(deck_of(app).store, Draft("deploy", Role.OPERATOR), "ada")
        for call in api_calls:
            answer = self._asked(app, call, secret)
            assert answer.status_code in {200, 201, 404, 422}, f"{call}: {answer.text}"
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"


def test_the_fixture_sees_a_change(settings: Settings, app: Flask, valkey: Server) -> None:
    before = _state(settings, valkey)
    with closing(valkey.client()) as arranging:
        arranging.persist(KEY)
    changed_key = _state(settings, valkey)
    store = deck_of(app).store
    who = operators.by_name(store, NAMES[Role.VIEWER])
    assert who is not None
    operators.set_enabled(store, who.id, False)
    assert before != changed_key != _state(settings, valkey)


def test_the_database_is_the_one_of_the_test(settings: Settings, tmp_path: Path) -> None:
    assert str(tmp_path) in settings.database
