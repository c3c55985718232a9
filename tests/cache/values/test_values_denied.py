"""What page() does for a user who may not do everything, and when there is no server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from dashboard.cache.errors import Denied, Unreachable
from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.values.page import Excerpt, HashRow, ListRow, StreamRow, ValuePage, page
from tests.servers import Server, free_port

Opener = Callable[[str], Cache]


@pytest.fixture
def as_user(valkey: Server) -> Iterator[Opener]:
    """Opens the cache as a user with these ACL rules on top of everything."""
    with contextlib.ExitStack() as stack, valkey.client() as client:

        def opened(rules: str) -> Cache:
            client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "+@all", *rules.split())
            place = f"redis://limited:secret@127.0.0.1:{valkey.port}"
            return stack.enter_context(contextlib.closing(Cache(parse_target(f"denied={place}"))))

        client.hset("hash", "f", "v")
        client.rpush("list", "a", "b")
        client.xadd("stream", {"f": "v"}, id="1-0")
        yield opened


def test_without_eval_ro_the_script_runs_by_eval(as_user: Opener) -> None:
    cache = as_user("-eval_ro")
    assert cache.capabilities().can("EVAL")
    found = page(cache, b"list", type="list")
    assert isinstance(found, ValuePage)
    assert (len(found.rows), found.notes) == (2, ())


def test_a_script_that_may_not_do_all_it_needs_gives_way_to_commands(as_user: Opener) -> None:
    found = page(as_user("-object -hget"), b"hash", type="hash")
    assert isinstance(found, ValuePage)
    assert found.rows == (HashRow(Excerpt(b"f", 1), Excerpt(b"v", 1)),)


def test_a_denied_command_is_named(as_user: Opener) -> None:
    with pytest.raises(Denied) as caught:
        page(as_user("-hscan"), b"hash", type="hash")
    assert "HSCAN" in caught.value.sentence


def test_a_stream_is_shown_where_its_groups_are_denied(as_user: Opener) -> None:
    found = page(as_user("-xinfo"), b"stream", type="stream")
    assert isinstance(found, ValuePage)
    assert isinstance(found.rows[0], StreamRow)
    assert found.groups == ()


def test_without_scripts_and_memory_usage_it_says_what_it_could_not_know(as_user: Opener) -> None:
    found = page(as_user("-@scripting -memory"), b"list", type="list")
    assert isinstance(found, ValuePage)
    assert found.rows == (ListRow(0, Excerpt(b"a", 1)), ListRow(1, Excerpt(b"b", 1)))
    assert "neither scripts nor MEMORY USAGE" in found.notes[0]


def test_a_server_that_is_down_is_a_sentence() -> None:
    with (
        contextlib.closing(Cache(parse_target(f"down=redis://127.0.0.1:{free_port()}"))) as cache,
        pytest.raises(Unreachable),
    ):
        page(cache, b"k", type="string")
