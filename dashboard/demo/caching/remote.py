"""The shop's connection to its cache: short time-outs, and a rest after a failure (breaker.py).

The cache is there to make answers faster. It must never make them slower than the database would be, so a cache
that does not answer costs one short time-out and is then left alone for a second or more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from dashboard.demo.caching.breaker import Breaker, State
from dashboard.demo.counters import Counters

TIMEOUT_SECONDS = 0.25
NAME = "demo-shop"  # of its connections, as the cache lists them

T = TypeVar("T")
Argument = str | bytes | int | float
Script = Callable[[Sequence[str], Sequence[Argument]], Any]
log = logging.getLogger("dashboard.demo")


class BadCacheUrl(ValueError):
    """Not a redis://, rediss:// or unix:// URL. Says no more, because the reason may quote a piece of the password."""


class CacheTrouble(Exception):
    """The cache did not do what it was asked; the database must answer."""


class Unavailable(CacheTrouble):
    """It does not answer (down, timed out, loading, wrong password), or rests after that."""


class Refused(CacheTrouble):
    """It answers but will not do this: OOM, READONLY, NOPERM, WRONGTYPE, BUSY ..."""


class Remote:
    """One cache server, shared by all threads; connects when it is first asked. Raises BadCacheUrl.

    `clock` gives seconds that never go back; `timeout`, in seconds, is TIMEOUT_SECONDS if not given.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        counters: Counters | None = None,
        timeout: float | None = None,
    ) -> None:
        seconds = TIMEOUT_SECONDS if timeout is None else timeout
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
                client_name=NAME,
            )
        except ValueError:
            raise BadCacheUrl("the cache's URL must be redis://, rediss:// or unix://") from None
        self._clock = clock
        self._counters = counters or Counters()
        self._breaker = Breaker(clock)
        self._cut_until = 0.0

    @property
    def breaker(self) -> State:
        return self._breaker.state

    @property
    def is_cut(self) -> bool:
        """Whether an outage is played (`cut`)."""
        return self._clock() < self._cut_until

    def cut(self, seconds: float) -> None:
        """Play an outage: behave for so long as if the cache refused connections. 0 ends it."""
        self._cut_until = self._clock() + seconds

    def ask(self, question: Callable[[redis.Redis], T]) -> T:
        """What `question` answers when it is given the client. Raises Unavailable or Refused."""
        permit = self._breaker.permit()
        if permit is None:
            raise Unavailable("the cache rests after a failure")
        failure: redis.RedisError | None = None
        try:
            return question(self._reached())
        except (redis.ConnectionError, redis.TimeoutError) as error:
            failure = error
            raise Unavailable(type(error).__name__) from error
        except redis.RedisError as error:
            raise Refused(type(error).__name__) from error
        finally:
            self._report(permit, failure)

    def ask_all(self, questions: Callable[[Pipeline], object]) -> list[Any]:
        """The answers to all commands that `questions` puts into a pipeline: one round trip, not atomic."""

        def question(client: redis.Redis) -> list[Any]:
            with client.pipeline(transaction=False) as pipe:
                questions(pipe)
                return pipe.execute()

        return self.ask(question)

    def script(self, text: str) -> Script:
        """A Lua script as a function of its keys and arguments, atomic and one round trip; it raises as `ask` does."""
        registered = self._client.register_script(text)

        def run(keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            return self.ask(lambda client: registered(keys=keys, args=arguments, client=client))

        return run

    def close(self) -> None:
        self._client.close()

    def _reached(self) -> redis.Redis:
        if self.is_cut:
            raise redis.ConnectionError("an outage is played")
        return self._client

    def _report(self, permit: int, failure: redis.RedisError | None) -> None:
        if failure is not None:
            # What is pooled was made before the failure: after a restart each would cost another rest.
            self._client.connection_pool.disconnect(inuse_connections=False)
        turned = self._breaker.report(permit, failed=failure is not None)
        if turned == "open":
            self._counters.count("breaker_opened")
            # Only the class is logged, because a message may repeat the address and what stands in it.
            log.warning("the cache is away (%s), the database answers", type(failure).__name__)
        elif turned == "closed":
            log.warning("the cache answers again")
