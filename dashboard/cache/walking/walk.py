"""The walk that finds keys: SCAN, and nothing but SCAN, over every primary of a cache.

How it is kept gentle and goes on after a failure: govern.py. SCAN's promise is SCAN's: a key that is
there during the whole walk is seen at least once, perhaps twice (while a hash table is resized); a key
that comes or goes meanwhile may or may not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.errors import checked
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.servers.calls import Step, Visited
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.walking.filtering import meets, needs_look
from dashboard.cache.walking.govern import Batch, Visit, at_once, govern
from dashboard.cache.walking.governor import MOST_COUNT, Budget, Rests
from dashboard.cache.walking.listing import Listing
from dashboard.cache.walking.position import Place, Position
from dashboard.cache.walking.scan import examined_by, scan_command
from dashboard.cache.walking.watch import Limits

__all__ = ["MOST_COUNT", "Batch", "Budget", "Place", "Position", "scan_command", "walk"]

Keys = tuple[bytes, ...]


def walk(
    cache: Cache,
    selection: Selection,
    budget: Budget,
    start: Position | None = None,
    *,
    limits: Limits | None = None,
    replicas: bool = False,
    rests: Rests | None = None,
) -> Iterator[Batch[Keys]]:
    """Batches of keys that meet the selection, from `start` (or the beginning) to the end or the budget's.

    Round trips: DBSIZE once for each primary, then one SCAN a batch, and one pipeline where the selection has a
    condition that SCAN does not know; for a list of keys one pipeline a batch, which says those that exist. A primary
    that fails ends there as lost, in the position of the batch (without keys) that says so, and the walk goes on with
    the others. Raises CacheError where the cache as a whole cannot be reached.
    """

    def visit(node: Node, cursor: int, count: int) -> Step[Keys]:
        (reply,) = yield [tuple(scan_command(selection, cursor, count))]
        following, found = checked(reply, cache.name)
        examined = examined_by(selection, int(following), count, len(found))
        keys = tuple(found)
        if keys and needs_look(selection):
            keys = meets(cache, node, selection, keys)
        return Visited(int(following), examined, keys)

    def look_up(node: Node, cursor: int, count: int) -> Visited[Keys]:
        following, named = listing.slice(node, cursor, count)
        return Visited(following, len(named), meets(cache, node, selection, named))

    listing = Listing(cache, selection.keys or ())
    how: Visit[Keys] = visit if selection.keys is None else at_once(look_up)
    known = None if selection.keys is None else listing
    for batch in govern(cache, how, budget, start, limits=limits, replicas=replicas, listing=known, rests=rests):
        yield Batch(batch.node, batch.found or (), batch.before, batch.position, batch.anew, batch.cost)
