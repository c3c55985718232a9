"""Tables of the shop's own database."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA_VERSION = 1  # a database file of another version is made anew: nothing in it is worth keeping

metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("city", sa.Text, nullable=False),
    sa.Column("bio", sa.Text, nullable=False),
    sa.Column("joined", sa.Integer, nullable=False),
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
    sqlite_with_rowid=False,
)
terms = sa.Table(
    "terms",
    metadata,
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("product_id", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
