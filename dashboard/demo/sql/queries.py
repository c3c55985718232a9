"""The shop's questions to its database, written once: building them anew for each request would cost more than asking.

Parameters: user_id, product_id, sku, category, words (a list) and its length `count`, offset, limit.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dashboard.demo.sql.schema import posts, prices, products, terms, users

PAGE_SIZE = 20  # results a search page shows, and posts a user's page shows
SUMMARY_LENGTH = 300  # characters of a description
LATEST = 5  # posts that a profile names
RELATED = 8  # products that a product's page shows beside it

_of_user = posts.c.user_id == sa.bindparam("user_id")
_best_first = (products.c.sold.desc(), products.c.id)
_summary = sa.func.substr(products.c.description, 1, SUMMARY_LENGTH).label("summary")
_in_short = (products.c.id, products.c.sku, products.c.name, products.c.category, _summary)
_with_product = posts.join(products, products.c.id == posts.c.product_id)
_matching = (
    sa.select(terms.c.product_id)
    .where(terms.c.word.in_(sa.bindparam("words", expanding=True)))
    .group_by(terms.c.product_id)
    .having(sa.func.count() == sa.bindparam("count"))
)

Query = sa.Select[Any]

USER: Query = sa.select(
    *(column for column in users.c if column is not users.c.posts_version),
    sa.select(sa.func.count()).where(_of_user).scalar_subquery().label("posts"),
).where(users.c.id == sa.bindparam("user_id"))
LATEST_POSTS: Query = (
    sa.select(posts.c.id, posts.c.title, posts.c.posted, products.c.name.label("product"))
    .select_from(_with_product)
    .where(_of_user)
    .order_by(posts.c.id.desc())
    .limit(LATEST)
)
# With the version, and with one row of nothing for a user without posts: all of it is of one moment.
POSTS: Query = (
    sa.select(
        users.c.posts_version,
        posts.c.id,
        posts.c.title,
        posts.c.body,
        posts.c.posted,
        posts.c.product_id,
        products.c.name,
        products.c.description,
    )
    # Two plain outer joins: SQLite would make the join in brackets a table of all posts first.
    .select_from(
        users.outerjoin(posts, posts.c.user_id == users.c.id).outerjoin(products, products.c.id == posts.c.product_id)
    )
    .where(users.c.id == sa.bindparam("user_id"))
    .order_by(posts.c.id.desc())
    .limit(PAGE_SIZE)
)
POSTS_VERSION: Query = sa.select(users.c.posts_version).where(users.c.id == sa.bindparam("user_id"))
PRODUCT: Query = sa.select(products).where(products.c.id == sa.bindparam("product_id"))
RELATED_PRODUCTS: Query = (
    sa.select(*_in_short)
    .where(products.c.category == sa.bindparam("category"), products.c.id > sa.bindparam("product_id"))
    .order_by(products.c.id)
    .limit(RELATED)
)
PRICE: Query = sa.select(prices).where(prices.c.sku == sa.bindparam("sku"))
MATCHES: Query = sa.select(sa.func.count().label("total")).select_from(_matching.subquery())
SEARCH: Query = (
    sa.select(*_in_short)
    .where(products.c.id.in_(_matching))
    .order_by(*_best_first)
    .limit(PAGE_SIZE)
    .offset(sa.bindparam("offset"))
)
CATALOGUE: Query = sa.select(products).order_by(*_best_first).limit(sa.bindparam("limit"))
BESTSELLERS: Query = sa.select(products.c.id).order_by(*_best_first).limit(sa.bindparam("limit"))
SIZE: Query = sa.select(
    sa.select(sa.func.max(users.c.id)).scalar_subquery().label("users"),
    sa.select(sa.func.max(products.c.id)).scalar_subquery().label("products"),
)
