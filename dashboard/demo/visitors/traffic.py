"""What can be turned of the traffic while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

SKEW = 1.1  # Zipf exponent of users, products and searches
WRITE_SHARE = 0.047
FASTEST = 5000.0  # requests a second that may be asked for; what one process can send is less


class BadTraffic(ValueError):
    """A figure of the traffic that there is not, or a value that it cannot have; says which, in a sentence."""


@dataclass(frozen=True)
class ShopSize:
    """How many rows the shop has; ids are 1 to that number."""

    users: int
    products: int


@dataclass(frozen=True)
class Traffic:
    """rate: requests a second, on average, outside bursts. skew: Zipf exponent, 0 asks for all evenly. users, products:
    only the rows 1 to that number are asked for. write_share: of the requests, 0 to 1. burst_factor: in 2 of every 10
    seconds the rate is so many times higher; 1 is none. hot_share: of the requests, all for one product, 0 to 1.
    row_share: of the other reads, for a user or a product and nothing else, 0 to 1."""

    users: int
    products: int
    rate: float = 150.0
    skew: float = SKEW
    write_share: float = WRITE_SHARE
    burst_factor: float = 1.0
    hot_share: float = 0.0
    row_share: float = 0.0

    def turned(self, wanted: object, size: ShopSize) -> Traffic:
        """With those of `wanted` (a JSON object) turned. Raises BadTraffic."""
        if not isinstance(wanted, Mapping):
            raise BadTraffic("the traffic must be a JSON object")
        names = [field.name for field in fields(self)]
        if unknown := sorted(set(wanted) - set(names)):
            raise BadTraffic(f"the traffic has no {unknown[0]}: it has {', '.join(sorted(names))}")
        turned: dict[str, Any] = {name: _checked(name, value, size) for name, value in wanted.items()}
        return replace(self, **turned)

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def _checked(name: str, value: object, size: ShopSize) -> float:
    low, high = {
        "users": (1.0, size.users),
        "products": (1.0, size.products),
        "rate": (0.1, FASTEST),
        "skew": (0.0, 3.0),
        "write_share": (0.0, 1.0),
        "burst_factor": (1.0, 20.0),
        "hot_share": (0.0, 1.0),
        "row_share": (0.0, 1.0),
    }[name]
    whole = name in ("users", "products")
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    # NaN is within no bounds.
    if not isinstance(value, int | float) or not is_number or not low <= value <= high:
        raise BadTraffic(f"{name} must be a {'whole ' if whole else ''}number from {low:g} to {high:.10g}")
    return value if whole else float(value)
