"""What memory a server's container has: from control groups as kernels lay them out, and as an operator says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.cache.servers.connect import Cache
from dashboard.cache.servers.target import BadTarget, parse_target
from dashboard.cache.tuning.container import limit_of, limits
from dashboard.cache.tuning.node_settings import read
from tests.servers import Server


def lay(folder: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    proc, groups = folder / "proc", folder / "groups"
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "cgroup").write_text(line)
    for name, text in files.items():
        file = groups / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return proc, groups


@pytest.mark.parametrize(
    ("line", "files", "wanted"),
    [
        ("0::/pod/redis\n", {"pod/redis/memory.max": "1000\n"}, 1000),
        ("0::/pod/redis\n", {"pod/redis/memory.max": "max\n", "pod/memory.max": "700\n"}, 700),
        ("0::/pod/redis\n", {"pod/redis/memory.max": "1000\n", "pod/memory.max": "700\n"}, 700),
        ("0::/\n", {"memory.max": "500\n"}, 500),
        ("0::/../other\n", {"memory.max": "500\n", "other/memory.max": "1\n"}, 500),
        ("4:memory:/a\n3:cpu:/b\n", {"memory/a/memory.limit_in_bytes": "800\n", "b/memory.max": "1\n"}, 800),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 0),
        ("0::/pod\n", {}, 0),
        ("nonsense\n", {"memory.max": "500\n"}, 0),
        ("", {}, 0),
    ],
)
def test_the_least_limit_on_the_way_up_counts(tmp_path: Path, line: str, files: dict[str, str], wanted: int) -> None:
    assert limit_of(7, *lay(tmp_path, line, files)) == wanted


def test_a_process_that_is_gone_has_none(tmp_path: Path) -> None:
    assert limit_of(8, *lay(tmp_path, "0::/\n", {"memory.max": "500\n"})) == 0


def test_a_server_on_this_machine_is_measured_and_another_process_is_not(valkey: Server, tmp_path: Path) -> None:
    with_limit = lay(tmp_path, "", {"memory.max": "123456\n"})[1]
    cache = Cache(parse_target(f"main={valkey.url}"))
    try:
        (node,) = read(cache)
        assert node.process == valkey.process.pid
        assert limits(cache.target, [node], groups=with_limit) in ({node.node: 123456}, {})
        assert limits(cache.target, [replace(node, process=1)], groups=with_limit) == {}
        elsewhere = replace(node, node="10.9.8.7:6379", primary="10.9.8.7:6379")
        assert limits(cache.target, [elsewhere], groups=with_limit) == {}
    finally:
        cache.close()


def test_what_the_operator_says_counts_before_what_the_kernel_says(valkey: Server, tmp_path: Path) -> None:
    cache = Cache(parse_target(f"main={valkey.url}?memory_limit=2gb"))
    try:
        (node,) = read(cache)
        assert limits(cache.target, [node], groups=tmp_path) == {node.node: 2 * 1024**3}
    finally:
        cache.close()


@pytest.mark.parametrize("text", ["", "0", "many", "-1", "2%20gbb", "75%25"])
def test_a_limit_that_is_no_amount_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(BadTarget, match="memory_limit is bytes"):
        parse_target(f"main=redis://h?memory_limit={text}")
