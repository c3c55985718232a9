"""A wire between Cachedeck and its server that loses answers when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.servers import HOST, Server


class Wire:
    """Passes on what both sides say. `lose`: the answers to the next calls that contain these bytes never arrive."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listening = socket.create_server((HOST, 0))
        self._lost: list[bytes] = []
        self._sockets: list[socket.socket] = [self._listening]
        threading.Thread(target=self._take_calls, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def lose(self, words: bytes, times: int = 1) -> None:
        self._lost += [words] * times

    @property
    def has_lost(self) -> bool:
        """Whether all of the answers are lost that were to be."""
        return not self._lost

    def close(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _take_calls(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection((HOST, self._server.port))
                self._sockets += [near, far]
                losing = threading.Event()
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, losing, source is far), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, losing: threading.Event, answers: bool) -> None:
        """An answer that is lost was given all the same: the server has done what it was asked to."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if answers and losing.is_set():
                    break
                if not answers and self._lost and self._lost[0] in data:
                    self._lost.pop(0)
                    losing.set()
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire_to(server: Server) -> Iterator[Wire]:
    wire = Wire(server)
    try:
        yield wire
    finally:
        wire.close()
