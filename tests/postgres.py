"""A real PostgreSQL server for tests: the machine's own binaries, a cluster of its own on loopback.

On Debian and Ubuntu `apt-get install postgresql` brings them. Where there are none the tests are skipped with a hint,
unless CACHEDECK_REQUIRE_POSTGRES=1 (as in CI) makes them fail. A server refuses to run as root, so there it runs as the
user `postgres`, or `nobody`. It is stopped by its own pid.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import HOST, PATIENCE_SECONDS, free_port

USER = "tester"  # not the name of a schema, which its search path would find
QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=50")


@dataclass
class Postgres:
    """One running server process. Every test takes a `database` of its own."""

    port: int
    folder: Path
    binaries: Path
    process: subprocess.Popen[bytes]

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@{HOST}:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, which is dropped after the block."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        yield self.url(name)
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]

    def connect(self, url: str = "") -> psycopg.Connection[Any]:
        return psycopg.connect(url or self.url("postgres"), autocommit=True, connect_timeout=60)

    def stop(self) -> None:
        """At once and without saving anything, as a crash would; but its own children end first."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE_SECONDS)

    def start_again(self) -> None:
        """After `stop`, on the same port and data."""
        self.process = _started(self.binaries, self.folder, self.port)


@contextmanager
def running() -> Iterator[Postgres]:
    """A server for one block, or the reason why there is none: see the module."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="cachedeck-postgres-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, *_owner())
        data = folder / "data"
        initdb = [binaries / "initdb", "-D", data, "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **_as_owner())
        port = free_port()
        server = Postgres(port, folder, binaries, _started(binaries, folder, port))
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = [Path(which).resolve().parent for name in ("initdb", "postgres") if (which := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    if os.environ.get("CACHEDECK_REQUIRE_POSTGRES") == "1":
        pytest.fail("no PostgreSQL server here, and CACHEDECK_REQUIRE_POSTGRES=1 asks for it. Install `postgresql`.")
    pytest.skip("no PostgreSQL server here: install `postgresql` to run these tests")


def _started(binaries: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    settings = (f"port={port}", f"listen_addresses={HOST}", f"unix_socket_directories={folder}", *QUICK)
    command = [binaries / "postgres", "-D", folder / "data", *(word for one in settings for word in ("-c", one))]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, **_as_owner())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://{USER}@{HOST}:{port}/postgres", connect_timeout=10).close()
            return process
        time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-800:]}")


def _owner() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise RuntimeError("no user to run PostgreSQL as")


def _as_owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user, group = _owner()
    return {"user": user, "group": group, "extra_groups": []}
