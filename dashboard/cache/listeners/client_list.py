"""CLIENT LIST: who is connected to a node, and what for.

https://valkey.io/commands/client-list/. Names of clients have no white space; the server sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dashboard.cache.errors import ServerError
from dashboard.cache.selecting.key_token import printable


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
    redirects: int = -1
    library: str = ""

    @property
    def subscribed(self) -> bool:
        """Whether it has subscribed to anything."""
        return "P" in self.flags or self.channels + self.patterns + self.sharded > 0


def parse(node: str, reply: object) -> tuple[Client, ...]:
    """The clients of a reply of CLIENT LIST, some 400 bytes each, in the order of their ids; lines that name none are
    passed over. Raises ServerError."""
    if not isinstance(reply, bytes):
        raise ServerError(f"{node} answered something that cannot be understood.")
    told = (_fields(line) for line in reply.splitlines())
    return tuple(sorted((_client(node, one) for one in told if b"id" in one), key=lambda client: client.id))


def _fields(line: bytes) -> dict[bytes, bytes]:
    # A list has up to thousands of lines of thirty fields each: what is not wanted is not even decoded.
    return {name: value for name, _, value in (word.partition(b"=") for word in line.split(b" "))}


# Most clients of a cache have the same few users, libraries and flags.
_often = lru_cache(maxsize=1024)(printable)


def _number(text: bytes, otherwise: int) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def _client(node: str, told: Mapping[bytes, bytes]) -> Client:
    def number(name: bytes, otherwise: int = 0) -> int:
        return _number(told[name], otherwise) if name in told else otherwise

    def text(name: bytes) -> str:
        return _often(told.get(name, b""))

    return Client(
        node=node,
        id=number(b"id"),
        address=printable(told.get(b"addr", b"")),
        name=text(b"name"),
        user=text(b"user"),
        flags=text(b"flags"),
        age=number(b"age"),
        idle=number(b"idle"),
        channels=number(b"sub"),
        patterns=number(b"psub"),
        sharded=number(b"ssub"),
        output=number(b"omem"),
        memory=number(b"tot-mem"),
        redirects=number(b"redir", -1),
        library=" ".join(word for word in (text(b"lib-name"), text(b"lib-ver")) if word),
    )
