"""CLIENT LIST: who is connected to a node, and what for.

https://valkey.io/commands/client-list/. Names of clients have no white space; the server sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.cache.connect import Cache, Node
from dashboard.cache.errors import ServerError
from dashboard.cache.key_token import printable


@dataclass(frozen=True)
class Client:
    """One connection, of which its node knows this. Texts are printable.

    id: unique on its node, as long as that runs. address: as the node sees it. flags: as CLIENT LIST writes them (P in
    Pub/Sub mode, t tracking, B broadcasting). channels, patterns, sharded: how many of each it has subscribed to; which
    ones nobody is told. output: bytes of its output buffers; memory: bytes that it takes in all. age, idle: seconds.
    redirects: the id of the client to which its invalidations are sent, -1 for none. library: as it names itself.
    """

    node: str
    id: int
    address: str
    name: str
    user: str = ""
    flags: str = ""
    age: int = 0
    idle: int = 0
    channels: int = 0
    patterns: int = 0
    sharded: int = 0
    output: int = 0
    memory: int = 0
    resp: int = 2
    redirects: int = -1
    library: str = ""

    @property
    def subscribed(self) -> bool:
        """Whether it has subscribed to anything."""
        return "P" in self.flags or self.channels + self.patterns + self.sharded > 0


def clients_of(cache: Cache, node: Node, *which: str) -> tuple[Client, ...]:
    """The clients of one node, in the order of their ids. which: words that narrow the list, such as "TYPE", "pubsub".

    One round trip; some 400 bytes a client. Raises CacheError.
    """
    return parse(node.name, cache.execute("CLIENT", "LIST", *which, node=node))


def parse(node: str, reply: object) -> tuple[Client, ...]:
    """The clients of a reply of CLIENT LIST; lines that name none are passed over. Raises ServerError."""
    if not isinstance(reply, bytes):
        raise ServerError(f"{node} answered something that cannot be understood.")
    told = (dict(_fields(line)) for line in reply.splitlines())
    return tuple(sorted((_client(node, one) for one in told if "id" in one), key=lambda client: client.id))


def _fields(line: bytes) -> Sequence[tuple[str, str]]:
    pairs = (word.partition(b"=") for word in line.split(b" "))
    return [(name.decode("ascii", "replace"), printable(value)) for name, _, value in pairs]


def _client(node: str, told: dict[str, str]) -> Client:
    def number(name: str, otherwise: int = 0) -> int:
        try:
            return int(told.get(name, otherwise))
        except ValueError:
            return otherwise

    library = " ".join(word for word in (told.get("lib-name", ""), told.get("lib-ver", "")) if word)
    return Client(
        node=node,
        id=number("id"),
        address=told.get("addr", ""),
        name=told.get("name", ""),
        user=told.get("user", ""),
        flags=told.get("flags", ""),
        age=number("age"),
        idle=number("idle"),
        channels=number("sub"),
        patterns=number("psub"),
        sharded=number("ssub"),
        output=number("omem"),
        memory=number("tot-mem"),
        resp=number("resp", 2),
        redirects=number("redir", -1),
        library=library,
    )
