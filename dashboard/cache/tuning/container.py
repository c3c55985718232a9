"""The memory limit of the container that a server runs in, where it runs on this machine: its control group's.

https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max of a group and of all above it), and cgroup-v1/memory
(memory.limit_in_bytes). Where a server runs elsewhere nobody tells it: then an operator may (`memory_limit` of a URL).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dashboard.cache.servers.target import Target
from dashboard.cache.tuning.config_file import is_here
from dashboard.cache.tuning.node_settings import NodeSettings

PROC = Path("/proc")
GROUPS = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 60
"""Version 1 writes a huge number where there is none."""


def limits(
    target: Target, nodes: Iterable[NodeSettings], proc: Path = PROC, groups: Path = GROUPS
) -> Mapping[str, int]:
    """node -> bytes of its container, of those where it is known: as the operator said, else as the kernel says."""
    found = {}
    for node in nodes:
        limit = target.memory_limit or (limit_of(node.process, proc, groups) if is_here(target, node, proc) else 0)
        if limit:
            found[node.node] = limit
    return found


def limit_of(process: int, proc: Path = PROC, groups: Path = GROUPS) -> int:
    """Bytes that a process's control group may take, or one of those above it, whichever is least; 0 for no limit."""
    try:
        lines = (proc / str(process) / "cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return min((limit for line in lines for limit in _of_line(line, groups)), default=0)


def _of_line(line: str, groups: Path) -> Iterator[int]:
    """Limits by one line of /proc/PID/cgroup: `0::/path` of version 2, `4:memory:/path` of version 1."""
    _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "none", "")
    if controllers not in ("", "memory"):
        return
    root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # it is outside of what this process may see
        parts = []
    for depth in range(len(parts), -1, -1):
        limit = _read(root.joinpath(*parts[:depth], name))
        if limit:
            yield limit


def _read(file: Path) -> int:
    """A limit in bytes; 0 where the file says "max", or cannot be read."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and int(text) < NO_LIMIT else 0
