"""Servers that something is wrong with, each with the password that no sentence may contain."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.programs import wait_until
from tests.servers import HOST, Server, running, start

PASSWORD = "hunter2"


def url_of(server: Server) -> str:
    """Its URL with the password, and a time-out short enough to be waited for."""
    return f"redis://:{PASSWORD}@{HOST}:{server.port}?timeout=0.5&connect_timeout=0.5"


def plain(server: Server) -> contextlib.closing[redis.Redis]:
    """A client that arranges; it tries nothing twice, because redis-py would wait in between."""
    return contextlib.closing(server.client(password=PASSWORD, retry=Retry(NoBackoff(), 0)))


@contextlib.contextmanager
def healthy(*arguments: str) -> Iterator[Server]:
    """A server with a password and one key, `k`, that has a TTL."""
    with running("--requirepass", PASSWORD, *arguments) as server:
        with plain(server) as client:
            client.set("k", "v", ex=1000)
        yield server


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The process takes connections, as its kernel does for it, but answers nothing."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def busy() -> Iterator[Server]:
    """It runs a script without end."""
    with healthy("--busy-reply-threshold", "20") as server, running_script(server):
        yield server


@contextlib.contextmanager
def running_script(server: Server) -> Iterator[None]:
    def endless() -> None:
        with contextlib.suppress(redis.RedisError), plain(server) as client:
            client.execute_command("EVAL", "while true do end", 0)

    script = threading.Thread(target=endless)
    script.start()
    with plain(server) as client:
        try:
            wait_until(lambda: _refuses(client, "BUSY"), "the server is busy")
            yield
        finally:
            client.execute_command("SCRIPT", "KILL")
            script.join(120)


@contextlib.contextmanager
def loading() -> Iterator[Server]:
    """It reads its data set for as long as the test may take, and answers LOADING meanwhile."""
    with healthy("--rdbcompression", "no") as server:
        with plain(server) as client:
            client.execute_command("EVAL", "for i = 1, 3000 do redis.call('SET', i, string.rep('x', 3000)) end", 0)
            client.save()
        server.stop()
        slow = ("--key-load-delay", "4000", "--loading-process-events-interval-bytes", "1024")
        again = start(*server.arguments, *slow, port=server.port, folder=server.folder)
        try:
            with plain(again) as client:
                wait_until(lambda: _refuses(client, ""), "the server is loading")
            yield again
        finally:
            again.stop()


@contextlib.contextmanager
def unsaved() -> Iterator[Server]:
    """Its snapshot failed, because a folder stands where the file should, and so it takes no writes."""
    with healthy("--save", "3600 1000") as server, plain(server) as client:
        (server.folder / "dump.rdb" / "in the way").mkdir(parents=True)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
        yield server
        shutil.rmtree(server.folder / "dump.rdb")


def _refuses(client: redis.Redis, prefix: str) -> bool:
    """Whether a read is refused with an error that begins so; redis-py takes LOADING's first word away."""
    try:
        client.get("k")
    except redis.BusyLoadingError:
        return not prefix
    except redis.ResponseError as error:
        return bool(prefix) and str(error).startswith(prefix)
    except redis.ConnectionError:
        return False
    return False
