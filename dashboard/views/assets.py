"""Our static files: addresses that change with the content, and gzip on the way.

Only static files and the figures of the charts are compressed. Pages carry CSRF tokens beside text
that a stranger may have chosen (a key's name, a pattern in the URL), and compressing those together
tells of the one by the other (BREACH, 2013).
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

_TEXTS = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml"})
_FIGURES = frozenset({"overview.samples"})  # numbers only, polled every few seconds
_WORTH_BYTES = 512
_FOREVER = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    app.jinja_env.globals["static_url"] = static_url
    app.after_request(_pack)


def static_url(filename: str) -> str:
    """The address of a file of ours with a mark of its content, so that it may be cached for ever."""
    path = _path(filename)
    return url_for("static", filename=filename, v=_mark(path, path.stat().st_mtime_ns))


def _path(filename: str) -> Path:
    return Path(str(current_app.static_folder)) / filename


@lru_cache(maxsize=256)
def _mark(path: Path, _changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


@lru_cache(maxsize=256)
def _packed(path: Path, _changed_ns: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


def _pack(response: Response) -> Response:
    """After each answer: pack it where that is worth it, safe, and wanted."""
    takes_gzip = request.method == "GET" and request.accept_encodings["gzip"] > 0
    if request.endpoint == "static" and response.status_code in (200, 304):
        _keep(response)
        return _pack_file(response, takes_gzip=takes_gzip)
    if request.endpoint in _FIGURES and response.status_code == 200:
        response.vary.add("Accept-Encoding")
        if takes_gzip:
            _answer(response, gzip.compress(response.get_data(), compresslevel=4, mtime=0))
    return response


def _keep(response: Response) -> None:
    if request.args.get("v"):
        response.headers["Cache-Control"] = _FOREVER


def _pack_file(response: Response, *, takes_gzip: bool) -> Response:
    if response.mimetype not in _TEXTS:
        return response
    response.vary.add("Accept-Encoding")
    path = _path((request.view_args or {})["filename"])
    whole = response.status_code == 200 and "Range" not in request.headers
    if takes_gzip and whole and path.stat().st_size >= _WORTH_BYTES:
        response.direct_passthrough = False
        if hasattr(response.response, "close"):  # the open file that Flask meant to send
            response.response.close()
        _answer(response, _packed(path, path.stat().st_mtime_ns))
    return response


def _answer(response: Response, packed: bytes) -> None:
    # The file's ETag stays: it asks about the file, however its answer is packed.
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
