"""The web process's address: taking it, naming it, asking whether it answers."""

from __future__ import annotations

import errno
import http.client
import socket
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboard.settings import Settings

BACKLOG = 128
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (to connect to one that listens so)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises SystemExit with one sentence where the address cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise SystemExit(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program. Stop it, or set CACHEDECK_PORT."
    if error.errno == errno.EACCES:
        return f"Port {port} of {host} is closed to this user. Set CACHEDECK_PORT to 1024 or more."
    return f"Cannot listen at {host} port {port} ({error.strerror}). Check CACHEDECK_HOST and CACHEDECK_PORT."


def home(settings: Settings) -> str:
    """The URL at which a browser on this machine reaches the web process; ends with a slash."""
    host = _ANY.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}{settings.url_prefix}/"


def answers(settings: Settings, timeout: float = 1.0) -> bool:
    """Whether the application answers. An open port is no sign: it opens before the application is loaded."""
    host = _ANY.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=timeout)
    with closing(connection):
        try:
            connection.request("GET", f"{settings.url_prefix}/login")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
