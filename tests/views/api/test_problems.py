"""Whatever goes wrong below /api is said in one shape, whoever finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from flask import Flask
from pydantic import TypeAdapter

from dashboard.settings import Settings
from dashboard.views.api.models import Problem
from tests.servers import Server, start
from tests.views.api.conftest import V1, Script, problem


def test_every_problem_is_of_the_shape_that_is_documented(script: Callable[..., Script]) -> None:
    one = script()
    adapter = TypeAdapter(Problem)
    for answer in (
        one.client.get(f"{V1}/1"),
        one.get("/api/v2/invalidations"),
        one.get("/api/"),
        one.get(V1),
        one.invalidate(),
        one.post(V1, {"cache": "nowhere", "pattern": "a"}),
    ):
        found = adapter.validate_json(answer.text, strict=True)
        assert found.status == answer.status_code >= 400


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/invalidation", f"{V1}/x", f"{V1}/1/", f"{V1}/-1"])
def test_an_address_that_is_none(script: Callable[..., Script], path: str) -> None:
    problem(script().get(path), 404, "not_found")


def test_an_address_that_is_not_below_it_is_a_page(script: Callable[..., Script]) -> None:
    assert script().get("/apis").mimetype == "text/html"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_method_that_is_none(script: Callable[..., Script], method: str) -> None:
    answer = script().client.open(V1, method=method)
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_is_said_to_be_something_else(script: Callable[..., Script], kind: str) -> None:
    one = script()
    answer = one.client.post(V1, data=b"{}", headers={"Authorization": f"Bearer {one.secret}", "Content-Type": kind})
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"cache": "\\ud800"}', b"nul"])
def test_a_body_that_is_no_json(script: Callable[..., Script], body: bytes) -> None:
    one = script()
    answer = one.client.post(
        V1, data=body, content_type="application/json", headers={"Authorization": f"Bearer {one.secret}"}
    )
    problem(answer, 400, "no_json")


@pytest.mark.parametrize("body", [[], 5, "text", None, [{"cache": "main"}]])
def test_json_that_is_no_object(script: Callable[..., Script], body: object) -> None:
    problem(script().post(V1, body), 422, "invalid")


def test_a_body_that_is_too_large(script: Callable[..., Script]) -> None:
    problem(script().invalidate(pattern="a" * 1024 * 1024), 413, "request_entity_too_large")


def test_what_was_sent_is_not_repeated(script: Callable[..., Script]) -> None:
    answer = script().invalidate(pattern="a*", mode="<script>", keys=[5], sec_ret=1)
    problem(answer, 422, "invalid")
    assert "<script>" not in answer.text


def test_a_cache_that_does_not_answer(
    app: Flask, script: Callable[..., Script], settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    server: Server = start()
    caches = Settings(caches=f"main={server.url}").caches  # type: ignore[arg-type]
    server.stop()
    client = make_app(settings.model_copy(update={"caches": caches})).test_client()
    one = Script(client, script().secret)
    body = one.invalidate("", keys=["a"]).json
    assert body["state"] == "failed"
    assert body["problem"]["sentence"]


def test_a_defect_of_ours_says_nothing_of_itself(
    app: Flask, script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dashboard.views.api import routes

    def broken(*_: object) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(routes.invalidating, "current", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    found = problem(script().get(f"{V1}/1"), 500, "internal_server_error")
    assert "swordfish" not in json.dumps(found)
    assert "swordfish" in caplog.text


def test_a_database_that_is_gone(
    app: Flask, script: Callable[..., Script], valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.store.errors import StoreUnavailable
    from dashboard.views import bearer

    def gone(*_: object) -> None:
        raise StoreUnavailable("Cachedeck's own database does not answer.", "Look at the log.")

    one = script()
    monkeypatch.setattr(bearer.tokens, "bearer", gone)
    found = problem(one.get(f"{V1}/1"), 503, "store_unavailable")
    assert found["advice"] == "Look at the log."
    assert isinstance(valkey.client(), redis.Redis)


def test_every_refusal_is_documented() -> None:
    """A kind of refusal that is added has a line in docs/api.md, which scripts are written from."""
    from dashboard.jobs import refused
    from dashboard.views.api.problems import code_of

    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    kinds = {
        code_of(kind)
        for kind in vars(refused).values()
        if isinstance(kind, type) and kind.__module__ == refused.__name__
    }
    of_pages = {"refused", "no_such_invalidation", "not_yours", "altered"}  # the base; those that no request here meets
    assert len(kinds) > 8
    assert [code for code in kinds - of_pages if f"`{code}`" not in text] == []
