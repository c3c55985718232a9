"""The shop's connection to its cache: short time-outs, and a rest after a failure.

The cache is there to make answers faster. It must never make them slower than the database would be, so a cache
that does not answer costs one short time-out and is then left alone for a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25
REST_SECONDS = 1.0
NAME = "demo-shop"  # of its connections, as the cache lists them

T = TypeVar("T")
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

    `clock` gives seconds that never go back.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                client_name=NAME,
            )
        except ValueError:
            raise BadCacheUrl("the cache's URL must be redis://, rediss:// or unix://") from None
        self._clock = clock
        self._rests_until = 0.0
        self._away = False
        self._noting = threading.Lock()

    def ask(self, question: Callable[[redis.Redis], T]) -> T:
        """What `question` answers when it is given the client. Raises Unavailable or Refused."""
        if self._clock() < self._rests_until:
            raise Unavailable("the cache rests after a failure")
        try:
            answer = question(self._client)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._rest(error)
            raise Unavailable(type(error).__name__) from error
        except redis.RedisError as error:
            raise Refused(type(error).__name__) from error
        if self._away:
            self._note(away=False, message="the cache answers again")
        return answer

    def ask_all(self, questions: Callable[[Pipeline], object]) -> list[Any]:
        """The answers to all commands that `questions` puts into a pipeline: one round trip, not atomic."""

        def question(client: redis.Redis) -> list[Any]:
            with client.pipeline(transaction=False) as pipe:
                questions(pipe)
                return pipe.execute()

        return self.ask(question)

    def close(self) -> None:
        self._client.close()

    def _rest(self, error: redis.RedisError) -> None:
        self._rests_until = self._clock() + REST_SECONDS
        # What is pooled was made before the failure: after a restart each would cost another rest.
        self._client.connection_pool.disconnect(inuse_connections=False)
        # Only the class is logged, because a message may repeat the address and what stands in it.
        self._note(away=True, message=f"the cache is away ({type(error).__name__}), the database answers")

    def _note(self, *, away: bool, message: str) -> None:
        with self._noting:
            if away == self._away:
                return
            self._away = away
        log.warning(message)
