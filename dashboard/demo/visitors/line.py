"""One connection to a shop."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

from dashboard.demo.visitors.mix import Request

TIMEOUT_SECONDS = 5.0
NO_ANSWER = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Address:
    """Where a shop listens."""

    host: str
    port: int


def address(url: str) -> Address:
    """Of http://host:port. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("the shop's address must be like http://127.0.0.1:8001")
    return Address(parts.hostname, parts.port or 80)


@dataclass(frozen=True)
class Reply:
    """`source` is the header X-Cache, None where there is none."""

    status: int
    source: str | None
    body: bytes


class Line:
    """One keep-alive connection to a shop, made when it is needed. For one thread."""

    def __init__(self, shop: Address, timeout: float = TIMEOUT_SECONDS) -> None:
        self._connection = http.client.HTTPConnection(shop.host, shop.port, timeout=timeout)

    def send(self, request: Request) -> Reply:
        """Raises one of NO_ANSWER."""
        reused = self._connection.sock is not None
        try:
            return self._exchange(request)
        except (ConnectionError, http.client.RemoteDisconnected):
            # The other side may close an idle connection at any moment, which says nothing about the shop.
            if not reused:
                raise
            return self._exchange(request)

    def close(self) -> None:
        self._connection.close()

    def _exchange(self, request: Request) -> Reply:
        headers = {"Cookie": f"sid={request.sid}"} if request.sid else {}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(request.method, request.path, request.body, headers)
            response = self._connection.getresponse()
            return Reply(response.status, response.headers["X-Cache"], response.read())
        except NO_ANSWER:
            self._connection.close()
            raise
