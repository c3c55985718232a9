"""PUT and POST: change the row first, then forget the keys that showed it, and tell other processes of the shop."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from dashboard.demo.parts import parts
from dashboard.demo.reads import ID, SKU
from dashboard.demo.sessions import session_id

blueprint = Blueprint("writes", __name__)


@blueprint.put(f"/users/{ID}user_id>")
def change_user(user_id: int) -> Response:
    body = _body()
    changes = {"city": _text(body, "city", 60), "bio": _text(body, "bio", 1000)}
    return _changed(parts().rows.change("user", user_id, changes), parts().keys.user(user_id))


@blueprint.post(f"/users/{ID}user_id>/posts")
def add_post(user_id: int) -> Response:
    body = _body()
    title, text = _text(body, "title", 100), _text(body, "body", 4000)
    added = parts().shop.add_post(user_id, _product(body), title, text)
    # The profile shows how many posts there are, so it is out of date as well.
    return _changed(added, parts().keys.posts(user_id), parts().keys.user(user_id))


@blueprint.put(f"/prices/{SKU}")
def change_price(sku: str) -> Response:
    cents = _whole(_body(), "cents", 1, 10_000_000)
    return _changed(parts().rows.change("price", sku, {"cents": cents}), parts().keys.price(sku))


@blueprint.post("/carts")
def put_in_cart() -> Response:
    """Into the cart of the session of the cookie; `kept` is false where the cache, its only home, is away."""
    body, sid = _body(), _session()
    product_id, quantity = _product(body), _whole(body, "quantity", 1, 100)
    return jsonify(kept=parts().visits.put_in_cart(sid, product_id, quantity))


@blueprint.post("/orders")
def order() -> Response:
    """An order of one product by the session of the cookie, whose cart it empties."""
    body, sid = _body(), _session()
    product_id, quantity = _product(body), _whole(body, "quantity", 1, 100)
    response = _changed(parts().shop.sell(product_id, quantity), parts().keys.product(product_id))
    parts().visits.order(sid, product_id, quantity)
    return response


def _changed(version: int | None, *keys: str) -> Response:
    if version is None:
        raise NotFound("no such thing in this shop")
    # Where the cache cannot be told, a stale answer is possible until the TTL ends: say so.
    invalidated = parts().pattern.forget(keys)
    parts().invalidations.tell(keys)
    return jsonify(changed=True, invalidated=invalidated, version=version)


def _session() -> str:
    sid = session_id(request)
    if sid is None:
        raise BadRequest("a session cookie is needed: sid")
    return sid


def _body() -> dict[str, Any]:
    body = request.get_json()
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _product(body: dict[str, Any]) -> int:
    return _whole(body, "product", 1, 2_147_483_647)


def _whole(body: dict[str, Any], name: str, least: int, most: int) -> int:
    number = body.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise BadRequest(f"{name} must be a whole number, {least} to {most}")
    return number


def _text(body: dict[str, Any], name: str, longest: int) -> str:
    text = body.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        raise BadRequest(f"{name} must be a text of 1 to {longest} characters")
    return text
