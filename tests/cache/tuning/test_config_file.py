"""What a server's configuration file would give, and when it is left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import parse_target
from dashboard.cache.tuning import config_file, node_settings
from dashboard.cache.tuning.node_settings import NodeSettings
from tests.servers import start

MB = 1024 * 1024


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Cache]:
    file = tmp_path / "valkey.conf"
    file.write_text(f"# a comment\n\nMaxMemory 20mb\ninclude {tmp_path / 'more.conf'}\n")
    (tmp_path / "more.conf").write_text('maxmemory-policy "allkeys-lru"\nmaxmemory-samples 5\n')
    server = start(config=file)
    try:
        with closing(Cache(parse_target(f"shop={server.url}"))) as cache:
            yield cache
    finally:
        server.stop()


def _node(cache: Cache) -> NodeSettings:
    (node,) = node_settings.read(cache)
    return node


def test_a_server_that_runs_as_its_file_says_differs_in_nothing(shop: Cache) -> None:
    assert config_file.is_here(shop.target, _node(shop))
    assert config_file.differences(shop.target, _node(shop)) == {}


def test_what_was_changed_since_would_be_lost_at_a_restart(shop: Cache) -> None:
    node_settings.put(shop, shop.primaries()[0], {"maxmemory": str(10 * MB), "lfu-decay-time": "3"})
    assert config_file.differences(shop.target, _node(shop)) == {
        "maxmemory": (str(10 * MB), str(20 * MB)),
        "lfu-decay-time": ("3", "1"),
    }
    assert node_settings.rewrite(shop, shop.primaries()[0]) == ""
    assert config_file.differences(shop.target, _node(shop)) == {}


def test_a_server_elsewhere_is_not_looked_for_here(shop: Cache) -> None:
    node_settings.put(shop, shop.primaries()[0], {"maxmemory": "1"})
    far = replace(_node(shop), node="10.1.2.3:6379")
    assert not config_file.is_here(shop.target, far)
    assert config_file.differences(shop.target, far) == {}


def test_a_local_address_whose_process_is_another_is_a_tunnel(shop: Cache) -> None:
    """Of a tunnel or a container the process id is one of another machine: here it is somebody else's, or nobody's."""
    for process in (os.getpid(), 2**22 + 1, 0):
        assert not config_file.is_here(shop.target, replace(_node(shop), process=process))
    assert not config_file.is_here(shop.target, replace(_node(shop), node="127.0.0.1:1"))


def test_a_file_that_is_none_says_nothing(shop: Cache, tmp_path: Path) -> None:
    loop = tmp_path / "loop.conf"
    loop.write_text(f"include {loop}\n")
    relative = tmp_path / "relative.conf"
    relative.write_text("include more.conf\n")
    large = tmp_path / "large.conf"
    large.write_bytes(b"#" * (config_file.MOST_BYTES + 1))
    for path in (loop, relative, large, tmp_path, tmp_path / "missing", Path("/dev/zero")):
        node = replace(_node(shop), config_file=str(path), values={"maxmemory": str(20 * MB)})
        assert config_file.differences(shop.target, node) == {}
