"""What a request's body holds, or BadRequest with a sentence."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest

from dashboard.demo.sql.rows import is_storable

LARGEST_ID = 2_147_483_647  # SQLite's and the URLs' own limit: a larger one is nobody's


def json_object() -> dict[str, Any]:
    """The body, which must say that it is JSON: no page of a stranger can make a browser send that here."""
    found = request.get_json()
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return found


def whole(body: dict[str, Any], name: str, least: int, most: int) -> int:
    number = body.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise BadRequest(f"{name} must be a whole number, {least} to {most}")
    return number


def seconds(body: dict[str, Any], name: str, most: float, default: float | None = None) -> float:
    number = body.get(name, default)
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number <= most:
        raise BadRequest(f"{name} must be a number of seconds, 0 to {most:g}")
    return float(number)


def text(body: dict[str, Any], name: str, longest: int) -> str:
    found = body.get(name)
    # What the database would refuse is refused here: write-behind acknowledges before the database has looked.
    if not isinstance(found, str) or not 0 < len(found) <= longest or not is_storable(found):
        raise BadRequest(f"{name} must be a text of 1 to {longest} characters")
    return found
