"""POST /api/v1/invalidations and what follows: the same plan, rules, vault and audit trail as on the pages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from flask import Flask

from dashboard.settings import Settings
from dashboard.store import audit, invalidations, jobs
from dashboard.store.audit import Filters
from dashboard.store.engine import Store
from tests.servers import Server
from tests.views.api.conftest import KEYS, V1, Script, problem

PATTERN = "api:search:*"


@pytest.fixture
def plain(valkey: Server, settings: Settings) -> redis.Redis:
    return valkey.client()


def _names(plain: redis.Redis, pattern: str = "*") -> int:
    return len(plain.keys(pattern))


class TestAPattern:
    def test_it_is_planned_and_removed_in_one_request(self, deploy: Script, plain: redis.Redis) -> None:
        before = _names(plain)
        answer = deploy.invalidate(pattern=PATTERN, reason="deploy 4711")
        body = answer.json
        assert answer.status_code == 201, answer.text
        assert (body["state"], body["result"]["removed"], body["result"]["drift"]) == ("done", KEYS, 0)
        assert body["plan"]["keys"] == {"value": KEYS, "low": KEYS, "high": KEYS, "exact": True}
        assert (body["actor"], body["source"], body["reason"]) == ("token:deploy", "api", "deploy 4711")
        assert (body["restorable"], body["problem"], body["obstacle"]) == (KEYS, None, "")
        assert answer.headers["Location"] == f"{V1}/{body['number']}"
        assert deploy.get(answer.headers["Location"]).json == body
        assert (_names(plain, PATTERN), _names(plain)) == (0, before - KEYS)

    def test_it_is_audited_in_the_name_of_the_token(self, deploy: Script, store: Store) -> None:
        deploy.invalidate(pattern=PATTERN, reason="deploy 4711")
        entries = audit.search(store, Filters(actor="token:deploy"))
        assert {entry.action for entry in entries} == {
            "invalidate.plan.start",
            "invalidate.execute",
            "keys.invalidate",
        }
        assert {(entry.status, entry.reason) for entry in entries} == {("done", "deploy 4711")}

    def test_a_dry_run_removes_nothing_and_binds_what_is_executed(self, deploy: Script, plain: redis.Redis) -> None:
        planned = deploy.invalidate(pattern=PATTERN, dry_run=True).json
        assert (planned["state"], planned["result"], planned["plan"]["keys"]["value"]) == ("planned", None, KEYS)
        assert planned["plan"]["types"]["string"]["value"] == KEYS
        assert planned["expires_at"] > planned["created_at"]
        assert _names(plain, PATTERN) == KEYS
        done = deploy.post(f"{V1}/{planned['number']}/execution?wait=20", {})
        assert (done.status_code, done.json["state"], done.json["result"]["removed"]) == (202, "done", KEYS)
        again = problem(deploy.post(f"{V1}/{planned['number']}/execution", {}), 409, "already_run")
        assert again["jobs"] == [done.json["job"]]

    def test_it_is_done_as_the_body_says(self, deploy: Script, plain: redis.Redis) -> None:
        body = deploy.invalidate(
            pattern=PATTERN, mode="gently", seconds=600, type="string", ttl="none", vault=False, channel="c", per="key"
        ).json
        assert (body["state"], body["result"]["lowered"], body["result"]["messages"]) == ("done", KEYS, KEYS)
        assert (body["mode"], body["seconds"], body["rate"], body["vault"]) == ("gently", 600, None, False)
        assert (body["channel"], body["per"], body["restorable"]) == ("c", "key", 0)
        assert body["selection"] == {"pattern": PATTERN, "listed": None, "type": "string", "ttl": "none", "size": ""}
        assert all(0 < plain.ttl(f"api:search:{number}") <= 600 for number in range(KEYS))

    def test_one_that_matches_nothing_is_no_problem_and_does_nothing(self, deploy: Script, store: Store) -> None:
        body = deploy.invalidate(pattern="nothing:*").json
        assert (body["state"], body["plan"]["keys"]["value"], body["result"]) == ("planned", 0, None)
        assert body["obstacle"] == "There is no such key: nothing would be done."

    def test_a_pattern_means_its_bytes_and_no_escapes_of_the_pages(self, deploy: Script, plain: redis.Redis) -> None:
        plain.set(b"n:a\nb", b"v")
        plain.set(b"n:anb", b"v")
        assert deploy.invalidate(pattern="n:a\\nb").json["result"]["removed"] == 1
        assert plain.keys("n:*") == [b"n:a\nb"]
        body = deploy.invalidate(pattern={"base64": "YXBpOv8="}).json
        assert (body["result"]["removed"], body["selection"]["pattern"]) == (1, {"base64": "YXBpOv8="})
        assert not plain.exists(b"api:\xff")

    def test_everything_is_said_twice(self, deploy: Script, plain: redis.Redis) -> None:
        for pattern in ("*", "***"):
            found = problem(deploy.invalidate(pattern=pattern), 422, "invalid")
            assert found["errors"][0]["pointer"] == "/everything"
        assert _names(plain)
        assert deploy.invalidate(pattern="*", everything=True).json["state"] == "done"
        assert _names(plain) == 0

    def test_without_a_worker_nothing_is_done_and_that_is_said(
        self, script: Callable[..., Script], plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from dashboard.views.api import routes

        monkeypatch.setattr(routes, "PLAN_SECONDS", 0.1)
        found = problem(script().invalidate(pattern=PATTERN), 409, "not_planned")
        assert found["invalidation"] == 1
        assert _names(plain, PATTERN) == KEYS


class TestAPlanThatTakesLong:
    KEYS = 100_000

    @pytest.fixture
    def settings(self, settings: Settings, valkey: Server) -> Settings:
        with valkey.client() as client:
            for start in range(0, self.KEYS, 10_000):
                client.mset({f"long:{number}": "v" for number in range(start, start + 10_000)})
        return settings.model_copy(update={"walk_share": 0.01})

    def test_it_is_stopped_and_binds_as_an_estimate(
        self, deploy: Script, plain: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from dashboard.views.api import routes

        monkeypatch.setattr(routes, "PLAN_SECONDS", 1.5)
        body = deploy.invalidate("?wait=1", pattern="long:*").json
        assert body["state"] == "running"
        figure = body["plan"]["keys"]
        assert not figure["exact"]
        assert figure["low"] <= self.KEYS <= figure["high"]
        jobs.request_cancel(store, body["job"])
        ended = deploy.get(f"{V1}/{body['number']}?wait=20").json
        assert ended["state"] == "cancelled"
        assert ended["result"]["removed"] == self.KEYS - _names(plain, "long:*")


class TestAList:
    def test_it_is_removed_without_a_plan(self, deploy: Script, plain: redis.Redis) -> None:
        names = ["api:search:1", "api:search:2", "api:search:1", "gone", "", {"base64": "YXBpOv8="}]
        body = deploy.invalidate("", keys=names).json
        assert (body["state"], body["plan"], body["selection"]["listed"]) == ("done", None, 5)
        assert (body["result"]["removed"], body["result"]["drift"]) == (4, None)
        assert _names(plain, "api:search:*") == KEYS - 2
        assert not plain.exists(b"", b"api:\xff")

    def test_a_name_is_no_pattern(self, deploy: Script, plain: redis.Redis) -> None:
        assert deploy.invalidate("", keys=[PATTERN]).json["result"]["removed"] == 0
        assert _names(plain, PATTERN) == KEYS

    def test_a_dry_run_plans_it(self, deploy: Script, plain: redis.Redis) -> None:
        body = deploy.invalidate(keys=["api:search:1"], dry_run=True).json
        assert (body["state"], body["plan"]["keys"]["value"]) == ("planned", 1)
        assert plain.exists("api:search:1")


class TestUndo:
    def test_it_brings_back_all(self, deploy: Script, plain: redis.Redis) -> None:
        number = deploy.invalidate(pattern=PATTERN).json["number"]
        answer = deploy.post(f"{V1}/{number}/undo?wait=20", {"reason": "wrong one"})
        assert (answer.status_code, answer.json["state"], answer.json["undo"]["restored"]) == (202, "undone", KEYS)
        assert _names(plain, PATTERN) == KEYS

    def test_it_brings_back_a_part(self, deploy: Script, plain: redis.Redis) -> None:
        number = deploy.invalidate(pattern=PATTERN).json["number"]
        body = deploy.post(f"{V1}/{number}/undo?wait=20", {"pattern": "api:search:1*"}).json
        assert (body["undo"]["restored"], body["undo"]["other"]) == (11, KEYS - 11)
        assert _names(plain, PATTERN) == 11

    def test_there_is_none_without_the_vault(self, deploy: Script) -> None:
        number = deploy.invalidate(pattern=PATTERN, vault=False).json["number"]
        problem(deploy.post(f"{V1}/{number}/undo", {}), 409, "nothing_kept")

    def test_an_empty_pattern_is_not_all(self, deploy: Script) -> None:
        number = deploy.invalidate(pattern=PATTERN).json["number"]
        found = problem(deploy.post(f"{V1}/{number}/undo", {"pattern": ""}), 422, "invalid")
        assert found["errors"][0]["pointer"] == "/pattern"


class TestIdempotencyKey:
    def test_the_same_request_is_the_same_invalidation(self, deploy: Script, plain: redis.Redis, store: Store) -> None:
        first = deploy.invalidate(pattern=PATTERN, idempotency="deploy-4711")
        plain.set("api:search:new", "v")
        second = deploy.invalidate(pattern=PATTERN, idempotency="deploy-4711")
        assert second.json == first.json
        assert (second.status_code, second.headers["Idempotency-Replayed"]) == (201, "true")
        assert "Idempotency-Replayed" not in first.headers
        assert plain.exists("api:search:new")
        assert len(invalidations.newest(store, "main")) == 1

    def test_another_body_is_refused(self, deploy: Script, plain: redis.Redis) -> None:
        first = deploy.invalidate(pattern=PATTERN, dry_run=True, idempotency="k").json
        found = problem(deploy.invalidate(pattern=PATTERN, idempotency="k"), 422, "idempotency_key_reused")
        assert found["invalidation"] == first["number"]
        assert _names(plain, PATTERN) == KEYS

    def test_a_list_is_removed_once(self, deploy: Script, plain: redis.Redis) -> None:
        first = deploy.invalidate("", keys=["api:search:1"], idempotency="k").json
        plain.set("api:search:1", "new")
        assert deploy.invalidate("", keys=["api:search:1"], idempotency="k").json == first
        assert plain.exists("api:search:1")

    def test_keys_of_two_tokens_are_apart(self, deploy: Script, script: Callable[..., Script]) -> None:
        numbers = {one.invalidate("", keys=["a"], idempotency="k").json["number"] for one in (deploy, script())}
        assert len(numbers) == 2

    def test_it_goes_on_where_the_first_request_was_cut_off(
        self, deploy: Script, app: Flask, plain: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from dashboard.views.api import routes

        with monkeypatch.context() as patch:
            patch.setattr(routes, "_execute_when_planned", lambda *_: None)
            first = deploy.invalidate(pattern=PATTERN, idempotency="k").json
        assert first["state"] in ("planning", "planned")
        second = deploy.invalidate(pattern=PATTERN, idempotency="k").json
        assert (second["number"], second["state"], second["result"]["removed"]) == (first["number"], "done", KEYS)

    def test_two_at_the_same_moment_are_one(self, deploy: Script, plain: redis.Redis, store: Store) -> None:
        with ThreadPoolExecutor(4) as threads:
            asked = [
                threads.submit(
                    Script(deploy.client.application.test_client(), deploy.secret).invalidate,
                    pattern=PATTERN,
                    idempotency="k",
                )
                for _ in range(4)
            ]
            bodies = [one.result().json for one in asked]
        assert {(body["number"], body["state"], body["result"]["removed"]) for body in bodies} == {(1, "done", KEYS)}
        assert len(jobs.of(store, 1, "invalidate")) == 1

    @pytest.mark.parametrize("key", [" " * 3 + "\u00e9", "x" * 256])
    def test_one_that_is_none_is_refused(self, deploy: Script, key: str) -> None:
        problem(deploy.invalidate(pattern=PATTERN, idempotency=key), 422, "invalid")


class TestApproval:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"approve_keys": 10})

    @pytest.mark.parametrize("which", [{"pattern": PATTERN}, {"keys": [f"api:search:{n}" for n in range(KEYS)]}])
    def test_a_large_one_waits_for_another_operator(
        self, deploy: Script, plain: redis.Redis, which: dict[str, object]
    ) -> None:
        body = deploy.invalidate(**which).json
        assert body["state"] == "waits for approval"
        assert "another operator has to approve it" in body["needs_approval"]
        found = problem(deploy.post(f"{V1}/{body['number']}/execution", {}), 409, "needs_approval")
        assert "another operator has to approve it" in found["detail"]
        assert _names(plain, PATTERN) == KEYS

    def test_a_small_one_does_not(self, deploy: Script) -> None:
        assert deploy.invalidate(pattern="api:search:1").json["state"] == "done"

    @pytest.mark.parametrize("which", [{"pattern": "no:such:*"}, {"keys": ["no:such:key"]}])
    def test_one_that_matches_nothing_is_no_problem(self, deploy: Script, which: dict[str, object]) -> None:
        body = deploy.invalidate(idempotency="k", **which).json
        assert (body["state"], body["plan"]["keys"]["value"]) == ("planned", 0)
        assert deploy.invalidate(idempotency="k", **which).json["number"] == body["number"]

    def test_twenty_lists_at_the_same_moment_are_one(self, deploy: Script, plain: redis.Redis, store: Store) -> None:
        script = Script(deploy.client.application.test_client(), deploy.secret)
        keys = [f"api:search:{number}" for number in range(9)]
        with ThreadPoolExecutor(20) as threads:
            asked = [threads.submit(script.invalidate, keys=keys, idempotency="k") for _ in range(20)]
            answers = [one.result() for one in asked]
        done = [answer.json for answer in answers if answer.status_code == 201]
        assert {(body["number"], body["result"]["removed"]) for body in done} == {(1, 9)}
        assert {answer.json["code"] for answer in answers if answer.status_code != 201} <= {"busy"}
        assert len(jobs.of(store, 1, "invalidate")) == 1

    def test_an_approved_one_is_carried_out(self, deploy: Script, store: Store, plain: redis.Redis) -> None:
        number = deploy.invalidate(pattern=PATTERN).json["number"]
        problem(deploy.post(f"{V1}/{number}/execution", {}), 409, "needs_approval")
        invalidations.approve(store, number, "otto")
        body = deploy.post(f"{V1}/{number}/execution?wait=20", {}).json
        assert (body["state"], body["approved_by"], body["result"]["removed"]) == ("done", "otto", KEYS)


class TestRefused:
    def test_a_read_only_cache_is_left_alone(self, deploy: Script, plain: redis.Redis, store: Store) -> None:
        for which in ({"pattern": PATTERN}, {"keys": ["api:search:1"]}):
            answer = deploy.post(V1, {"cache": "seen", **which})
            problem(answer, 409, "read_only_cache")
        assert invalidations.newest(store, "seen") == []
        planned = deploy.post(V1 + "?wait=20", {"cache": "seen", "pattern": PATTERN, "dry_run": True}).json
        assert planned["plan"]["keys"]["value"] == KEYS

    def test_an_unknown_cache_is_not_found(self, deploy: Script) -> None:
        problem(deploy.post(V1, {"cache": "nowhere", "pattern": "a*"}), 404, "not_found")

    @pytest.mark.parametrize("number", ["4711", "0", "9" * 30])
    @pytest.mark.parametrize("act", ["", "/execution", "/undo"])
    def test_an_unknown_number_is_not_found(self, deploy: Script, number: str, act: str) -> None:
        answer = deploy.post(f"{V1}/{number}{act}", {}) if act else deploy.get(f"{V1}/{number}")
        problem(answer, 404, "not_found")

    def test_what_overlaps_is_refused_unless_it_is_wanted(
        self, deploy: Script, store: Store, plain: redis.Redis
    ) -> None:
        slow = deploy.invalidate("?wait=0", pattern="api:*", mode="paced", rate=0.1)
        assert slow.status_code == 201, slow.text
        found = problem(deploy.invalidate(pattern="api:search:1*"), 409, "overlaps")
        assert found["jobs"] == [slow.json["job"]]
        number = found["invalidation"]
        assert deploy.get(f"{V1}/{number}").json["state"] == "planned"
        body = deploy.post(f"{V1}/{number}/execution?wait=20", {"despite_overlap": True}).json
        assert body["state"] == "done"
        jobs.request_cancel(store, slow.json["job"])

    def test_a_list_that_overlaps_is_refused_unless_it_is_wanted(
        self, deploy: Script, store: Store, plain: redis.Redis
    ) -> None:
        slow = deploy.invalidate("?wait=0", pattern="other:*", mode="paced", rate=0.1)
        problem(deploy.invalidate(keys=["other:19", "api:search:1"]), 409, "overlaps")
        assert plain.exists("other:19", "api:search:1") == 2
        assert deploy.invalidate(keys=["other:19"], despite_overlap=True).json["state"] == "done"
        jobs.request_cancel(store, slow.json["job"])

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({}, ""),
            ({"pattern": "a*", "keys": ["a"]}, ""),
            ({"pattern": ""}, "/pattern"),
            ({"pattern": "*a" * 17}, "/pattern"),
            ({"pattern": "[" + "a" * 2000}, "/pattern"),
            ({"pattern": {"base64": "no base64"}}, "/pattern"),
            ({"keys": []}, "/keys"),
            ({"keys": ["a", {"base64": "%"}]}, "/keys/1"),
            ({"pattern": "a*", "ttl": "soon"}, ""),
            ({"pattern": "a*", "size": "large"}, ""),
            ({"pattern": "a*", "type": "two words"}, ""),
            ({"pattern": "a*", "mode": "gently"}, "/seconds"),
            ({"pattern": "a*", "mode": "paced", "rate": 5, "seconds": 5}, "/seconds"),
            ({"pattern": "a*", "mode": "paced"}, "/rate"),
            ({"pattern": "a*", "seconds": 5}, "/seconds"),
            ({"pattern": "a*", "mode": "at once"}, "/mode"),
            ({"pattern": "a*", "dryrun": True}, "/dryrun"),
            ({"pattern": "a*", "dry_run": "yes"}, "/dry_run"),
            ({"pattern": "a*", "channel": ""}, "/channel"),
            ({"pattern": "a*", "channel": "\u20ac" * 1000}, ""),
            ({"pattern": "a*", "reason": "x" * 501}, "/reason"),
            ({"pattern": 5}, "/pattern"),
        ],
    )
    def test_what_makes_no_sense_is_refused_and_said_where(
        self, script: Callable[..., Script], store: Store, changes: dict[str, object], pointer: str
    ) -> None:
        found = problem(script().invalidate(**changes), 422, "invalid")
        assert any(error["pointer"].startswith(pointer) for error in found["errors"])
        assert invalidations.newest(store, "main") == []

    @pytest.mark.parametrize(
        "query", ["?wait=31", "?wait=-1", "?wait=soon", "?wait=nan", "?wait=", "?wiat=5", "?wait=1&wait=2"]
    )
    def test_a_wait_that_is_none_is_refused(self, script: Callable[..., Script], query: str) -> None:
        problem(script().invalidate(query, pattern="a*"), 422, "invalid")

    def test_when_too_many_wait_the_next_one_is_told_to_come_again(
        self, deploy: Script, settings: Settings, plain: redis.Redis
    ) -> None:
        from dashboard.views.api import waiting

        app = deploy.client.application
        with app.app_context():
            places = app.extensions[waiting._EXTENSION]
            while places.take(settings.web_threads):
                pass
        answer = deploy.invalidate(pattern=PATTERN)
        problem(answer, 503, "busy")
        assert answer.headers["Retry-After"] == "2"
        assert _names(plain, PATTERN) == KEYS
        places.give_back()
        assert deploy.invalidate(pattern=PATTERN).json["state"] == "done"
