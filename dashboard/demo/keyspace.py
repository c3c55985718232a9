"""The shop's keys by name. All of them may stand behind one prefix, which keeps a visiting shop apart in a cache.

key                            type         TTL class  what it holds
api:user:42                    hash         profile    a user
api:user:42:posts              hash         posts      the user's newest posts
api:product:17                 hash         product    a product
api:search:q=red+shoes&page=1  hash         search     a page of results
api:price:SKU-00017            hash         price      a price
api:catalogue                  hash         catalogue  the best-selling products, one large value
lease:{api:user:42}            string       -          who fills this entry now, for a few seconds
sess:<sid>                     hash         session    a visitor's session
cart:<sid>                     hash         cart       product id -> quantity
rate:<sid>:<minute>            string       rate       requests of one session in one minute
online:<minute>                set          online     sessions seen in that minute
shop:bestsellers               sorted set   none       product id -> pieces sold, the first 200
shop:searches                  list         none       the last 100 searches
shop:orders                    stream       none       about the last 1,000 orders
shop:writes                    stream       none       changes that the database has yet to get (write-behind)
shop:writes:dead               stream       none       changes that the database refused
shop:pending:api:user:42       hash         none       the newest of these changes of one row
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Keyspace:
    """Names of keys, each behind `prefix`."""

    prefix: str = ""

    @property
    def catalogue(self) -> str:
        return f"{self.prefix}api:catalogue"

    @property
    def bestsellers(self) -> str:
        return f"{self.prefix}shop:bestsellers"

    @property
    def searches(self) -> str:
        return f"{self.prefix}shop:searches"

    @property
    def orders(self) -> str:
        return f"{self.prefix}shop:orders"

    @property
    def writes(self) -> str:
        return f"{self.prefix}shop:writes"

    @property
    def dead_writes(self) -> str:
        return f"{self.prefix}shop:writes:dead"

    def user(self, user_id: int) -> str:
        return f"{self.prefix}api:user:{user_id}"

    def posts(self, user_id: int) -> str:
        return f"{self.prefix}api:user:{user_id}:posts"

    def product(self, product_id: int) -> str:
        return f"{self.prefix}api:product:{product_id}"

    def price(self, sku: str) -> str:
        return f"{self.prefix}api:price:{sku}"

    def search(self, words: tuple[str, ...], page: int) -> str:
        """One key for every spelling of the same search: the words come lower-cased and without spare blanks."""
        return f"{self.prefix}api:search:" + urlencode({"q": " ".join(words), "page": page})

    def session(self, sid: str) -> str:
        return f"{self.prefix}sess:{sid}"

    def cart(self, sid: str) -> str:
        return f"{self.prefix}cart:{sid}"

    def rate(self, sid: str, minute: int) -> str:
        return f"{self.prefix}rate:{sid}:{minute}"

    def online(self, minute: int) -> str:
        return f"{self.prefix}online:{minute}"

    def lease(self, key: str) -> str:
        """Whose turn it is to fill an entry; of the same slot as the entry."""
        return f"{self.prefix}lease:{{{key}}}"

    def pending(self, key: str) -> str:
        """The newest change of an entry's row that the database has yet to get."""
        return f"{self.prefix}shop:pending:{key}"


def sku(product_id: int) -> str:
    """A product's stock-keeping unit, under which its price is kept."""
    return f"SKU-{product_id:05d}"
