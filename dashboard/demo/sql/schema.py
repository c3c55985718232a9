"""Tables of the shop's own database, and which of their rows carry a version.

A version is of one row and grows by each change of it, so that of two documents of the row one can tell the newer. It
says nothing of what the document shows of other rows: a product's name beside a post is as old as the TTL allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

SCHEMA_VERSION = 2  # a database of another version is made anew: nothing in it is worth keeping
POSTGRES_SCHEMA = "shop"  # on PostgreSQL the tables have a schema of their own, apart from whatever else is there

metadata = sa.MetaData()


def _version(name: str = "version") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="1")


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("city", sa.Text, nullable=False),
    sa.Column("bio", sa.Text, nullable=False),
    sa.Column("joined", sa.Integer, nullable=False),
    _version(),
    _version("posts_version"),
)
posts = sa.Table(
    "posts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, nullable=False),
    sa.Column("product_id", sa.Integer, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("posted", sa.Integer, nullable=False),
    sa.Index("posts_of_user", "user_id", "id"),
)
products = sa.Table(
    "products",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("stock", sa.Integer, nullable=False),
    sa.Column("sold", sa.Integer, nullable=False),
    _version(),
    sa.Index("products_by_sold", "sold"),
    sa.Index("products_of_category", "category", "id"),
)
prices = sa.Table(
    "prices",
    metadata,
    sa.Column("sku", sa.Text, primary_key=True),
    sa.Column("cents", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("changed", sa.Integer, nullable=False),
    _version(),
    sqlite_with_rowid=False,
)
terms = sa.Table(
    "terms",
    metadata,
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("product_id", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
# What has changed and is not told yet. Triggers (triggers.py) fill it, the relay (relay.py) empties it.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("row_id", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger),  # null: the row was made or removed, so no version of it is the newest
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Versioned:
    """A kind of document: what names its row, where its version is, and which columns a change may set to what."""

    key: sa.Column[Any]
    version: sa.Column[int]
    changeable: Mapping[str, type] = field(default_factory=dict)

    @property
    def table(self) -> sa.Table:
        return self.key.table


KINDS: Mapping[str, Versioned] = {
    "user": Versioned(users.c.id, users.c.version, {"city": str, "bio": str}),
    "posts": Versioned(users.c.id, users.c.posts_version),
    "product": Versioned(products.c.id, products.c.version),
    "price": Versioned(prices.c.sku, prices.c.version, {"cents": int, "changed": int}),
}
