"""Which tokens are let in, and what each of them may name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask

from dashboard.settings import Settings
from dashboard.store import audit, invalidations, throttle, tokens
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft
from tests.servers import Server
from tests.views.api.conftest import KEYS, V1, Script, problem

PATTERN = "api:search:*"


@pytest.fixture
def plain(valkey: Server, settings: Settings) -> redis.Redis:
    return valkey.client()


class TestGood:
    @pytest.mark.parametrize(
        "head", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer cdk_wrong", "Token {secret}", "{secret}"]
    )
    def test_what_is_no_good_token_is_refused(self, script: Callable[..., Script], head: str) -> None:
        one = script()
        answer = one.client.get(f"{V1}/1", headers={"Authorization": head.format(secret=one.secret)})
        problem(answer, 401, "unauthorized")
        assert "realm=Cachedeck" in answer.headers["WWW-Authenticate"]
        assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == ("cdk_wrong" in head)

    def test_a_token_in_the_address_or_the_body_is_none(self, script: Callable[..., Script]) -> None:
        one = script()
        for query in ("access_token", "token"):
            problem(one.client.get(f"{V1}/1?{query}={one.secret}"), 401, "unauthorized")

    def test_a_revoked_one_is_refused_from_the_next_request_on(
        self, script: Callable[..., Script], store: Store, plain: redis.Redis
    ) -> None:
        one = script(Role.OPERATOR)
        problem(one.get(f"{V1}/1"), 404, "not_found")
        tokens.revoke(store, tokens.all_tokens(store)[0].id, "ada")
        found = problem(one.invalidate(keys=["api:search:1"]), 401, "unauthorized")
        assert found["detail"] == "This token is revoked."
        assert plain.exists("api:search:1")

    def test_an_expired_one_is_refused(self, script: Callable[..., Script], plain: redis.Redis) -> None:
        one = script(expires_at=time.time() + 0.3)
        time.sleep(0.35)
        found = problem(one.invalidate(keys=["api:search:1"]), 401, "unauthorized")
        assert found["detail"] == "This token has expired."
        assert plain.exists("api:search:1")

    def test_a_viewers_may_look_but_not_act(
        self, script: Callable[..., Script], deploy: Script, plain: redis.Redis, store: Store
    ) -> None:
        number = deploy.invalidate(pattern=PATTERN, dry_run=True).json["number"]
        viewer = script(Role.VIEWER)
        assert viewer.get(f"{V1}/{number}").json["plan"]["keys"]["value"] == KEYS
        for path in (V1, f"{V1}/{number}/execution", f"{V1}/{number}/undo"):
            found = problem(viewer.post(path, {"cache": "main", "pattern": PATTERN, "dry_run": True}), 403, "forbidden")
            assert found["detail"] == "This needs a token of the role operator. Yours is of viewer."
        assert _only_of(store, "token:deploy")
        assert plain.exists("api:search:1")

    def test_too_many_wrong_ones_are_told_to_wait_and_good_ones_are_let_in(
        self, script: Callable[..., Script], app: Flask
    ) -> None:
        wrong = Script(app.test_client(), "cdk_" + "A" * 43)
        for _ in range(throttle.FREE):
            problem(wrong.get(f"{V1}/1"), 401, "unauthorized")
        answer = wrong.get(f"{V1}/1")
        problem(answer, 429, "too_many_requests")
        assert 1 <= int(answer.headers["Retry-After"]) <= throttle.FIRST_DELAY
        problem(script().get(f"{V1}/1"), 404, "not_found")


def _only_of(store: Store, actor: str) -> bool:
    return {entry.actor for entry in audit.search(store, Filters())} == {actor}


class TestPatterns:
    ALLOWED = ("api:search:*", "tmp:?")

    @pytest.mark.parametrize(
        "body",
        [
            {"pattern": "api:search:*"},
            {"pattern": "api:search:1*"},
            {"pattern": "api:search:[0-9]"},
            {"pattern": "tmp:[ab]"},
            {"keys": ["api:search:1", "tmp:a"]},
            {"keys": ["api:search:"]},
        ],
    )
    def test_what_lies_within_one_is_allowed(
        self, script: Callable[..., Script], worker: None, body: dict[str, Any]
    ) -> None:
        assert script(patterns=self.ALLOWED).invalidate(**body, dry_run=True).status_code == 201

    @pytest.mark.parametrize(
        "body",
        [
            {"pattern": "*", "everything": True},
            {"pattern": "*", "type": "hash"},
            {"pattern": "api:*"},
            {"pattern": "api:search*"},
            {"pattern": "*api:search:*"},
            {"pattern": "[at]*"},
            {"pattern": "tmp:ab"},
            {"pattern": "tmp:*"},
            {"pattern": "other:1"},
            {"keys": ["api:search:1", "other:1"]},
            {"keys": ["api:search"]},
            {"keys": [""]},
        ],
    )
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_what_does_not_is_refused_and_told_what_is(
        self,
        script: Callable[..., Script],
        worker: None,
        plain: redis.Redis,
        store: Store,
        body: dict[str, Any],
        dry_run: bool,
    ) -> None:
        before = plain.dbsize()
        found = problem(script(patterns=self.ALLOWED).invalidate(**body, dry_run=dry_run), 403, "not_allowed")
        assert found["allowed"] == list(self.ALLOWED)
        assert "api:search:*, tmp:?" in found["detail"]
        assert invalidations.newest(store, "main") == []
        assert plain.dbsize() == before

    def test_it_holds_for_what_others_have_planned_and_done_too(
        self, script: Callable[..., Script], deploy: Script, plain: redis.Redis
    ) -> None:
        bound = script(patterns=self.ALLOWED)
        planned = deploy.invalidate(pattern="other:*", dry_run=True).json["number"]
        problem(bound.get(f"{V1}/{planned}"), 403, "not_allowed")
        problem(bound.post(f"{V1}/{planned}/execution", {}), 403, "not_allowed")
        assert plain.exists("other:1")
        done = deploy.invalidate(pattern="other:*").json["number"]
        problem(bound.post(f"{V1}/{done}/undo", {"pattern": "api:search:*"}), 403, "not_allowed")
        assert not plain.exists("other:1")

    def test_names_that_are_no_text_are_held_against_bytes(
        self, script: Callable[..., Script], plain: redis.Redis
    ) -> None:
        bound = script(patterns=(r"api:\xff",))
        assert bound.invalidate("", keys=[{"base64": "YXBpOv8="}]).json["result"]["removed"] == 1
        problem(bound.invalidate("", keys=["api:\u00ff"]), 403, "not_allowed")


class TestCaches:
    def test_it_is_for_its_cache_alone(self, script: Callable[..., Script], deploy: Script, store: Store) -> None:
        bound = script(cache="elsewhere")
        assert bound.post(V1, {"cache": "elsewhere", "keys": ["a"]}).status_code == 201
        for name in ("main", "nowhere"):
            found = problem(bound.post(V1, {"cache": name, "keys": ["a"]}), 403, "other_cache")
            assert found["detail"] == "This token is for the cache elsewhere alone."
        number = deploy.invalidate(pattern=PATTERN, dry_run=True).json["number"]
        problem(bound.get(f"{V1}/{number}"), 403, "other_cache")
        problem(bound.post(f"{V1}/{number}/execution", {}), 403, "other_cache")
        assert invalidations.newest(store, "nowhere") == []


def test_a_secret_is_in_no_log_and_no_answer(
    script: Callable[..., Script], worker: None, caplog: pytest.LogCaptureFixture, store: Store
) -> None:
    _, secret = tokens.add(store, Draft("quiet", Role.OPERATOR), "ada")
    one = Script(script().client, secret)
    answers = [one.invalidate(pattern=PATTERN), one.get(f"{V1}/1"), one.get("/api/v1/nothing"), one.post(V1, [])]
    assert not any(secret in answer.text for answer in answers)
    assert secret not in caplog.text
    assert secret not in repr(audit.search(store, Filters()))
