"""The shop's questions to its database and the changes it makes there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dashboard.demo.encoding import Document
from dashboard.demo.schema import posts, prices, products, terms, users

PAGE_SIZE = 20  # results a search page shows, and posts a user's page shows
POSTS_KEPT = 20  # a user; older ones go, so that a demo which runs for weeks does not grow
RESTOCKED = 200  # pieces that a sold-out product has again
CATALOGUE_SIZE = 400
SUMMARY_LENGTH = 300  # characters of a description
LATEST = 5  # posts that a profile names
RELATED = 8  # products that a product's page shows beside it


class Shop:
    """One database. Every method is one short transaction; sqlalchemy.exc.SQLAlchemyError means it has failed."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 2.0})
        sa.event.listen(self._engine, "connect", _prepare)
        self._clock = clock
        with self._engine.connect() as connection:
            self.users = connection.execute(sa.select(sa.func.max(users.c.id))).scalar_one()
            self.products = connection.execute(sa.select(sa.func.max(products.c.id))).scalar_one()

    def close(self) -> None:
        self._engine.dispose()

    def user(self, user_id: int) -> Document | None:
        """A user, with how many posts there are and the titles of the newest."""
        user = self._one(sa.select(users).where(users.c.id == user_id))
        if user is None:
            return None
        count = sa.select(sa.func.count().label("posts")).where(posts.c.user_id == user_id)
        latest = (
            sa.select(posts.c.id, posts.c.title, posts.c.posted, products.c.name.label("product"))
            .join(products, products.c.id == posts.c.product_id)
            .where(posts.c.user_id == user_id)
            .order_by(posts.c.id.desc())
            .limit(LATEST)
        )
        return {**user, **self._all(count)[0], "latest": self._all(latest)}

    def posts(self, user_id: int) -> Document | None:
        """The newest posts of a user, each with its product; None where there is no such user."""
        newest = (
            sa.select(
                posts.c.id,
                posts.c.title,
                posts.c.body,
                posts.c.posted,
                posts.c.product_id,
                products.c.name,
                products.c.description,
            )
            .join(products, products.c.id == posts.c.product_id)
            .where(posts.c.user_id == user_id)
            .order_by(posts.c.id.desc())
            .limit(PAGE_SIZE)
        )
        found = self._all(newest)
        if not found and self._one(sa.select(users.c.id).where(users.c.id == user_id)) is None:
            return None
        return {"user": user_id, "posts": found}

    def product(self, product_id: int) -> Document | None:
        """A product, and some others of its category in short."""
        product = self._one(sa.select(products).where(products.c.id == product_id))
        if product is None:
            return None
        others = (
            sa.select(*_in_short())
            .where(products.c.category == product["category"], products.c.id > product_id)
            .order_by(products.c.id)
            .limit(RELATED)
        )
        return {**product, "related": self._all(others)}

    def price(self, sku: str) -> Document | None:
        return self._one(sa.select(prices).where(prices.c.sku == sku))

    def search(self, words: Sequence[str], page: int) -> Document:
        """The page (from 1) of the products that carry every one of the words, best sellers first."""
        wanted = set(words)
        matching = (
            sa.select(terms.c.product_id)
            .where(terms.c.word.in_(wanted))
            .group_by(terms.c.product_id)
            .having(sa.func.count() == len(wanted))
        )
        shown = (
            sa.select(*_in_short())
            .where(products.c.id.in_(matching))
            .order_by(products.c.sold.desc(), products.c.id)
            .limit(PAGE_SIZE)
            .offset((page - 1) * PAGE_SIZE)
        )
        total = self._one(sa.select(sa.func.count().label("total")).select_from(matching.subquery()))
        return {"q": " ".join(words), "page": page, **(total or {}), "results": self._all(shown)}

    def catalogue(self) -> Document:
        """The best-selling products with their whole descriptions."""
        best = products.c.sold.desc(), products.c.id
        return {"products": self._all(sa.select(products).order_by(*best).limit(CATALOGUE_SIZE))}

    def bestsellers(self, count: int) -> list[int]:
        best = sa.select(products.c.id).order_by(products.c.sold.desc(), products.c.id).limit(count)
        return [row["id"] for row in self._all(best)]

    def change_user(self, user_id: int, changes: dict[str, str]) -> bool:
        """Set columns of a user; False where there is no such user."""
        return self._change(users.update().where(users.c.id == user_id).values(**changes))

    def add_post(self, user_id: int, product_id: int, title: str, body: str) -> bool:
        """Add a post and drop the user's oldest beyond POSTS_KEPT; False where there is no such user."""
        of_user = posts.c.user_id == user_id
        kept = sa.select(posts.c.id).where(of_user).order_by(posts.c.id.desc()).limit(POSTS_KEPT)
        with self._engine.begin() as connection:
            if connection.execute(sa.select(users.c.id).where(users.c.id == user_id)).first() is None:
                return False
            post = {"user_id": user_id, "product_id": product_id, "title": title, "body": body}
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

    def _one(self, query: sa.Select[Any]) -> Document | None:
        rows = self._all(query)
        return rows[0] if rows else None

    def _all(self, query: sa.Select[Any]) -> list[Document]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _change(self, statement: sa.Update) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def _in_short() -> tuple[sa.ColumnElement[Any], ...]:
    summary = sa.func.substr(products.c.description, 1, SUMMARY_LENGTH).label("summary")
    return products.c.id, products.c.sku, products.c.name, products.c.category, summary


def _prepare(connection: Any, _record: object) -> None:
    # WAL lets the readers go on while a write is under way.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()
