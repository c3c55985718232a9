"""Our static files: addresses that change with the content, and gzip on the way.

Only static files are compressed. Pages carry CSRF tokens beside text that a stranger may have chosen
(a key's name, a pattern in the URL), and compressing those together tells of the one by the other
(BREACH, 2013).
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

_TEXTS = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml"})
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
    if request.endpoint != "static" or response.status_code not in (200, 304):
        return response
    if request.args.get("v"):
        response.headers["Cache-Control"] = _FOREVER
    if response.mimetype not in _TEXTS:
        return response
    response.vary.add("Accept-Encoding")
    # The tag is the file's own: a packed answer to a question about it is still an answer about this file.
    wanted = response.status_code == 200 and request.accept_encodings["gzip"] > 0 and "Range" not in request.headers
    path = _path((request.view_args or {})["filename"])
    if wanted and request.method == "GET" and path.stat().st_size >= _WORTH_BYTES:
        response.direct_passthrough = False
        if hasattr(response.response, "close"):  # the open file that Flask meant to send
            response.response.close()
        response.set_data(_packed(path, path.stat().st_mtime_ns))
        response.headers["Content-Encoding"] = "gzip"
    return response
