"""GET: each through the caching pattern, which says by `X-Cache` where the answer came from."""

from __future__ import annotations

import re

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from dashboard.demo.encoding import Document
from dashboard.demo.parts import parts
from dashboard.demo.patterns import Answer

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
    document = _copied(parts().keys.product(product_id)).document
    return document and {name: document.get(name) for name in ("id", "name", "category", "stock")}


@blueprint.get(f"/users/{ID}user_id>")
def user(user_id: int) -> Response:
    return _through_cache(parts().keys.user(user_id))


@blueprint.get(f"/users/{ID}user_id>/posts")
def posts(user_id: int) -> Response:
    return _through_cache(parts().keys.posts(user_id))


@blueprint.get(f"/products/{ID}product_id>")
def product(product_id: int) -> Response:
    return _through_cache(parts().keys.product(product_id))


@blueprint.get(f"/prices/{SKU}")
def price(sku: str) -> Response:
    return _through_cache(parts().keys.price(sku))


@blueprint.get("/catalogue")
def catalogue() -> Response:
    return _through_cache(parts().keys.catalogue)


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
    return _through_cache(parts().keys.search(words, page))


def _through_cache(key: str) -> Response:
    answer = _copied(key) if parts().board.knobs.copies else _document(key)
    if answer.document is None:
        response = jsonify(error="no such thing in this shop")
        response.status_code = 404
    else:
        response = jsonify(answer.document)
    response.headers["X-Cache"] = answer.source
    return response


def _copied(key: str) -> Answer:
    """From this process's own copy, if it has one; else a copy is kept, unless the document changed meanwhile."""
    copies = parts().copies
    found = copies.get(key)
    if found is not None:
        parts().counters.count("copies")
        return Answer(found, "copy")
    ticket = copies.ticket()
    answer = _document(key)
    if answer.document is not None and answer.source in ("hit", "miss"):
        copies.put(key, answer.document, ticket, tags=_tags(answer.document))
    return answer


def _document(key: str) -> Answer:
    load, ttl = parts().sources.of(key)
    return parts().board.pattern.get(key, load, ttl)


def _tags(document: Document) -> list[str]:
    """By which an operator may have copies dropped: all products of a category."""
    category = document.get("category")
    return [f"category:{category}"] if category else []
