"""Rows of the shop's database, the same for the same seed."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboard.demo.keyspace import sku
from dashboard.demo.words import (
    ADJECTIVES,
    BOOK_FORMS,
    BOOK_TOPICS,
    CITIES,
    FAMILY_NAMES,
    GIVEN_NAMES,
    MATERIALS,
    SENTENCE_PARTS,
    THINGS,
)

Row = dict[str, Any]
NEWEST = 1_750_000_000  # epoch seconds; fixed, because the rows do not depend on when they were made
YEAR = 365 * 86400
BOOKS = 0.15  # share of the products


@dataclass(frozen=True)
class Size:
    """How many rows. A user has 0 to 8 posts, three on average."""

    users: int = 100_000
    products: int = 20_000


class Maker:
    """Makes the rows of each table, in a fixed order of draws."""

    def __init__(self, size: Size, seed: int) -> None:
        self._size = size
        self._random = random.Random(seed)  # noqa: S311 - test data, not secrets
        # Texts are drawn from ready sentences: making each from its parts would take most of the build's time.
        self._sentences = [self._sentence() for _ in range(4000)]

    def users(self) -> Iterator[Row]:
        draw = self._random
        for user_id in range(1, self._size.users + 1):
            given, family = draw.choice(GIVEN_NAMES), draw.choice(FAMILY_NAMES)
            yield {
                "id": user_id,
                "name": f"{given} {family}",
                "email": f"{_plain(given)}.{_plain(family)}{user_id}@example.org",
                "city": draw.choice(CITIES),
                "bio": self._text(2),
                "joined": NEWEST - draw.randrange(5 * YEAR),
            }

    def posts(self) -> Iterator[Row]:
        draw = self._random
        counts = draw.choices(range(9), (14, 18, 16, 14, 12, 10, 8, 5, 3), k=self._size.users)
        post_id = 0
        for user_id, count in enumerate(counts, start=1):
            for _ in range(count):
                post_id += 1
                title = f"{draw.choice(ADJECTIVES)} {draw.choice(MATERIALS)} days".capitalize()
                yield {
                    "id": post_id,
                    "user_id": user_id,
                    "product_id": 1 + int(draw.random() * self._size.products),
                    "title": title,
                    "body": self._text(3),
                    "posted": NEWEST - draw.randrange(YEAR),
                }

    def products(self) -> Iterator[Row]:
        draw = self._random
        categories = {category: things.split() for category, things in THINGS.items()}
        for product_id in range(1, self._size.products + 1):
            if draw.random() < BOOKS:
                category = "books"
                name = f"{draw.choice(ADJECTIVES)} {draw.choice(BOOK_TOPICS)} {draw.choice(BOOK_FORMS)}"
            else:
                category = draw.choice(list(categories))
                thing = draw.choice(categories[category])
                name = f"{draw.choice(ADJECTIVES)} {draw.choice(MATERIALS)} {thing}"
            yield {
                "id": product_id,
                "sku": sku(product_id),
                "name": name,
                "category": category,
                "description": self._text(14),
                "stock": draw.randrange(20, 500),
                "sold": int(draw.paretovariate(1.2)),
            }

    def prices(self) -> Iterator[Row]:
        draw = self._random
        for product_id in range(1, self._size.products + 1):
            yield {
                "sku": sku(product_id),
                "cents": draw.randrange(2, 300) * 50 - 1,
                "currency": "EUR",
                "changed": NEWEST - draw.randrange(YEAR),
            }

    def _sentence(self) -> str:
        occasion, finding, verdict = (self._random.choice(parts) for parts in SENTENCE_PARTS)
        return f"{occasion} {finding}, {verdict}"

    def _text(self, sentences: int) -> str:
        return " ".join(self._random.choices(self._sentences, k=sentences))


def terms_of(product: Row) -> Iterator[Row]:
    """The search terms of one product."""
    for word in sorted({*product["name"].split(), product["category"]}):
        yield {"word": word, "product_id": product["id"]}


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return letters.replace("'", "")
