"""Hearing: one subscription, listened to by one thread over all its nodes, for any number of watchers.

Every beat it takes what has come, sorts it into a Buffer for each sieve that somebody looks through, and wakes those
who wait. A node that is lost is tried again, and what it told meanwhile is a Gap in every buffer: nobody is left to
believe that nothing had happened.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

from dashboard.cache.errors import CacheError, Denied, ServerError
from dashboard.cache.events.buffer import KEPT, Buffer
from dashboard.cache.events.connecting import Attempt, attempt
from dashboard.cache.events.ear import Ear
from dashboard.cache.events.event import Gap
from dashboard.cache.events.looks import Looks
from dashboard.cache.events.meter import Meter
from dashboard.cache.events.sieve import Sieve
from dashboard.cache.events.sorting import sorter
from dashboard.cache.events.standing import Silent, Standing
from dashboard.cache.events.subscription import Subscription
from dashboard.cache.servers.connect import Cache

BEAT_SECONDS = 0.1
"""How often watchers are told of what has come: ten times a second looks like at once."""
BUSY_REST_SECONDS = 0.004
"""After something was taken: what comes meanwhile is taken together, which costs a fraction of taking it singly."""
LOOK_SECONDS = 5.0
"""How often it is seen which primaries there are, and who owns which slot."""
AGAIN_SECONDS = 1.0
REFUSED_AGAIN_SECONDS = 5.0
"""How soon a node that was lost is tried again, and one that refused: an ACL may be changed while we listen."""
LINGER_SECONDS = 60.0
"""How long it goes on when nobody watches, so that a page that is loaded again finds its events."""
BUSIEST = 8

_log = logging.getLogger(__name__)


class Hearing:
    """Listens from start() until close(), or until nobody has watched for `linger` seconds; then it is `over`.
    Thread-safe. kept: events that each of its buffers holds."""

    def __init__(
        self, cache: Cache, subscription: Subscription, linger: float = LINGER_SECONDS, kept: int = KEPT
    ) -> None:
        self.subscription = subscription
        self._cache = cache
        self._sort = sorter(subscription, cache.target.db)
        self._ears: dict[str, tuple[Ear, Subscription]] = {}
        self._silent: dict[str, Silent] = {}
        self._again: dict[str, float] = {}
        self._looks = Looks(kept, linger)
        self._meter = Meter(time.monotonic())
        self._pool = ThreadPoolExecutor(1, "connecting")
        self._attempt: Future[Attempt] | None = None
        self._looked_at = -LOOK_SECONDS
        self._begun_at = time.time()
        self._standing = Standing(self._begun_at)
        self._settled = threading.Event()
        self._closing = self._looks.ended
        self._thread = threading.Thread(target=self._run, name=f"hearing {cache.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def over(self) -> bool:
        return self._closing.is_set()

    @property
    def standing(self) -> Standing:
        return self._standing

    @property
    def watched(self) -> bool:
        return self._looks.watchers > 0

    def settled(self, seconds: float) -> bool:
        """Wait so long at most until it is known which nodes are heard; whether it is."""
        return self._settled.wait(seconds)

    def watching(self, sieve: Sieve) -> AbstractContextManager[Buffer]:
        """The buffer of what passes a sieve, which is filled for as long as this lasts, and a while longer.

        It begins with what is kept of everything and passes. Raises TooMany, Over.
        """
        return self._looks.watching(sieve)

    def end(self) -> None:
        """Ask it to end, and wait for nothing."""
        self._closing.set()

    def close(self) -> None:
        """End it, and wait for its thread: less than a beat, or the time-out of a server that hangs."""
        self.end()
        self._thread.join(self._cache.target.timeout + 1)

    def _run(self) -> None:
        why = ""
        try:
            while not self._closing.is_set() and not self._looks.forsaken():
                self._connect()
                self._take(time.monotonic() + BEAT_SECONDS)
                self._beat()
        except Exception:  # noqa: BLE001 (whatever it is, it is logged, and those who watch are told)
            _log.exception("listening to %s has ended", self._cache.name)
            why = "Listening has ended by an error of Cachedeck's own; the log of the web process says which."
        finally:
            self._closing.set()
            self._settled.set()
            self._pool.shutdown()
            if self._attempt is not None:
                self._attempt.result().close()
            for ear, _ in self._ears.values():
                ear.close()
            self._looks.close(why)

    def _connect(self) -> None:
        """Take what came of the last attempt, and begin another where one is due."""
        if self._attempt is not None:
            if not self._attempt.done():
                return
            found, self._attempt = self._attempt.result(), None
            self._take_over(found)
            self._settled.set()
        now = time.monotonic()
        due = any(at <= now for at in self._again.values())
        if due or now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            heard = {name: wanted for name, (_, wanted) in self._ears.items()}
            resting = {name for name, at in self._again.items() if at > now}
            arguments = (self._cache, self.subscription, heard, resting, frozenset(self._again))
            self._attempt = self._pool.submit(attempt, *arguments)

    def _take_over(self, found: Attempt) -> None:
        for name, error in found.errors.items():
            self._lose(name, error)
        if found.wanted is None:
            return
        self._found("")
        for name in [*self._ears]:
            # One that is no primary any more, or is asked for something else now that slots have moved.
            if self._ears[name][1] != found.wanted.get(name):
                self._take_from(name)
                if name in self._ears:
                    self._ears.pop(name)[0].close()
        for name in [*self._silent]:
            if name not in found.wanted:
                self._found(name)  # no primary any more: another tells what it would have told
        for name, ear in found.ears.items():
            self._ears[name] = (ear, found.wanted[name])
            self._found(name)
            self._take_from(name)  # what was told while it connected has been read, so that no socket announces it

    def _lose(self, name: str, error: CacheError) -> None:
        ear = self._ears.pop(name, None)
        if ear is not None:
            ear[0].close()
        # What is refused stays so for a while; an owner of a slot is looked for at once.
        refused = isinstance(error, Denied | ServerError) and ear is None
        self._again[name] = time.monotonic() + (REFUSED_AGAIN_SECONDS if refused else AGAIN_SECONDS)
        before = self._silent.get(name)
        self._silent[name] = Silent(name, before.since if before else time.time(), error)
        if before is None:
            self._looks.keep_gap(Gap(time.time(), time.time(), name, error.sentence, over=False))

    def _found(self, name: str) -> None:
        self._again.pop(name, None)
        silent = self._silent.pop(name, None)
        if silent is not None:
            self._looks.keep_gap(Gap(time.time(), silent.since, name, silent.error.sentence, over=True))

    def _take(self, ends: float) -> None:
        """What comes until then."""
        while (left := ends - time.monotonic()) > 0 and not self._closing.is_set():
            if not self._ears:
                self._closing.wait(left)
                return
            poll, names = select.poll(), dict[int, str]()
            for name, (ear, _) in [*self._ears.items()]:
                try:
                    names[number := ear.fileno()] = name
                except CacheError as error:
                    self._lose(name, error)
                else:
                    poll.register(number, select.POLLIN)
            ready = poll.poll(left * 1000)
            for number, _ in ready:
                self._take_from(names[number])
            if ready:
                time.sleep(BUSY_REST_SECONDS)

    def _take_from(self, name: str) -> None:
        ear = self._ears[name][0]
        before = ear.bytes
        try:
            messages = ear.take()
        except CacheError as error:
            self._lose(name, error)
            return
        if messages:
            heard, at = self._sort(messages), time.time()
            self._meter.add((one[1] for one in heard), len(heard), ear.bytes - before)
            self._looks.keep(heard, at, name)
        else:
            self._meter.bytes += ear.bytes - before

    def _beat(self) -> None:
        for name, (ear, _) in [*self._ears.items()]:
            try:
                ear.ping()
            except CacheError as error:
                self._lose(name, error)
        self._looks.tell()
        if self._meter.tick(time.monotonic()) or self._standing.heard != (*self._ears,) or self._changed():
            self._standing = self._stand()

    def _changed(self) -> bool:
        return self._standing.silent != (*self._silent.values(),)

    def _stand(self) -> Standing:
        meter = self._meter
        return Standing(
            begun_at=self._begun_at,
            heard=(*self._ears,),
            silent=(*self._silent.values(),),
            refusals=tuple((name, one) for name, (ear, _) in self._ears.items() for one in ear.refusals),
            total=meter.total,
            size=meter.bytes,
            rate=meter.rate,
            byte_rate=meter.byte_rate,
            seconds=meter.seconds,
            busiest=meter.busiest(BUSIEST),
            watchers=self._looks.watchers,
        )
