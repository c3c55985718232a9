"""Clients that listen, as applications are: subscribers that read or do not, and some that track keys."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import redis

from tests.programs import wait_until
from tests.servers import HOST, PATIENCE_SECONDS, Server

PAYLOAD = b"x" * 8192
"""Larger ones Valkey 9 does not copy into a client's buffer, and does not count."""
AT_ONCE = 64


class Raw:
    """A connection that speaks the protocol and reads only when it is told to."""

    def __init__(self, server: Server, name: str = "") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect((HOST, server.port))
        if name:
            self.says("CLIENT", "SETNAME", name)

    def says(self, *words: str) -> bytes:
        """Send one command and give what comes first for it."""
        sent = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(sent), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in sent)]
        self._socket.sendall(b"".join(parts))
        return self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def raw(server: Server, name: str, *commands: tuple[str, ...]) -> Iterator[Raw]:
    with contextlib.closing(Raw(server, name)) as client:
        for words in commands:
            reply = client.says(*words)
            assert not reply.startswith(b"-"), reply
        yield client


def swamped(server: Server, channel: str, least: int) -> int:
    """Publish to a subscriber that does not read until so many bytes wait for it; how many do."""
    with server.client() as client:

        def waiting() -> int:
            clients = client.execute_command("CLIENT LIST", "TYPE", "pubsub")
            assert isinstance(clients, list)
            return max((int(one["omem"]) for one in clients), default=0)

        def enough() -> bool:
            if waiting() >= least:
                return True
            pipe = client.pipeline(transaction=False)
            for _ in range(AT_ONCE):
                pipe.publish(channel, PAYLOAD)
            pipe.execute()
            return False

        wait_until(enough, "the buffer of the subscriber grew")
        return waiting()


def limited(client: redis.Redis, text: str) -> None:
    client.config_set("client-output-buffer-limit", text)
