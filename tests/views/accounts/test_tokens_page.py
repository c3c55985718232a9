from __future__ import annotations

import re
import time

import pytest
from flask.testing import FlaskClient

from dashboard.store import audit, tokens
from dashboard.store.audit import Entry, Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft, Token
from tests.views.conftest import NAMES, post

FORM = {"name": "deploy", "role": "operator", "cache": "main", "patterns": "api:*\n\n tmp:* \napi:*", "days": "30"}


def _last(store: Store, action: str) -> Entry:
    return audit.search(store, Filters(action=action))[0]


def _only(store: Store) -> Token:
    (found,) = tokens.all_tokens(store)
    return found


def _secret(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found
    return found[1]


class TestAdd:
    def test_it_shows_the_secret_in_this_answer_and_never_again(self, admin: FlaskClient, store: Store) -> None:
        answer = post(admin, "/tokens", FORM | {"reason": "for the pipeline"})
        assert answer.status_code == 201
        assert answer.headers["Cache-Control"] == "no-store"
        secret = _secret(answer.text)
        found = tokens.bearer(store, secret, "192.0.2.1")
        assert found is not None
        assert (found.name, found.role, found.cache, found.patterns) == (
            "deploy",
            Role.OPERATOR,
            "main",
            ("api:*", "tmp:*"),
        )
        assert found.created_by == NAMES[Role.ADMIN]
        assert found.expires_at == pytest.approx(time.time() + 30 * 86400, abs=60)
        assert secret not in admin.get("/tokens").text

    def test_it_is_audited_without_the_secret(self, admin: FlaskClient, store: Store) -> None:
        secret = _secret(post(admin, "/tokens", FORM | {"reason": "for the pipeline"}).text)
        entry = _last(store, "token.add")
        assert (entry.actor, entry.subject, entry.reason) == (NAMES[Role.ADMIN], "deploy", "for the pipeline")
        assert entry.after["patterns"] == ["api:*", "tmp:*"]  # type: ignore[index, call-overload]
        assert secret not in repr(entry)
        assert secret[len(tokens.MARK) + tokens.BEGINNING :] not in repr(entry)

    def test_it_may_be_good_for_ever_for_all_keys_of_every_cache(self, admin: FlaskClient, store: Store) -> None:
        post(admin, "/tokens", FORM | {"cache": "", "patterns": " \n", "days": "", "role": "viewer"})
        found = _only(store)
        assert (found.cache, found.patterns, found.expires_at, found.role) == ("", (), None, Role.VIEWER)

    @pytest.mark.parametrize(
        ("changes", "status", "sentence"),
        [
            ({"name": ""}, 422, "A token&#39;s name has 1 to 48"),
            ({"name": "a:b"}, 422, "A token&#39;s name has 1 to 48"),
            ({"patterns": "*a" * 17}, 422, "at most 16 stars"),
            ({"patterns": "\n".join(f"{n}*" for n in range(51))}, 422, "at most 50 patterns"),
            ({"role": "admin"}, 400, "Choose a role"),
            ({"cache": "other"}, 400, "Choose a cache"),
            ({"days": "7"}, 400, "Choose how long"),
            ({"days": "-1"}, 400, "Choose how long"),
        ],
    )
    def test_it_says_why_not(
        self, admin: FlaskClient, store: Store, changes: dict[str, str], status: int, sentence: str
    ) -> None:
        answer = post(admin, "/tokens", FORM | changes)
        assert answer.status_code == status
        assert sentence in answer.text
        assert tokens.all_tokens(store) == []

    def test_it_keeps_what_was_typed(self, admin: FlaskClient, store: Store) -> None:
        tokens.add(store, Draft("deploy", Role.VIEWER), "ada")
        answer = post(admin, "/tokens", FORM | {"patterns": "special:*"})
        assert answer.status_code == 422
        assert "There is or was a token deploy." in answer.text
        assert "special:*</textarea>" in answer.text

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_it_refuses_a_lower_role(self, role: str, store: Store, request: pytest.FixtureRequest) -> None:
        client: FlaskClient = request.getfixturevalue(role)
        assert client.get("/tokens").status_code == 403
        assert post(client, "/tokens", FORM).status_code == 403
        assert tokens.all_tokens(store) == []


class TestRevoke:
    def test_it_revokes_and_says_by_whom(self, admin: FlaskClient, store: Store) -> None:
        made, secret = tokens.add(store, Draft("deploy", Role.VIEWER), "zoe")
        answer = post(admin, f"/tokens/{made.id}/revocation", {"reason": "leaked"})
        assert (answer.status_code, answer.location) == (303, "/tokens")
        found = tokens.bearer(store, secret, "192.0.2.1")
        assert found is not None
        assert (found.state(time.time()), found.revoked_by) == ("revoked", NAMES[Role.ADMIN])
        entry = _last(store, "token.revoke")
        assert (entry.subject, entry.reason, entry.after) == ("deploy", "leaked", {"revoked_by": NAMES[Role.ADMIN]})
        page = admin.get("/tokens").text
        assert "0 of 1 let a script in." in page
        assert "revoke-" not in page

    def test_it_refuses_an_operator(self, operator: FlaskClient, store: Store) -> None:
        made, _ = tokens.add(store, Draft("deploy", Role.VIEWER), "zoe")
        assert post(operator, f"/tokens/{made.id}/revocation").status_code == 403
        assert _only(store).revoked_at is None

    def test_an_unknown_one_is_not_found(self, admin: FlaskClient) -> None:
        assert post(admin, "/tokens/4711/revocation").status_code == 404


def test_the_list_says_what_each_may_do(admin: FlaskClient, store: Store) -> None:
    assert "No script has a token" in admin.get("/tokens").text
    tokens.add(store, Draft("deploy", Role.OPERATOR, "main", ("api:*",)), "zoe")
    tokens.add(store, Draft("watch", Role.VIEWER, expires_at=time.time() + 0.001), "zoe")
    time.sleep(0.01)
    page = admin.get("/tokens").text
    assert "1 of 2 lets a script in." in page
    assert all(text in page for text in ("deploy", "api:*", "of main", "by zoe", "expired", "never", "all keys"))
    assert 'href="/tokens"' in admin.get("/operators").text
