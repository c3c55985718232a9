"""Scripts with tokens in front of the application, a worker behind it, and a cache with keys that they may touch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.jobs.pool import Pool
from dashboard.settings import Settings
from dashboard.store import tokens
from dashboard.store.engine import Store
from dashboard.store.operators import Role
from dashboard.store.tokens import Draft
from tests.servers import Server
from tests.views.conftest import deck_of

V1 = "/api/v1/invalidations"
KEYS = 30  # of api:search:*


@pytest.fixture
def settings(settings: Settings, valkey: Server) -> Settings:
    with valkey.client() as client:
        client.mset({f"api:search:{number}": "v" for number in range(KEYS)})
        client.mset({f"other:{number}": "v" for number in range(20)})
        client.mset({b"api:\xff": b"binary", b"": b"empty"})
    urls = f"main={valkey.url} elsewhere={valkey.url}/1 seen={valkey.url}?read_only=yes"
    return settings.model_copy(update={"caches": Settings(caches=urls).caches})  # type: ignore[arg-type]


@pytest.fixture
def worker(app: Flask) -> Iterator[None]:
    deck = deck_of(app)
    pool = Pool(deck.store, deck.caches, deck.settings)
    pool.start()
    yield
    pool.finish(5)


@dataclass(frozen=True)
class Script:
    """Asks as a program does: JSON, and a token in the head."""

    client: FlaskClient
    secret: str

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self._head(headers))

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.client.post(
            path, data=json.dumps(body), headers={"Content-Type": "application/json"} | self._head(headers)
        )

    def invalidate(self, query: str = "?wait=20", idempotency: str = "", **body: Any) -> TestResponse:
        headers = {"Idempotency-Key": idempotency} if idempotency else {}
        return self.post(V1 + query, {"cache": "main", **body}, **headers)

    def _head(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}", **headers}


@pytest.fixture
def script(app: Flask, store: Store) -> Callable[..., Script]:
    """Makes a script whose token is as the Draft's fields say; an operator's for everything, if they say nothing."""
    made = 0

    def make(role: Role = Role.OPERATOR, **fields: Any) -> Script:
        nonlocal made
        made += 1
        _, secret = tokens.add(store, Draft(fields.pop("name", f"script {made}"), role, **fields), "zoe")
        return Script(app.test_client(), secret)

    return make


@pytest.fixture
def deploy(script: Callable[..., Script], worker: None) -> Script:
    """An operator's script, and a worker that does what it asks for."""
    return script(name="deploy")


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer, which is one, of this kind."""
    assert answer.mimetype == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json  # type: ignore[assignment]
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    assert body["detail"].endswith("."), body
    return body
