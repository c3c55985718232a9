"""Static files: packed, marked by their content, and cached for ever."""

from __future__ import annotations

import gzip
import json
import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def sheet(client: FlaskClient) -> str:
    found = re.search(r'href="(/static/css/base.css\?v=[0-9a-f]+)"', client.get("/login").text)
    assert found
    return found.group(1)


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    """An answer, read to its end and closed, as a browser would."""
    return client.get(path, headers=headers, buffered=True)


def test_it_is_packed_for_who_takes_gzip(client: FlaskClient) -> None:
    plain = get(client, sheet(client))
    packed = get(client, sheet(client), **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]


def test_a_marked_address_may_be_kept_for_ever_and_another_not(client: FlaskClient) -> None:
    assert "immutable" in get(client, sheet(client)).headers["Cache-Control"]
    assert "immutable" not in get(client, "/static/css/base.css").headers.get("Cache-Control", "")


def test_a_page_is_never_packed(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/login", headers={"Accept-Encoding": "gzip"}).headers


def test_a_file_outside_is_not_served(client: FlaskClient) -> None:
    assert client.get("/static/../pyproject.toml").status_code == 404


def test_the_figures_of_the_charts_are_packed(viewer: FlaskClient) -> None:
    plain = viewer.get("/caches/main/samples")
    packed = viewer.get("/caches/main/samples", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.data)).keys() == json.loads(plain.data).keys()
