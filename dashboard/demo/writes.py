"""PUT and POST: change the row as the pattern does it, and tell the processes of the shop, which may keep copies."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from dashboard.demo.bodies import LARGEST_ID, json_object, text, whole
from dashboard.demo.parts import parts
from dashboard.demo.patterns import Change, Changed
from dashboard.demo.reads import ID, SKU
from dashboard.demo.sessions import session_id

blueprint = Blueprint("writes", __name__)


@blueprint.put(f"/users/{ID}user_id>")
def change_user(user_id: int) -> Response:
    body = json_object()
    values = {"city": text(body, "city", 60), "bio": text(body, "bio", 1000)}
    return _through_pattern("user", user_id, values, parts().keys.user(user_id))


@blueprint.put(f"/prices/{SKU}")
def change_price(sku: str) -> Response:
    # When it was changed is the visitor's moment, not that of whoever writes it to the database later.
    values = {"cents": whole(json_object(), "cents", 1, 10_000_000), "changed": int(time.time())}
    return _through_pattern("price", sku, values, parts().keys.price(sku))


@blueprint.post(f"/users/{ID}user_id>/posts")
def add_post(user_id: int) -> Response:
    body = json_object()
    title, words = text(body, "title", 100), text(body, "body", 4000)
    version = parts().shop.add_post(user_id, _product(body), title, words)
    # The profile shows how many posts there are, so it is out of date as well.
    return _past_pattern(version, parts().keys.posts(user_id), parts().keys.user(user_id))


@blueprint.post("/carts")
def put_in_cart() -> Response:
    """Into the cart of the session of the cookie; `kept` is false where the cache, its only home, is away."""
    body, sid = json_object(), _session()
    product_id, quantity = _product(body), whole(body, "quantity", 1, 100)
    return jsonify(kept=parts().visits.put_in_cart(sid, product_id, quantity))


@blueprint.post("/orders")
def order() -> Response:
    """An order of one product by the session of the cookie, whose cart it empties."""
    body, sid = json_object(), _session()
    product_id, quantity = _product(body), whole(body, "quantity", 1, 100)
    response = _past_pattern(parts().shop.sell(product_id, quantity), parts().keys.product(product_id))
    parts().visits.order(sid, product_id, quantity)
    return response


def _through_pattern(kind: str, row: int | str, values: dict[str, Any], key: str) -> Response:
    load, ttl = parts().sources.of(key)
    with parts().board.changing() as pattern:
        changed = pattern.update(Change(kind, row, values, key, load), ttl)
    return _answer(changed, key)


def _past_pattern(version: int | None, *keys: str) -> Response:
    """For rows that are added to or counted down: that cannot be repeated, so it goes to the database under any
    pattern, and the keys that show it are forgotten."""
    told = version is not None and parts().board.pattern.forget(keys)
    return _answer(Changed(version, told=told), *keys)


def _answer(changed: Changed, *keys: str) -> Response:
    if changed.version is None:
        raise NotFound("no such thing in this shop")
    parts().invalidations.tell(keys)
    # Where the cache could not be told, a stale answer is possible until the relay has told it: say so.
    return jsonify(changed=True, invalidated=changed.told, queued=changed.queued, version=changed.version)


def _session() -> str:
    sid = session_id(request)
    if sid is None:
        raise BadRequest("a session cookie is needed: sid")
    return sid


def _product(body: dict[str, Any]) -> int:
    return whole(body, "product", 1, LARGEST_ID)
