"""Which cache the demo runs on: a configured one, as the demo takes it, or one that is brought for a while."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from dashboard import embedded
from dashboard.cache.servers.target import Target
from dashboard.leash import die_with_parent

START_SECONDS = 20.0
STOP_SECONDS = 3.0


def url_of(target: Target) -> str:
    """A target as the demo's client takes it. May hold a password: for an environment, never for a command line.

    Raises UsageError for what the demo does not speak.
    """
    if target.kind != "standalone":
        raise click.UsageError(
            f"{target.name} is a {target.kind}: the demo speaks to one server. Name the URL of a primary."
        )
    who = f"{quote(target.username, safe='')}:{quote(target.password, safe='')}@"
    login = who if target.username or target.password else ""
    if target.socket:
        return f"unix://{login}{quote(target.socket)}?{urlencode({'db': target.db})}"
    host, port = target.hosts[0]
    place = f"{f'[{host}]' if ':' in host else host}:{port}/{target.db}"
    return f"rediss://{login}{place}?{_tls(target)}" if target.tls else f"redis://{login}{place}"


def _tls(target: Target) -> str:
    """As redis-py names them: https://redis.readthedocs.io/en/stable/connections.html"""
    tls = target.tls
    if tls is None:
        return ""
    named = {"ssl_ca_certs": tls.ca, "ssl_certfile": tls.cert, "ssl_keyfile": tls.key}
    given = {name: value for name, value in named.items() if value}
    return urlencode({**given, "ssl_cert_reqs": "required" if tls.verify else "none"})


def require_usable(target: Target, *, yes: bool) -> None:
    """Raises UsageError for a cache that nobody should play with."""
    if target.read_only:
        raise click.UsageError(f"{target.name} is declared read-only, and the demo writes.")
    if target.environment == "production" and not yes:
        raise click.UsageError(f"{target.name} is production: say --yes if you mean it. The demo makes load there.")


@contextmanager
def brought(maxmemory: str) -> Iterator[str]:
    """The URL of a Valkey of our own, for one block. Raises ClickException where it does not start."""
    with tempfile.TemporaryDirectory(prefix="cachedeck-demo-") as folder:
        try:
            server = embedded.prepare(Path(folder), maxmemory)
            process = subprocess.Popen(  # noqa: S603 (our own command)
                server.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for who uses it; it is stopped afterwards
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 (no thread runs here)
            )
        except OSError as error:
            raise click.ClickException(f"No cache is configured, and none can be brought: {error}.") from None
        try:
            _wait_for(server.port, process)
            yield server.url
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((embedded.HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise click.ClickException("No cache is configured, and the one that was brought does not start.")
