from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.store import audit, operators
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Operator, Role
from tests.views.conftest import NAMES, PASSWORD, by_htmx, post, sign_in


@pytest.fixture
def vera(store: Store) -> Operator:
    found = operators.by_name(store, NAMES[Role.VIEWER])
    assert found is not None
    return found


def _last(store: Store, action: str) -> Entry:
    return audit.search(store, Filters(action=action))[0]


def test_it_lists_all_with_role_and_state(admin: FlaskClient, store: Store, vera: Operator) -> None:
    operators.set_enabled(store, vera.id, False)
    page = admin.get("/operators").text
    assert all(name in page for name in NAMES.values())
    assert "disabled" in page
    assert "2 of 3 may sign in." in page
    assert "argon2" not in page


class TestAdd:
    def test_it_adds_one_who_can_sign_in(self, admin: FlaskClient, app: Flask, store: Store) -> None:
        form = {"name": "nina", "role": "operator", "password": "a long password", "reason": "new here"}
        answer = post(admin, "/operators", form)
        assert (answer.status_code, answer.location) == (303, "/operators")
        assert "nina was added as operator." in admin.get("/operators").text
        assert sign_in(app.test_client(), "nina", "a long password").status_code == 303
        entry = _last(store, "operator.add")
        assert (entry.actor, entry.subject, entry.after) == (NAMES[Role.ADMIN], "nina", {"role": "operator"})
        assert entry.reason == "new here"

    def test_it_bounds_what_the_trail_keeps(self, admin: FlaskClient, store: Store) -> None:
        form = {"name": "n" * 5000, "role": "operator", "password": PASSWORD, "reason": "r" * 5000}
        assert post(admin, "/operators", form).status_code == 422
        entry = _last(store, "operator.add")
        assert (entry.subject, entry.reason) == ("n" * 64, "r" * 500)

    def test_it_says_why_not_and_keeps_what_was_typed(self, admin: FlaskClient, store: Store) -> None:
        answer = post(admin, "/operators", {"name": "nina", "role": "operator", "password": "short"})
        assert answer.status_code == 422
        assert "it needs 10 or more" in answer.text
        assert 'value="nina"' in answer.text
        assert "short" not in answer.text.replace("data-short", "")
        assert operators.by_name(store, "nina") is None
        assert _last(store, "operator.add").status == "failed"

    def test_it_refuses_a_name_that_is_taken(self, admin: FlaskClient) -> None:
        answer = post(admin, "/operators", {"name": "Vera", "role": "viewer", "password": PASSWORD})
        assert answer.status_code == 422
        assert "There is an operator Vera already." in answer.text

    def test_it_refuses_an_unknown_role(self, admin: FlaskClient, store: Store) -> None:
        answer = post(admin, "/operators", {"name": "nina", "role": "root", "password": PASSWORD})
        assert answer.status_code == 400
        assert operators.by_name(store, "nina") is None


class TestRole:
    def test_it_changes_it(self, admin: FlaskClient, store: Store, vera: Operator) -> None:
        post(admin, f"/operators/{vera.id}/role", {"role": "operator"})
        changed = operators.by_id(store, vera.id)
        assert changed is not None
        assert changed.role is Role.OPERATOR
        entry = _last(store, "operator.role")
        assert (entry.before, entry.after) == ({"role": "viewer"}, {"role": "operator"})

    def test_it_keeps_the_last_admin(self, admin: FlaskClient, store: Store) -> None:
        ada = operators.by_name(store, NAMES[Role.ADMIN])
        assert ada is not None
        answer = post(admin, f"/operators/{ada.id}/role", {"role": "viewer"})
        assert answer.status_code == 422
        assert "is the last enabled admin" in answer.text
        assert _last(store, "operator.role").status == "failed"

    def test_an_unknown_operator_is_not_found(self, admin: FlaskClient) -> None:
        assert post(admin, "/operators/4711/role", {"role": "viewer"}).status_code == 404


