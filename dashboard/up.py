"""`cachedeck up`: all of Cachedeck in one terminal, with a cache and traffic of its own where none is configured."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dashboard import embedded
from dashboard.listening import answers, home, listen
from dashboard.processes import Processes, Program
from dashboard.settings import BadSettings, prepare_data_folder
from dashboard.store import audit, operators
from dashboard.store.audit import Change
from dashboard.store.engine import open_store
from dashboard.store.errors import StoreError
from dashboard.store.operators import Role

if TYPE_CHECKING:
    from dashboard.settings import Settings

FIRST_OPERATOR = "admin"
SHOP_PORT = 8601
BENCH_PORT = 8602
# No look-alikes (0 o, 1 l i); 16 of these 31 characters hold 79 bits.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def run_up(settings: Settings) -> int:
    """Start everything and stay until a signal. Gives the exit code: 0 after a signal, 1 when a process ended.

    With caches configured these are the web process and the worker; without, an embedded Valkey and the
    demo's shop and visitors besides. Raises SystemExit with a sentence where it cannot start.
    """
    try:
        prepare_data_folder(settings)
    except BadSettings as error:
        raise SystemExit(str(error)) from None
    with _alone(settings):
        listen(settings.host, settings.port).close()
        processes = Processes(_programs(settings))
        return processes.run(lambda: answers(settings), lambda: _welcome(settings))


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data folder: two embedded servers and two workers on one would be a mess nobody asked for."""
    with (settings.data / "up.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise SystemExit(
                f"Another `cachedeck up` (process {holder}) runs on {settings.data}. "
                "Stop it, or set CACHEDECK_DATA to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _programs(settings: Settings) -> list[Program]:
    if settings.caches:
        return [_own("web"), _own("worker")]
    try:
        server = embedded.prepare(settings.data / "valkey", settings.embedded_maxmemory)
        shop_port, bench_port = embedded.free_port(SHOP_PORT), embedded.free_port(BENCH_PORT)
    except OSError as error:
        raise SystemExit(f"The embedded Valkey cannot be prepared: {error}.") from None
    # An empty CACHEDECK_CACHES_FILE would win over CACHEDECK_CACHES.
    known = {"CACHEDECK_CACHES": server.pair, "CACHEDECK_CACHES_FILE": ""}
    lab = {"CACHEDECK_DEMO_URL": f"http://{embedded.HOST}:{bench_port}", "CACHEDECK_DEMO_URL_FILE": ""}
    demo, data = (sys.executable, "-m", "dashboard.demo"), ("--data", str(settings.data / "demo"))
    serve = (*demo, "serve", *data, "--port", str(shop_port))
    shop = ("--url", f"http://{embedded.HOST}:{shop_port}")
    drive = (*demo, "drive", *data, *shop, "--rate", str(settings.demo_rate), "--bench-port", str(bench_port))
    return [
        Program("valkey", server.command, last=True, unimportant=embedded.UNIMPORTANT),
        _own("web", known | lab),
        _own("worker", known),
        Program("shop", serve, {"DEMO_CACHE_URL": server.url}),
        Program("visitors", drive),
    ]


def _own(verb: str, environment: dict[str, str] | None = None) -> Program:
    return Program(verb, (sys.executable, "-m", "dashboard", verb), environment or {})


def _welcome(settings: Settings) -> None:
    """Print where to go and how to get in. The only place where the first password is ever shown."""
    lines = ["", f"  Cachedeck is ready   {home(settings)}"]
    try:
        password = _first_password(settings)
    except StoreError as error:
        lines.append(f"  No operator could be added: {error.sentence}")
    else:
        lines += _how_to_sign_in(settings, password)
    lines += ["", f"  Data is kept in {settings.data.absolute()}. Ctrl-C stops everything.", ""]
    print("\n".join(lines), flush=True)


def _how_to_sign_in(settings: Settings, password: str | None) -> list[str]:
    if password:
        return [
            f"  Sign in as           {FIRST_OPERATOR}",
            f"  with the password    {password}   (shown only now)",
        ]
    command = f"CACHEDECK_DATA={shlex.quote(str(settings.data.absolute()))} {_command()} operator"
    return [
        "  Sign in as an operator who was added before. A lost password is replaced by:",
        f"  {command} passwd {FIRST_OPERATOR}",
    ]


def _command() -> str:
    """How this program was called, to be typed again."""
    name = sys.argv[0]
    return f"{shlex.quote(sys.executable)} -m dashboard" if name.endswith("__main__.py") else shlex.quote(name)


def _first_password(settings: Settings) -> str | None:
    """Add the first operator, an admin, with a new password. None where there are operators already."""
    store = open_store(settings.database)
    try:
        if operators.all_operators(store):
            return None
        password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
        change = Change("cachedeck up", "local", "", "operator.add", FIRST_OPERATOR)
        with audit.record(store, change) as attempt:
            operators.add(store, FIRST_OPERATOR, password, Role.ADMIN)
            attempt.done(after={"role": Role.ADMIN.label})
        return password
    finally:
        store.close()
