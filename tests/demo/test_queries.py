"""The shop's questions about one row find it by an index: none reads a whole table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dashboard.demo.sql import queries
from dashboard.demo.sql.database import Database, sqlite_url

OF_ONE_ROW = (
    "USER",
    "LATEST_POSTS",
    "POSTS",
    "POSTS_VERSION",
    "PRODUCT",
    "RELATED_PRODUCTS",
    "PRICE",
    "SEARCH",
    "MATCHES",
)
ASKED = {
    "user_id": 1,
    "product_id": 1,
    "category": "books",
    "sku": "SKU-00001",
    "words": ["books"],
    "count": 1,
    "offset": 0,
    "limit": 5,
}


@pytest.mark.parametrize("name", OF_ONE_ROW)
def test_it_searches_by_an_index(name: str, database: Path) -> None:
    sent: list[tuple[str, Any]] = []
    with closing(Database(sqlite_url(database))) as opened, opened.engine.connect() as connection:

        @sa.event.listens_for(opened.engine, "before_cursor_execute")
        def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
            sent.append((statement, parameters))

        connection.execute(getattr(queries, name), ASKED)
        statement, parameters = sent[0]
        steps = [step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()]
    whole_tables = {f"SCAN {table}" for table in ("users", "posts", "products", "prices", "terms")}
    assert [step for step in steps if step in whole_tables or step.startswith("MATERIALIZE")] == []
