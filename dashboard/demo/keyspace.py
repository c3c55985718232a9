"""The shop's keys by name.

key                            type         TTL class  what it holds
api:user:42                    string       profile    a user
api:user:42:posts              string       posts      the user's newest posts
api:product:17                 string       product    a product
api:search:q=red+shoes&page=1  string       search     a page of results
api:price:SKU-00017            string       price      a price
api:catalogue                  string       catalogue  the best-selling products, one large value
sess:<sid>                     hash         session    a visitor's session
cart:<sid>                     hash         cart       product id -> quantity
rate:<sid>:<minute>            string       rate       requests of one session in one minute
online:<minute>                set          online     sessions seen in that minute
shop:bestsellers               sorted set   none       product id -> pieces sold, the first 200
shop:searches                  list         none       the last 100 searches
shop:orders                    stream       none       about the last 1,000 orders
"""

from __future__ import annotations

from urllib.parse import urlencode

CATALOGUE = "api:catalogue"
BESTSELLERS = "shop:bestsellers"
SEARCHES = "shop:searches"
ORDERS = "shop:orders"


def user(user_id: int) -> str:
    return f"api:user:{user_id}"


def posts(user_id: int) -> str:
    return f"api:user:{user_id}:posts"


def product(product_id: int) -> str:
    return f"api:product:{product_id}"


def price(sku: str) -> str:
    return f"api:price:{sku}"


def search(words: tuple[str, ...], page: int) -> str:
    """One key for every spelling of the same search: the words come lower-cased and without spare blanks."""
    return "api:search:" + urlencode({"q": " ".join(words), "page": page})


def session(sid: str) -> str:
    return f"sess:{sid}"


def cart(sid: str) -> str:
    return f"cart:{sid}"


def rate(sid: str, minute: int) -> str:
    return f"rate:{sid}:{minute}"


def online(minute: int) -> str:
    return f"online:{minute}"


def sku(product_id: int) -> str:
    """A product's stock-keeping unit, under which its price is kept."""
    return f"SKU-{product_id:05d}"
