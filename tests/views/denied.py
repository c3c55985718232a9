"""Pages as they are where a command is denied to Cachedeck's user."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from flask.testing import FlaskClient

from tests.servers import Server


@contextlib.contextmanager
def denied_to_mo(valkey: Server, at: Callable[..., FlaskClient], command: str) -> Iterator[FlaskClient]:
    with contextlib.closing(valkey.client()) as client:
        client.execute_command("ACL", "SETUSER", "mo", "reset", "on", ">pw", "~*", "&*", "+@all", f"-{command}")
        yield at("", "mo:pw@")
        client.execute_command("ACL", "DELUSER", "mo")
