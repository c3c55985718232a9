"""PUBLISH and SPUBLISH of one message."""

from __future__ import annotations

from dashboard.cache.errors import Denied, checked
from dashboard.cache.servers.connect import Cache, Node


def send(cache: Cache, node: Node, channel: str | bytes, payload: bytes, *, sharded: bool = False) -> int:
    """Publish to a channel: the receivers that the server reports, which are those of this one node.

    One round trip; a sharded channel whose slot has moved takes one more. Raises CacheError.
    """
    command = "SPUBLISH" if sharded else "PUBLISH"
    try:
        return int(checked(cache.pipeline(node, [(command, channel, payload)])[0], cache.name))
    except Denied as error:
        if error.command:
            raise
        raise Denied(f"Cachedeck's user on {cache.name} may not publish to this channel.") from error
