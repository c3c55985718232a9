"""A stampede as applications make it: readers that miss one key at the same moment, with a lock or without one."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable

import redis

LOAD_SECONDS = 0.1
WAIT_SECONDS = 0.02

Connect = Callable[[], "redis.Redis | redis.RedisCluster"]


def read(client: redis.Redis | redis.RedisCluster, key: str, *, lock: bool) -> None:
    """Cache-aside: what is missed is loaded (it takes a while) and written; with a lock by one reader alone."""
    held = f"lock:{key}"
    while client.get(key) is None:
        if lock and not client.set(held, "1", nx=True, px=60_000):
            time.sleep(WAIT_SECONDS)
            continue
        if not lock or client.get(key) is None:
            time.sleep(LOAD_SECONDS)
            client.set(key, "made anew", ex=3600)
        if lock:
            client.delete(held)
        return


def stampede(connect: Connect, key: str, readers: int, *, lock: bool) -> None:
    """So many readers at once, each on a connection of its own, in threads; returns when all have read."""
    together = threading.Barrier(readers)

    def reader() -> None:
        with contextlib.closing(connect()) as client:
            client.ping()
            together.wait()
            read(client, key, lock=lock)

    threads = [threading.Thread(target=reader) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stampede_of_processes(host: str, port: int, key: str, readers: int, processes: int, *, lock: bool) -> None:
    """The same from several processes, which share nothing but the server."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes)
    share = readers // processes
    started = [
        context.Process(target=_process, args=(together, host, port, key, share, lock)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
        assert process.exitcode == 0


def _process(together: threading.Barrier, host: str, port: int, key: str, readers: int, lock: bool) -> None:
    together.wait()
    stampede(lambda: redis.Redis(host, port, socket_timeout=60), key, readers, lock=lock)
