"""The shop's own database: what it answers and the changes it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dashboard.demo import queries
from dashboard.demo.encoding import Document
from dashboard.demo.schema import posts, prices, products, users

POSTS_KEPT = 20  # a user; older ones go, so that a demo which runs for weeks does not grow
RESTOCKED = 200  # pieces that a sold-out product has again
CATALOGUE_SIZE = 400  # products


class Shop:
    """One database. Every method is one or a few short reads, or one transaction; SQLAlchemyError where it fails.

    `users` and `products` are how many there are, with ids from 1.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 2.0})
        sa.event.listen(self._engine, "connect", _prepare)
        self._clock = clock
        (size,) = self._all(queries.SIZE)
        self.users, self.products = int(size["users"]), int(size["products"])

    def close(self) -> None:
        self._engine.dispose()

    def user(self, user_id: int) -> Document | None:
        """A user, with how many posts there are and the titles of the newest."""
        user = self._one(queries.USER, user_id=user_id)
        return user and {**user, "latest": self._all(queries.LATEST_POSTS, user_id=user_id)}

    def posts(self, user_id: int) -> Document | None:
        """The newest posts of a user, each with its product; None where there is no such user."""
        found = self._all(queries.POSTS, user_id=user_id)
        if not found and self._one(queries.USER, user_id=user_id) is None:
            return None
        return {"user": user_id, "posts": found}

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

    def change_user(self, user_id: int, changes: dict[str, str]) -> bool:
        """Set columns of a user; False where there is no such user."""
        return self._change(users.update().where(users.c.id == user_id).values(**changes))

    def add_post(self, user_id: int, product_id: int, title: str, body: str) -> bool:
        """Add a post and drop the user's oldest beyond POSTS_KEPT; False where there is no such user."""
        of_user = posts.c.user_id == user_id
        kept = sa.select(posts.c.id).where(of_user).order_by(posts.c.id.desc()).limit(POSTS_KEPT)
        post = {"user_id": user_id, "product_id": product_id, "title": title, "body": body}
        with self._engine.begin() as connection:
            if connection.execute(sa.select(users.c.id).where(users.c.id == user_id)).first() is None:
                return False
            connection.execute(posts.insert().values(**post, posted=int(self._clock())))
            connection.execute(posts.delete().where(of_user, posts.c.id.not_in(kept)))
        return True

    def change_price(self, sku: str, cents: int) -> bool:
        """Set a price; False where there is no such product."""
        changes = {"cents": cents, "changed": int(self._clock())}
        return self._change(prices.update().where(prices.c.sku == sku).values(**changes))

    def sell(self, product_id: int, quantity: int) -> bool:
        """Take pieces from the stock, which is filled up when it ends; False where there is no such product."""
        left = products.c.stock - quantity
        stock = sa.case((left >= 0, left), else_=RESTOCKED)
        changes = {"stock": stock, "sold": products.c.sold + quantity}
        return self._change(products.update().where(products.c.id == product_id).values(changes))

    def _one(self, query: queries.Query, **parameters: object) -> Document | None:
        rows = self._all(query, **parameters)
        return rows[0] if rows else None

    def _all(self, query: queries.Query, **parameters: object) -> list[Document]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query, parameters).mappings()]

    def _change(self, statement: sa.Update) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def _prepare(connection: Any, _record: object) -> None:
    # WAL lets the readers go on while a write is under way.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()
