"""A short look at the commands that a primary is given (MONITOR), for which namespaces are looked up how often.

While it lasts, the server writes every command out for us as well. So it lasts for BURST_SECONDS or MOST_COMMANDS,
whichever is sooner; only where little is asked, and so little costs, longer. Nothing of what was read is kept but how
often which namespace was. Values that are written meanwhile pass by here, too: whoever may not see them should not
choose this.
https://valkey.io/commands/monitor/
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from dashboard.cache.selecting.fold import namespace_of
from dashboard.cache.servers.connect import Cache, Node
from dashboard.cache.stampedes.lookups import Lookups, looked_up

BURST_SECONDS = 0.02
LONGEST_SECONDS = 0.2
"""Where fewer than ENOUGH_COMMANDS came in the time of a burst: at 150 a second, three of them say nothing."""
ENOUGH_COMMANDS = 200
MOST_COMMANDS = 2000
MOST_BYTES = 4 * 1024 * 1024


def read_a_burst(cache: Cache, node: Node, separator: bytes, into: Lookups) -> int:
    """Look at one primary for a moment, and count what it is asked for; how many round trips it took.

    On a connection of its own, closed afterwards, as MONITOR ends with it. Raises CacheError (Denied).
    """
    found: Counter[bytes] = Counter()
    whole = 0
    with cache.asking(node):
        for line in _lines(node):
            database, keys = looked_up(line)
            whole += len(keys)
            if database == cache.target.db:
                found.update(namespace_of(key, separator) for key in keys)
    into.add(found, whole)
    return 3


def _lines(node: Node) -> list[bytes]:
    pool: Any = node.client.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    lines, size = list[bytes](), 0
    try:
        connection.connect()
        connection.send_command("MONITOR", check_health=False)
        connection.read_response()
        begun = time.monotonic()
        while len(lines) < MOST_COMMANDS and size < MOST_BYTES:
            lasts = BURST_SECONDS if len(lines) >= ENOUGH_COMMANDS else LONGEST_SECONDS
            left = begun + lasts - time.monotonic()
            if left <= 0 or not connection.can_read(left):
                break
            line = connection.read_response(disable_decoding=True)
            if isinstance(line, bytes):
                lines.append(line)
                size += len(line)
    finally:
        connection.disconnect()
    return lines
