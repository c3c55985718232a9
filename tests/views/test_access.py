from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.settings import Settings
from dashboard.store import audit, operators
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.views.access import Unmarked, change, current_cache, public, requires, role_of
from tests.views.conftest import NAMES, by_htmx, post, sign_in, signed_in_client, token


@pytest.fixture
def app(app: Flask) -> Flask:
    """The application with a few routes more, one of each kind."""

    @app.get("/probe/look")
    @requires(Role.VIEWER)
    def look() -> str:
        return "seen"

    @app.get("/probe/poll")
    @requires(Role.VIEWER, background=True)
    def poll() -> str:
        return "polled"

    @app.post("/probe/act")
    @requires(Role.OPERATOR)
    def act() -> str:
        with change("probe.act", "thing", before={"n": 1}, reason="why not") as attempt:
            attempt.done(after={"n": 2})
        return "acted"

    @app.get("/probe/caches/<cache>")
    @requires(Role.VIEWER)
    def of_cache(cache: str) -> str:
        return current_cache().name

    @app.post("/probe/caches/<cache>")
    @requires(Role.OPERATOR)
    def change_cache(cache: str) -> str:
        with change("probe.cache", cache):
            return "changed"

    @app.get("/probe/open")
    @public
    def open_to_all() -> str:
        return "welcome"

    @app.get("/probe/forgotten")
    def forgotten() -> str:
        return "must not be seen"

    return app


def _shift(client: FlaskClient, name: str, seconds: float) -> None:
    with client.session_transaction() as session:
        session[name] -= seconds


def _seen_at(client: FlaskClient) -> float:
    with client.session_transaction() as session:
        return float(session["seen_at"])


class TestMarks:
    def test_it_lets_the_role_and_higher_ones_in(self, viewer: FlaskClient, admin: FlaskClient) -> None:
        assert viewer.get("/probe/look").text == "seen"
        assert admin.get("/probe/look").text == "seen"

    def test_it_refuses_viewer(self, viewer: FlaskClient) -> None:
        answer = post(viewer, "/probe/act")
        assert answer.status_code == 403
        assert "This needs the role operator. You are viewer." in answer.text

    def test_it_refuses_an_endpoint_without_a_mark_even_to_admins(self, admin: FlaskClient) -> None:
        answer = admin.get("/probe/forgotten")
        assert answer.status_code == 403
        assert "must not be seen" not in answer.text

    def test_it_lets_everybody_see_what_is_public(self, client: FlaskClient) -> None:
        assert client.get("/probe/open").text == "welcome"

    def test_it_states_the_role_of_an_endpoint(self, app: Flask) -> None:
        assert role_of(app, "act") is Role.OPERATOR
        assert role_of(app, "open_to_all") is None
        assert role_of(app, "static") is None

    @pytest.mark.parametrize("endpoint", ["forgotten", "no.such"])
    def test_it_raises_for_an_endpoint_without_a_mark(self, app: Flask, endpoint: str) -> None:
        with pytest.raises(Unmarked):
            role_of(app, endpoint)

    def test_an_unknown_address_is_not_found(self, admin: FlaskClient) -> None:
        assert admin.get("/probe/nothing").status_code == 404


