"""What the shop reads from its own database, and the changes that no caching pattern is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from dashboard.demo.encoding import Document
from dashboard.demo.sql import queries
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.schema import posts, products

POSTS_KEPT = 20  # a user; older ones go, so that a demo which runs for weeks does not grow
RESTOCKED = 200  # pieces that a sold-out product has again
CATALOGUE_SIZE = 400  # products


class Shop:
    """The shop over a database. Every method is one or a few short reads, or one transaction.

    Raises SQLAlchemyError where the database fails. A document of one row has its `version`, and is never older than
    this says: what takes a second statement is read after it. A change gives the new version, None where there is no
    such row. `users` and `products` are how many there are, with ids from 1.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._all = database.all
        self._clock = clock
        (size,) = self._all(queries.SIZE)
        self.users, self.products = int(size["users"]), int(size["products"])

    def user(self, user_id: int) -> Document | None:
        """A user, with how many posts there are and the titles of the newest."""
        user = self._one(queries.USER, user_id=user_id)
        return user and {**user, "latest": self._all(queries.LATEST_POSTS, user_id=user_id)}

    def posts(self, user_id: int) -> Document | None:
        """The newest posts of a user, each with its product; None where there is no such user."""
        found = self._all(queries.POSTS, user_id=user_id)
        if not found:
            return None
        versions = [post.pop("posts_version") for post in found]
        return {"user": user_id, "version": versions[0], "posts": [post for post in found if post["id"] is not None]}

    def product(self, product_id: int) -> Document | None:
        """A product, and some others of its category in short."""
        product = self._one(queries.PRODUCT, product_id=product_id)
        if product is None:
            return None
        category = product["category"]
        related = self._all(queries.RELATED_PRODUCTS, product_id=product_id, category=category)
        return {**product, "related": related}

    def price(self, sku: str) -> Document | None:
        return self._one(queries.PRICE, sku=sku)

    def search(self, words: Sequence[str], page: int) -> Document:
        """The page (from 1) of the products that carry every one of the words, best sellers first."""
        wanted = {"words": sorted(set(words)), "count": len(set(words))}
        (matches,) = self._all(queries.MATCHES, **wanted)
        results = self._all(queries.SEARCH, **wanted, offset=(page - 1) * queries.PAGE_SIZE)
        return {"q": " ".join(words), "page": page, "total": matches["total"], "results": results}

    def catalogue(self) -> Document:
        """The best-selling products with their whole descriptions."""
        return {"products": self._all(queries.CATALOGUE, limit=CATALOGUE_SIZE)}

    def bestsellers(self, count: int) -> list[int]:
        return [row["id"] for row in self._all(queries.BESTSELLERS, limit=count)]

    def add_post(self, user_id: int, product_id: int, title: str, body: str) -> int | None:
        """Add a post and drop the user's oldest beyond POSTS_KEPT; the new version of the user's posts.

        The profile changes as well, since it shows how many there are. Each post that comes or goes grows both
        versions by one (triggers.py).
        """
        of_user = posts.c.user_id == user_id
        kept = sa.select(posts.c.id).where(of_user).order_by(posts.c.id.desc()).limit(POSTS_KEPT)
        post = {"user_id": user_id, "product_id": product_id, "title": title, "body": body}
        with self._database.begin() as connection:
            if connection.execute(queries.POSTS_VERSION, {"user_id": user_id}).first() is None:
                return None
            connection.execute(posts.insert().values(**post, posted=int(self._clock())))
            connection.execute(posts.delete().where(of_user, posts.c.id.not_in(kept)))
            version: int = connection.execute(queries.POSTS_VERSION, {"user_id": user_id}).scalar_one()
            return version

    def sell(self, product_id: int, quantity: int) -> int | None:
        """Take pieces from the stock, which is filled up when it ends."""
        left = products.c.stock - quantity
        changes = {
            "stock": sa.case((left >= 0, left), else_=RESTOCKED),
            "sold": products.c.sold + quantity,
            "version": products.c.version + 1,
        }
        statement = products.update().where(products.c.id == product_id).values(changes)
        with self._database.begin() as connection:
            version: int | None = connection.execute(statement.returning(products.c.version)).scalar_one_or_none()
            return version

    def _one(self, query: queries.Query, **parameters: object) -> Document | None:
        rows = self._all(query, **parameters)
        return rows[0] if rows else None
