"""GET: each through the caching pattern, which says by `X-Cache` where the answer came from."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from dashboard.demo.encoding import Document
from dashboard.demo.parts import parts

LONGEST_QUERY = 80  # characters
MOST_WORDS = 5
LAST_PAGE = 50
SHOWN = 5  # products in the shop window
# The database's integers end where SQLite's do; a larger id is a 404 and never reaches it.
ID = "<int(max=2147483647):"
SKU = "<string(maxlength=20):sku>"  # what cannot be one never becomes a key

blueprint = Blueprint("reads", __name__)


@blueprint.get("/")
def window() -> Response:
    """The shop window: how large the shop is, who is here, what sells, what was searched last."""
    seen, shop = parts().visits.window(), parts().shop
    bestsellers = seen.bestsellers or tuple(shop.bestsellers(10))
    return jsonify(
        users=shop.users,
        products=shop.products,
        online=seen.online,
        bestsellers=bestsellers,
        showcase=[shown for number in bestsellers[:SHOWN] if (shown := _in_short(number))],
        searches=seen.searches,
    )


def _in_short(product_id: int) -> Document | None:
    """What the window shows of a product: from a copy of this process, so that a visit does not cost five look-ups."""
    key = parts().keys.product(product_id)
    found = parts().copies.get(key)
    if found is None:
        answer = parts().pattern.get(key, lambda: parts().shop.product(product_id), parts().lifetimes.of("product"))
        if answer.document is None:
            return None
        found = {name: answer.document.get(name) for name in ("id", "name", "category", "stock")}
        parts().copies.put(key, found, [f"category:{found['category']}"])
    return found


@blueprint.get(f"/users/{ID}user_id>")
def user(user_id: int) -> Response:
    return _through_cache(parts().keys.user(user_id), "profile", lambda: parts().shop.user(user_id))


@blueprint.get(f"/users/{ID}user_id>/posts")
def posts(user_id: int) -> Response:
    return _through_cache(parts().keys.posts(user_id), "posts", lambda: parts().shop.posts(user_id))


@blueprint.get(f"/products/{ID}product_id>")
def product(product_id: int) -> Response:
    return _through_cache(parts().keys.product(product_id), "product", lambda: parts().shop.product(product_id))


@blueprint.get(f"/prices/{SKU}")
def price(sku: str) -> Response:
    return _through_cache(parts().keys.price(sku), "price", lambda: parts().shop.price(sku))


@blueprint.get("/catalogue")
def catalogue() -> Response:
    return _through_cache(parts().keys.catalogue, "catalogue", parts().shop.catalogue)


@blueprint.get("/search")
def search() -> Response:
    query = request.args.get("q", "")
    words = tuple(re.findall(r"[\w-]+", query.lower())[:MOST_WORDS])
    page = request.args.get("page", 1, type=int)
    if not words or len(query) > LONGEST_QUERY:
        raise BadRequest(f"q must hold a word and at most {LONGEST_QUERY} characters")
    if not 1 <= page <= LAST_PAGE:
        raise BadRequest(f"page must be 1 to {LAST_PAGE}")
    if page == 1:
        parts().visits.searched(" ".join(words))
    return _through_cache(parts().keys.search(words, page), "search", lambda: parts().shop.search(words, page))


def _through_cache(key: str, ttl_class: str, load: Callable[[], Document | None]) -> Response:
    answer = parts().pattern.get(key, load, parts().lifetimes.of(ttl_class))
    if answer.document is None:
        response = jsonify(error="no such thing in this shop")
        response.status_code = 404
    else:
        response = jsonify(answer.document)
    response.headers["X-Cache"] = answer.source
    return response
