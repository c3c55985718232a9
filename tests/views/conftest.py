"""The application in front of a real Valkey, and browsers that are signed in to it.

CSRF is on, as in production: take a token by `token(client)`, or send with `post(client, ...)`.
Clients sign in by the login form; only the hashing is made cheap (see `_cheap_argon2`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf.csrf import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from dashboard import create_app
from dashboard.settings import Settings
from dashboard.store import operators, passwords
from dashboard.store.engine import Store, open_store
from dashboard.store.operators import Role
from dashboard.views.deck import Deck
from dashboard.views.lab import looks as lab_looks
from tests.lab.bench import Bench, serving
from tests.servers import Server

PASSWORD = "correct horse battery"
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.ADMIN: "ada"}


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Replaces pytest-flask's, which keeps one application context open around a whole test.

    flask.g, and with it flask-login's current user, would then be the same in all its requests.
    """


CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id at its lowest cost: the code path is the same, a hash takes microseconds."""


@pytest.fixture(autouse=True)
def _cheap_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the tests of this folder only: others, in the same process, look at the real cost."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)


@pytest.fixture(scope="session")
def _furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database and one operator of each role, to be copied."""
    folder = tmp_path_factory.mktemp("furnished")
    store = open_store(f"sqlite:///{folder / 'cachedeck.db'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", CHEAP)
        for role, name in NAMES.items():
            operators.add(store, name, PASSWORD, role)
    store.close()
    return folder


@pytest.fixture
def settings(tmp_path: Path, _furnished: Path, valkey: Server) -> Settings:
    data = tmp_path / "data"
    shutil.copytree(_furnished, data)
    return Settings(caches=f"main={valkey.url}", data=data, secret_key="k" * 40)  # type: ignore[arg-type]


@pytest.fixture
def make_app() -> Iterator[Callable[[Settings], Flask]]:
    """create_app() for settings of a test's own; closed at its end."""
    made: list[Flask] = []

    def make(settings: Settings) -> Flask:
        app = create_app(settings)
        app.config["TESTING"] = True
        made.append(app)
        return app

    yield make
    for app in made:
        deck_of(app).close()


@pytest.fixture
def app(settings: Settings, make_app: Callable[[Settings], Flask]) -> Flask:
    return make_app(settings)


@pytest.fixture
def store(app: Flask) -> Store:
    return deck_of(app).store


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that is not signed in."""
    return app.test_client()


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    return signed_in_client(app, Role.VIEWER)


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    return signed_in_client(app, Role.OPERATOR)


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    return signed_in_client(app, Role.ADMIN)


def deck_of(app: Flask) -> Deck:
    with app.app_context():
        from dashboard.views.deck import deck

        return deck()


def signed_in_client(app: Flask, role: Role) -> FlaskClient:
    """A new browser, signed in as the operator of that role."""
    client = app.test_client()
    answer = sign_in(client, NAMES[role])
    assert answer.status_code == 303, answer.text
    return client


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD, **fields: str) -> TestResponse:
    return post(client, "/login", {"name": name, "password": password, **fields})


def token(client: FlaskClient) -> str:
    """A CSRF token of the client's session, as its pages would carry it."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "0123456789" * 4)
    serializer = URLSafeTimedSerializer(str(client.application.secret_key), salt="wtf-csrf-token")
    return str(serializer.dumps(raw))


def post(client: FlaskClient, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
    """POST a form of ours, with its token."""
    return client.post(path, data={**(data or {}), "csrf_token": token(client)}, **options)


def by_htmx(client: FlaskClient, **headers: str) -> dict[str, str]:
    """The headers that htmx sends with a request of its own."""
    return {"HX-Request": "true", "HX-Source": "div", "X-CSRFToken": token(client), **headers}


@pytest.fixture
def bench() -> Bench:
    """A bench of the demo that answers what a test sets, and notes what it is asked."""
    return Bench()


@pytest.fixture
def lab(
    bench: Bench, settings: Settings, make_app: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """The application with a demo whose every answer is shown, and not one of a second ago."""
    monkeypatch.setattr(lab_looks, "FRESH_SECONDS", 0.0)
    with serving(bench) as url:
        yield make_app(settings.model_copy(update={"demo_url": url}))
