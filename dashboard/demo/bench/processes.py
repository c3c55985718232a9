"""Processes of a shop of one's own, for as long as a comparison takes, and its keys, which go with them."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.demo.bench.shops import ShopTrouble
from dashboard.demo.caching.remote import CacheTrouble, Remote
from dashboard.demo.keyspace import Keyspace
from dashboard.demo.removal import remove_keys
from dashboard.demo.visitors.line import Address
from dashboard.demo.visitors.open_loop import answers
from dashboard.demo.visitors.traffic import ShopSize

HOST = "127.0.0.1"
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # for one that was asked to end; then it is killed
REMOVING_SECONDS = 5.0  # a time-out; a shop's own is shorter than a large cache may take for a step


@dataclass(frozen=True)
class Own:
    """A shop to be: `count` processes on one database in `folder` and one prefix in the cache.

    `environment` holds DEMO_CACHE_URL, and DEMO_DATABASE_URL for another database than one in the folder.
    """

    folder: Path
    environment: Mapping[str, str]
    size: ShopSize
    count: int


def own_prefix() -> str:
    """One that nobody else has."""
    return f"lab:{secrets.token_hex(4)}:"


@contextmanager
def own_shop(own: Own, prefix: str, halted: threading.Event) -> Iterator[list[Address]]:
    """Where its processes listen, once all of them answer; none where `halted` was set before that.

    Afterwards they are ended, by their own pids. Raises ShopTrouble where one ends by itself, with what it said last.
    """
    with ExitStack() as stack:
        shops = []
        # One after the other: the first makes the database.
        for number in range(own.count):
            process, shop = _start(own, prefix, number)
            stack.callback(_end, process)
            if not _answers(process, shop, own.folder / f"shop-{number}.log", halted):
                yield []
                return
            shops.append(shop)
        yield shops


def remove_own_keys(cache_url: str, prefix: str) -> bool:
    """Remove all keys of a shop whose processes have ended; False where the cache did not let it happen."""
    with closing(Remote(cache_url, timeout=REMOVING_SECONDS)) as remote:
        try:
            remove_keys(remote, Keyspace(prefix), with_queue=True)
        except CacheTrouble:
            return False
    return True


def _start(own: Own, prefix: str, number: int) -> tuple[subprocess.Popen[bytes], Address]:
    shop = Address(HOST, _free_port())
    command = [sys.executable, "-m", "dashboard.demo", "serve", "--data", str(own.folder), "--port", str(shop.port)]
    size = ["--users", str(own.size.users), "--products", str(own.size.products)]
    with (own.folder / f"shop-{number}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *size, "--prefix", prefix],
            env={**os.environ, **own.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for whoever started it, who ends it then
        )
    return process, shop


def _answers(process: subprocess.Popen[bytes], shop: Address, log: Path, halted: threading.Event) -> bool:
    while not halted.wait(LOOK_SECONDS):
        if answers(shop) is not None:
            return True
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise ShopTrouble(f"a process of the shop ended at once and said: {said[-1]}")
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
