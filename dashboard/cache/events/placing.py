"""Where a subscription is listened to: on one node of a cluster what each node tells for all, on each primary what it
tells for itself, and a sharded channel where its slot is."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dashboard.cache.events.subscription import EVERYWHERE, Source, Subscription
from dashboard.cache.servers.connect import Cache, Node


def placed(
    cache: Cache, subscription: Subscription, heard: Collection[str], shunned: Collection[str], *, fresh: bool = False
) -> dict[str, tuple[Node, Subscription]]:
    """node's name -> (node, what is asked of it). No round trip, but where the picture of a cluster is renewed.

    heard: nodes that are listened to now; the first of them that is a primary goes on to tell what any node can.
    shunned: nodes that cannot be heard at the moment, which are not chosen for that. fresh: as Cache.primaries().
    Raises CacheError.
    """
    nodes = cache.primaries(fresh=fresh)
    names = {node.name for node in nodes}
    wanted = [*(one for one in heard if one in names), *(node.name for node in nodes)]
    carrier = next((name for name in wanted if name not in shunned), nodes[0].name if nodes else "")
    found = dict[str, tuple[Node, Subscription]]()
    for node in nodes:
        sources = tuple(_asked(cache, subscription.sources, node, carrier, alone=len(nodes) == 1))
        if sources:
            found[node.name] = (node, Subscription(sources))
    return found


def _asked(cache: Cache, sources: Iterable[Source], node: Node, carrier: str, *, alone: bool) -> Iterable[Source]:
    for source in sources:
        if source.kind in EVERYWHERE:
            if node.name == carrier:
                yield source
        elif source.kind == "sharded" and not alone:
            if cache.node_of(source.name).name == node.name:
                yield source
        else:
            yield source
