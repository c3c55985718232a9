"""The relay: turns what has changed in the database into entries that are forgotten and messages about it.

Whoever changed the row, and whatever became of them: the shop tells the cache itself after a change, but it may die in
between, or the cache may be away, or psql may have made the change. The relay tells of all of them, at least once and
in order per key: notes leave the outbox only when the cache has heard of them. What is told twice does no harm, because
an entry is forgotten only if it is older than the version that is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from dashboard.demo.caching.remote import CacheTrouble, Unavailable
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.sql.database import Database
from dashboard.demo.sql.feeds import Feed, the_feed
from dashboard.demo.sql.outbox import changes

AT_ONCE = 500  # notes
SHORTEST_WAIT = 0.05  # seconds after something was told; each further wait is twice as long, up to the feed's longest
TURN_SECONDS = 0.5  # between two looks whether the relay that has the feed is gone
SHORTEST_REST = 0.1  # seconds after trouble with the database or the cache, doubled from time to time ...
LONGEST_REST = 2.0  # ... up to this
MOST_ATTEMPTS = 5  # at messages, when the entries are forgotten already

log = logging.getLogger("dashboard.demo")

Outdate = Callable[[Sequence[tuple[str, int | None]]], int]


class Relay:
    """One thread, from `start` to `close`. Of all relays of a database one is at work, the others wait for their turn.

    `outdate` forgets entries that are older than a version (Entries.outdate); where the cache does not do it, it raises
    CacheTrouble and the relay tries again. Then `tell` says to the copies in the shop's processes which keys have
    changed (Invalidations.tell); False is tried again as well, but not for ever: a cache that lets the shop delete and
    not publish must not keep the entries of later changes. `relayed` is told how many notes are done. All shops of one
    database must have the same prefix of keys, since one of their relays tells for all.
    """

    def __init__(
        self,
        database: Database,
        keys: Keyspace,
        outdate: Outdate,
        tell: Callable[[Sequence[str]], bool],
        relayed: Callable[[int], object] = lambda _count: None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._outdate = outdate
        self._tell = tell
        self._relayed = relayed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._rest = SHORTEST_REST
        self._untold = 0  # attempts at the messages about the oldest notes

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Waits until the thread has ended: the database may be closed afterwards."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with the_feed(self._database) as feed:
                    if feed is None:
                        self._stop.wait(TURN_SECONDS)
                    else:
                        self._relay(feed)
            except (sa.exc.SQLAlchemyError, OSError) as error:
                self._rest_after(error, "database")
            except Exception:  # the thread must live, whatever it is
                log.exception("the relay begins anew")
                self._stop.wait(LONGEST_REST)

    def _relay(self, feed: Feed) -> None:
        """Until `close`. What the cache does not take stays in the outbox, and later notes wait behind it."""
        wait = SHORTEST_WAIT
        while not self._stop.is_set():
            try:
                done = self._pass_on(feed)
            except CacheTrouble as error:
                self._rest_after(error, "cache")
                continue
            self._rest = SHORTEST_REST
            wait = SHORTEST_WAIT if done else min(2 * wait, feed.longest_wait)
            if done < AT_ONCE:
                feed.wait(wait, self._stop)

    def _pass_on(self, feed: Feed) -> int:
        """Tell of the oldest notes and remove them; how many there were."""
        notes = feed.oldest(AT_ONCE)
        changed = changes(notes, self._keys)
        if changed:
            self._outdate(changed)
            self._say([key for key, _version in changed])
        if notes:
            feed.remove(notes)
            self._relayed(len(notes))
        return len(notes)

    def _say(self, keys: list[str]) -> None:
        self._untold += 1
        if not self._tell(keys):
            if self._untold < MOST_ATTEMPTS:
                raise Unavailable("the messages were not taken")
            log.warning("the cache takes no messages: copies of %s keys stay until their time is over", len(keys))
        self._untold = 0

    def _rest_after(self, error: Exception, whose: str) -> None:
        if self._rest == SHORTEST_REST:
            # Only the class: a message may repeat the address and what stands in it.
            log.warning("the relay waits for the %s (%s)", whose, type(error).__name__)
        self._stop.wait(self._rest)
        self._rest = min(2 * self._rest, LONGEST_REST)
