from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.store import audit, operators, passwords
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from tests.views.conftest import NAMES, PASSWORD, post, sign_in

ADA = NAMES[Role.ADMIN]


def _token_on(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page
    return unescape(found.group(1))


def test_it_signs_in_by_the_form_of_the_page(client: FlaskClient) -> None:
    form = {"name": ADA, "password": PASSWORD, "csrf_token": _token_on(client.get("/login").text)}
    answer = client.post("/login", data=form)
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/account").status_code == 200


def test_the_form_carries_where_to_go_next(client: FlaskClient) -> None:
    page = client.get("/login?next=/audit?actor%3Dann").text
    assert re.search(r'name="next"[^>]*value="/audit\?actor=ann"', page)


def test_it_goes_where_next_says(client: FlaskClient) -> None:
    assert sign_in(client, ADA, next="/audit?actor=ann").location == "/audit?actor=ann"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example/"])
def test_it_never_leads_to_another_site(client: FlaskClient, target: str) -> None:
    assert "evil" not in client.get("/login", query_string={"next": target}).text
    assert sign_in(client, ADA, next=target).location == "/"


def test_a_wrong_password_and_an_unknown_name_look_the_same(app: Flask) -> None:
    answers = [sign_in(app.test_client(), name, "wrong password") for name in (ADA, "nobody")]
    assert [answer.status_code for answer in answers] == [422, 422]
    known, unknown = (re.sub(r'value="[^"]*"|content="[^"]*"|data-now="[^"]*"', "", a.text) for a in answers)
    assert "Name or password is wrong." in known
    strip = re.compile(r"\{&#34;X-CSRFToken.*?\}|\{\"X-CSRFToken.*?\}")
    assert strip.sub("", known) == strip.sub("", unknown)


def test_it_costs_the_same_for_an_unknown_name(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    hasher = passwords._hasher

    class Counting:
        def __getattr__(self, name: str) -> object:
            if name == "verify":
                checked.append(name)
            return getattr(hasher, name)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    for name in (ADA, "nobody"):
        sign_in(client, name, "wrong password")
    assert checked == ["verify", "verify"]


def test_it_refuses_the_disabled(client: FlaskClient, store: Store) -> None:
    who = operators.by_name(store, NAMES[Role.VIEWER])
    assert who is not None
    operators.set_enabled(store, who.id, False)
    answer = sign_in(client, who.name)
    assert answer.status_code == 422
    assert "Name or password is wrong." in answer.text


def test_it_throttles_and_says_until_when(client: FlaskClient) -> None:
    for _ in range(100):
        answer = sign_in(client, ADA, "wrong password")
        if answer.status_code != 422:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Too many failed sign-ins. Try again in" in answer.text
    assert sign_in(client, ADA).status_code == 429


def test_it_refuses_a_form_without_token(client: FlaskClient) -> None:
    assert client.post("/login", data={"name": ADA, "password": PASSWORD}).status_code == 400
    assert client.get("/account").status_code == 303


def test_the_session_is_a_new_one_after_signing_in(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["csrf_token"], session["planted"] = "a" * 40, "by somebody else"
    sign_in(client, ADA)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != "a" * 40


def test_who_is_signed_in_goes_on(admin: FlaskClient) -> None:
    assert admin.get("/login?next=/audit").location == "/audit"


def test_it_signs_out(admin: FlaskClient) -> None:
    assert post(admin, "/logout").location == "/login"
    assert admin.get("/account").status_code == 303


def test_signing_out_ends_a_copy_of_the_cookie_too(app: Flask, admin: FlaskClient) -> None:
    name = app.session_interface.get_cookie_name(app)
    cookie = admin.get_cookie(name)
    assert cookie is not None
    thief = app.test_client()
    thief.set_cookie(name, cookie.value)
    assert thief.get("/account").status_code == 200
    thief.set_cookie(name, cookie.value)
    post(admin, "/logout")
    assert thief.get("/account").status_code == 303


def test_it_does_not_sign_out_by_a_link(admin: FlaskClient) -> None:
    assert admin.get("/logout").status_code == 405
    assert admin.get("/account").status_code == 200


class TestAuditTrail:
    def test_it_tells_of_a_sign_in(self, client: FlaskClient, store: Store) -> None:
        sign_in(client, ADA)
        (entry,) = audit.search(store, Filters())
        assert (entry.actor, entry.action, entry.status) == (ADA, "operator.login", "done")
        assert entry.address == "127.0.0.1"

    def test_it_tells_of_a_failed_one(self, client: FlaskClient, store: Store) -> None:
        sign_in(client, ADA, "wrong password")
        (entry,) = audit.search(store, Filters())
        assert (entry.actor, entry.subject) == ("(anonymous)", ADA)
        assert (entry.action, entry.status) == ("operator.login_failed", "failed")

    def test_it_does_not_keep_what_was_typed_as_an_unknown_name(self, client: FlaskClient, store: Store) -> None:
        sign_in(client, "my password in the wrong field", "x")
        (entry,) = audit.search(store, Filters())
        assert "my password" not in repr(entry)

    def test_a_flood_does_not_fill_it(self, client: FlaskClient, store: Store) -> None:
        statuses = [sign_in(client, ADA, "wrong password").status_code for _ in range(40)]
        assert len(audit.search(store, Filters())) == statuses.count(422) < 40
