"""TLS in front of a server: the binary that the tests use is built without it, so this ends it as a proxy would."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.servers import HOST, Server

CERTIFICATES = Path(__file__).parent / "tls"


@contextlib.contextmanager
def tls_front(server: Server, *, asks_for_client: bool = False) -> Iterator[int]:
    """The port on which the server is reached by TLS; with `asks_for_client` only with our authority's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    if asks_for_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / "ca.pem")
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, server.port), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(raw, context, port), daemon=True).start()


def _carry(raw: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with raw, contextlib.suppress(OSError):
        outside = context.wrap_socket(raw, server_side=True)
        with outside, socket.create_connection((HOST, port)) as inside:
            threading.Thread(target=_copy, args=(inside, outside), daemon=True).start()
            _copy(outside, inside)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
