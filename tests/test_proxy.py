"""Cachedeck under a path and behind proxies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from dashboard import create_app
from dashboard.settings import Settings
from dashboard.views.deck import deck


@pytest.fixture
def _push_request_context() -> None:
    """Replaces pytest-flask's: an application context held open around a test would be shared by its requests."""


def make(folder: Path, **settings: object) -> Flask:
    return create_app(Settings(data=folder, secret_key="k" * 40, caches="main=redis://127.0.0.1:1", **settings))  # type: ignore[arg-type]


@pytest.fixture
def prefixed(tmp_path: Path) -> Iterator[Flask]:
    app = make(tmp_path, url_prefix="/ops/cache/", trusted_proxies=1)
    yield app
    with app.app_context():
        deck().close()


@pytest.mark.parametrize("path", ["/ops/cache/login", "/login"], ids=["passed on", "stripped"])
def test_the_prefix_may_be_passed_on_or_stripped(prefixed: Flask, path: str) -> None:
    page = prefixed.test_client().get(path).text
    addresses = re.findall(r'(?:src|href|action)="(/[^"]*)"', page)
    assert addresses
    assert all(address.startswith("/ops/cache/") for address in addresses)


def test_redirects_and_the_cookie_stay_under_the_prefix(prefixed: Flask) -> None:
    answer = prefixed.test_client().get("/ops/cache/", headers={"X-Forwarded-Proto": "https"})
    assert answer.location.startswith("/ops/cache/login")
    page = prefixed.test_client().get("/ops/cache/login", headers={"X-Forwarded-Proto": "https"})
    cookie = page.headers["Set-Cookie"]
    assert "Path=/ops/cache" in cookie
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_path_that_only_begins_like_the_prefix_is_not_it(prefixed: Flask) -> None:
    assert prefixed.test_client().get("/ops/cached/login").status_code in (303, 404)


def test_forwarded_headers_are_ignored_unless_a_proxy_is_trusted(tmp_path: Path) -> None:
    app = make(tmp_path)
    cookie = app.test_client().get("/login", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert "Secure" not in cookie
    with app.app_context():
        deck().close()