class TestAnonymous:
    def test_it_is_sent_to_the_login_page_and_back(self, client: FlaskClient) -> None:
        answer = client.get("/probe/look?a=1&b=%2F")
        assert answer.status_code == 303
        assert answer.location == "/login?next=/probe/look?a%3D1%26b%3D%252F"
        back = sign_in(client, NAMES[Role.VIEWER], next="/probe/look?a=1&b=%2F")
        assert back.location == "/probe/look?a=1&b=%2F"

    def test_htmx_is_told_to_leave_the_page(self, client: FlaskClient) -> None:
        headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/probe/look?x=1"}
        answer = client.get("/probe/poll", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["HX-Redirect"] == "/login?next=/probe/look?x%3D1"

    def test_htmx_comes_back_to_this_site_whatever_the_header_says(self, client: FlaskClient) -> None:
        headers = {"HX-Request": "true", "HX-Current-URL": "https://evil.example//evil.example/x"}
        answer = client.get("/probe/poll", headers=headers)
        assert answer.headers["HX-Redirect"] == "/login"

    def test_a_post_has_no_way_back(self, client: FlaskClient) -> None:
        assert post(client, "/probe/act").location == "/login"

    def test_it_comes_back_below_the_prefix(self, settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
        app = make_app(settings.model_copy(update={"url_prefix": "/ops/cache"}))
        answer = app.test_client().get("/ops/cache/audit?actor=ann")
        assert answer.location == "/ops/cache/login?next=/ops/cache/audit?actor%3Dann"


class TestSession:
    @pytest.mark.parametrize(
        "end",
        [
            lambda store, who: operators.set_enabled(store, who.id, False),
            lambda store, who: operators.set_password(store, who.id, "another password"),
            lambda store, who: operators.set_role(store, who.id, Role.OPERATOR),
        ],
        ids=["disabled", "password", "role"],
    )
    def test_it_ends_when_the_account_changes(
        self, viewer: FlaskClient, store: Store, end: Callable[[Store, operators.Operator], object]
    ) -> None:
        who = operators.by_name(store, NAMES[Role.VIEWER])
        assert who is not None
        end(store, who)
        answer = viewer.get("/probe/look")
        assert answer.location == "/login?next=/probe/look&ended=1"
        assert "Your session has ended" in viewer.get(answer.location).text

    def test_it_leaves_other_operators_signed_in(self, viewer: FlaskClient, admin: FlaskClient, store: Store) -> None:
        who = operators.by_name(store, NAMES[Role.VIEWER])
        assert who is not None
        operators.set_enabled(store, who.id, False)
        assert admin.get("/probe/look").status_code == 200

    def test_it_ends_when_idle(self, viewer: FlaskClient, settings: Settings) -> None:
        _shift(viewer, "seen_at", settings.idle_minutes * 60 - 5)
        assert viewer.get("/probe/poll").status_code == 200
        _shift(viewer, "seen_at", 6)
        assert viewer.get("/probe/look").status_code == 303

    def test_an_ended_session_does_not_come_back(self, viewer: FlaskClient, settings: Settings) -> None:
        _shift(viewer, "seen_at", settings.idle_minutes * 60 + 1)
        viewer.get("/probe/look")
        with viewer.session_transaction() as session:
            assert not session

    def test_a_click_keeps_it_alive(self, viewer: FlaskClient) -> None:
        _shift(viewer, "seen_at", 600)
        viewer.get("/probe/look")
        assert time.time() - _seen_at(viewer) < 300

    def test_polling_does_not_keep_it_alive(self, viewer: FlaskClient) -> None:
        _shift(viewer, "seen_at", 600)
        before = _seen_at(viewer)
        assert viewer.get("/probe/poll").text == "polled"
        assert _seen_at(viewer) == before

    def test_a_page_that_polls_itself_does_not_keep_it_alive(self, viewer: FlaskClient) -> None:
        _shift(viewer, "seen_at", 600)
        before = _seen_at(viewer)
        viewer.get("/probe/look", headers={"X-Background": "1"})
        assert _seen_at(viewer) == before

    def test_it_ends_after_its_hours_however_busy(self, viewer: FlaskClient, settings: Settings) -> None:
        _shift(viewer, "signed_in_at", settings.session_hours * 3600 + 1)
        assert viewer.get("/probe/look").status_code == 303

    def test_a_forged_cookie_is_nobody(self, client: FlaskClient, viewer: FlaskClient) -> None:
        cookie = next(iter(viewer._cookies.values()))
        payload, _, signature = cookie.value.rpartition(".")
        client.set_cookie(cookie.key, f"{payload}.{signature[::-1]}")
        assert client.get("/probe/look").status_code == 303

    def test_what_is_behind_the_login_is_not_stored(self, viewer: FlaskClient) -> None:
        assert viewer.get("/probe/look").headers["Cache-Control"] == "no-store"


class TestOwnDatabase:
    def test_it_says_in_a_sentence_that_it_is_broken(self, viewer: FlaskClient, settings: Settings) -> None:
        with closing(sqlite3.connect(settings.database.removeprefix("sqlite:///"))) as own:
            own.execute("ALTER TABLE operators RENAME TO gone")
            own.commit()
        for headers in ({}, {"HX-Request": "true"}):
            answer = viewer.get("/probe/look", headers=headers)
            assert answer.status_code in {500, 503}
            assert "data-problem" in answer.text or "<h1>" in answer.text
            assert "Traceback" not in answer.text
            assert "no such table" not in answer.text


class TestCookie:
    def test_it_is_closed_to_scripts_and_other_sites(self, client: FlaskClient) -> None:
        cookie = sign_in(client, NAMES[Role.VIEWER]).headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie

    def test_it_is_secure_over_https(self, app: Flask) -> None:
        client = app.test_client()
        answer = client.get("/login", base_url="https://deck.example")
        assert "Secure" in answer.headers["Set-Cookie"]

    def test_it_stays_below_the_prefix(self, settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
        app = make_app(settings.model_copy(update={"url_prefix": "/ops/cache"}))
        cookie = app.test_client().get("/ops/cache/login").headers["Set-Cookie"]
        assert "Path=/ops/cache;" in f"{cookie};"

    def test_two_installations_on_one_host_do_not_share_it(
        self, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        names = set()
        for key in ("a" * 40, "b" * 40):
            app = make_app(Settings(caches=settings.caches, data=settings.data, secret_key=key))  # type: ignore[arg-type]
            names.add(app.test_client().get("/login").headers["Set-Cookie"].partition("=")[0])
        assert len(names) == 2


class TestToken:
    def test_it_refuses_a_change_without_one(self, operator: FlaskClient, store: Store) -> None:
        answer = operator.post("/probe/act")
        assert answer.status_code == 400
        assert "This page has expired." in answer.text
        assert "Traceback" not in answer.text
        assert audit.search(store, Filters(action="probe.act")) == []

    def test_it_takes_it_from_a_form(self, operator: FlaskClient) -> None:
        assert post(operator, "/probe/act").text == "acted"

    def test_it_takes_it_from_a_header_as_htmx_sends_it(self, operator: FlaskClient) -> None:
        assert operator.post("/probe/act", headers=by_htmx(operator)).text == "acted"

    def test_it_refuses_that_of_another_session(self, app: Flask, operator: FlaskClient) -> None:
        other = signed_in_client(app, Role.OPERATOR)
        with other.session_transaction() as session:
            session["csrf_token"] = "f" * 40
        answer = operator.post("/probe/act", headers={"X-CSRFToken": token(other)})
        assert answer.status_code == 400

    def test_htmx_gets_the_sentence_in_the_alerts(self, operator: FlaskClient) -> None:
        answer = operator.post("/probe/act", headers={"HX-Request": "true"})
        assert answer.status_code == 400
        assert answer.headers["HX-Retarget"] == "#alerts"
        assert "This page has expired." in answer.text

    def test_over_https_it_wants_our_own_page_as_referrer(self, app: Flask) -> None:
        client = app.test_client()
        form = {"name": "x", "password": "y"}
        client.get("/login", base_url="https://deck.example")
        with client.session_transaction(base_url="https://deck.example") as session:
            raw = session["csrf_token"]
        from flask_wtf.csrf import URLSafeTimedSerializer

        form["csrf_token"] = str(URLSafeTimedSerializer("k" * 40, salt="wtf-csrf-token").dumps(raw))
        answers = {
            referrer: client.post("/login", base_url="https://deck.example", data=form, headers={"Referer": referrer})
            for referrer in ("https://evil.example/", "https://deck.example/login")
        }
        foreign, ours = answers.values()
        assert foreign.status_code == 400
        assert "Host header" in foreign.text
        assert ours.status_code == 422


class TestChange:
    def test_it_tells_who_from_where_what_and_how_it_ended(self, operator: FlaskClient, store: Store) -> None:
        post(operator, "/probe/act", environ_base={"REMOTE_ADDR": "192.0.2.7"})
        (entry,) = audit.search(store, Filters(action="probe.act"))
        assert (entry.actor, entry.address, entry.cache) == (NAMES[Role.OPERATOR], "192.0.2.7", "")
        assert (entry.subject, entry.reason, entry.status) == ("thing", "why not", "done")
        assert (entry.before, entry.after) == ({"n": 1}, {"n": 2})

    def test_it_tells_which_cache(self, operator: FlaskClient, store: Store) -> None:
        post(operator, "/probe/caches/main")
        (entry,) = audit.search(store, Filters(action="probe.cache"))
        assert entry.cache == "main"

    def test_it_believes_a_forwarded_address_only_from_trusted_proxies(
        self, settings: Settings, make_app: Callable[[Settings], Flask]
    ) -> None:
        from tests.views.conftest import deck_of

        seen = []
        for trusted in (0, 1):
            app = make_app(settings.model_copy(update={"trusted_proxies": trusted}))
            headers = {"X-Forwarded-For": "203.0.113.9"}
            post(app.test_client(), "/login", {"name": "ada", "password": "wrong"}, headers=headers)
            seen.append(audit.search(deck_of(app).store, Filters())[0].address)
        assert seen == ["127.0.0.1", "203.0.113.9"]


class TestCacheOfTheUrl:
    def test_it_is_the_one_that_the_url_names(self, viewer: FlaskClient) -> None:
        assert viewer.get("/probe/caches/main").text == "main"

    def test_an_unknown_one_is_not_found(self, viewer: FlaskClient) -> None:
        answer = viewer.get("/probe/caches/other")
        assert answer.status_code == 404
        assert "No cache is configured under the name" in answer.text