class TestDisablement:
    def test_it_disables(self, admin: FlaskClient, viewer: FlaskClient, store: Store, vera: Operator) -> None:
        post(admin, f"/operators/{vera.id}/disablement", {"reason": "left"})
        assert viewer.get("/account").status_code == 303
        entry = _last(store, "operator.disable")
        assert (entry.before, entry.after, entry.reason) == ({"enabled": True}, {"enabled": False}, "left")

    def test_it_enables_by_htmx(self, admin: FlaskClient, app: Flask, store: Store, vera: Operator) -> None:
        operators.set_enabled(store, vera.id, False)
        answer = admin.delete(f"/operators/{vera.id}/disablement?reason=back", headers=by_htmx(admin))
        assert answer.headers["HX-Redirect"] == "/operators"
        assert sign_in(app.test_client(), vera.name).status_code == 303
        assert _last(store, "operator.enable").reason == "back"

    def test_the_page_offers_what_is_possible(self, admin: FlaskClient, store: Store, vera: Operator) -> None:
        assert f'action="/operators/{vera.id}/disablement"' in admin.get("/operators").text
        operators.set_enabled(store, vera.id, False)
        page = admin.get("/operators").text
        assert f'hx-delete="/operators/{vera.id}/disablement"' in page
        assert f'action="/operators/{vera.id}/disablement"' not in page


class TestPassword:
    def test_it_sets_it_and_ends_sessions(
        self, admin: FlaskClient, viewer: FlaskClient, app: Flask, store: Store, vera: Operator
    ) -> None:
        post(admin, f"/operators/{vera.id}/password", {"password": "quite another one"})
        assert viewer.get("/account").status_code == 303
        assert sign_in(app.test_client(), vera.name, "quite another one").status_code == 303
        entry = _last(store, "operator.password")
        assert entry.subject == vera.name
        assert "quite another one" not in repr(entry)

    def test_it_refuses_a_weak_one(self, admin: FlaskClient, app: Flask, vera: Operator) -> None:
        assert post(admin, f"/operators/{vera.id}/password", {"password": "short"}).status_code == 422
        assert sign_in(app.test_client(), vera.name).status_code == 303


class TestAccount:
    def _form(self, **changes: str) -> dict[str, str]:
        new = "something quite new"
        return {"current": PASSWORD, "password": new, "repeated": new, **changes}

    def test_it_changes_ones_own_password(self, viewer: FlaskClient, app: Flask, store: Store) -> None:
        other = app.test_client()
        sign_in(other, NAMES[Role.VIEWER])
        assert post(viewer, "/account/password", self._form()).status_code == 303
        assert "Your password is changed." in viewer.get("/account").text
        assert other.get("/account").status_code == 303
        assert sign_in(app.test_client(), NAMES[Role.VIEWER], "something quite new").status_code == 303
        assert _last(store, "operator.password").actor == NAMES[Role.VIEWER]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"current": "not the one"}, "The current password is wrong."),
            ({"repeated": "something else new"}, "The new password and its repetition differ."),
            ({"password": "short", "repeated": "short"}, "it needs 10 or more"),
        ],
    )
    def test_it_says_why_not(self, viewer: FlaskClient, app: Flask, changes: dict[str, str], sentence: str) -> None:
        answer = post(viewer, "/account/password", self._form(**changes))
        assert answer.status_code == 422
        assert sentence in answer.text
        assert sign_in(app.test_client(), NAMES[Role.VIEWER]).status_code == 303

    def test_a_wrong_current_one_is_audited(self, viewer: FlaskClient, store: Store) -> None:
        post(viewer, "/account/password", self._form(current="not the one"))
        entry = _last(store, "operator.password")
        assert (entry.actor, entry.status, entry.error) == (
            NAMES[Role.VIEWER],
            "failed",
            "The current password is wrong.",
        )

    def test_asking_for_the_current_one_is_no_sign_in(self, viewer: FlaskClient, store: Store, vera: Operator) -> None:
        before = operators.by_id(store, vera.id)
        assert post(viewer, "/account/password", self._form()).status_code == 303
        after = operators.by_id(store, vera.id)
        assert before
        assert after
        assert after.last_login_at == before.last_login_at is not None

    def test_guessing_the_current_one_is_throttled(self, viewer: FlaskClient) -> None:
        for _ in range(20):
            answer = post(viewer, "/account/password", self._form(current="not the one"))
        assert "Too many failed sign-ins." in answer.text
