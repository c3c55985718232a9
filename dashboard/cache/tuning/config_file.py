"""A server's configuration file, where the server runs on this machine: what it would have after a restart.

INFO tells the file's path and the server's process id. Both mean something here only if that process is that server:
behind a tunnel or a container's published port the address is local and the server is not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from dashboard.cache.servers.setting import BY_NAME, BadValue, canonical
from dashboard.cache.servers.target import Target
from dashboard.cache.tuning.node_settings import NodeSettings, same

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
MOST_BYTES = 1 << 20
"""A configuration file is some thousand lines; what is larger is none."""
DEEPEST = 8
"""Files that include one another, as deep."""


def is_here(target: Target, node: NodeSettings, proc: Path = Path("/proc")) -> bool:
    """Whether a node runs on this machine, as a process that can be looked at: its address is local, and the process
    with its id is a server that names the same port in its arguments (on a socket: any server)."""
    host, _, port = node.node.rpartition(":")
    if not target.socket and host.strip("[]") not in LOCAL:
        return False
    try:
        words = (proc / str(node.process) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    # A server writes its address behind its name ("valkey-server 127.0.0.1:6379"), other processes do not.
    title = b" ".join(words).decode("utf-8", "replace")
    named = any(name in title for name in ("valkey", "redis", "keydb"))
    return named and (bool(target.socket) or f":{port}" in title or port in title.split())


def differences(target: Target, node: NodeSettings) -> dict[str, tuple[str, str]]:
    """setting -> (what is running, what the file would give), of those that differ. A setting that no file names has
    its default there where we know it, and is left out where we do not. Empty where the file cannot be read here."""
    if not node.config_file or not is_here(target, node):
        return {}
    try:
        told = settings_in(Path(node.config_file))
    except (OSError, ValueError):
        return {}
    found = {}
    for name, running in node.values.items():
        text = told.get(name, BY_NAME[name].default)
        if text is not None and not same(name, running, _meant(name, text)):
            found[name] = (running, _meant(name, text))
    return found


def settings_in(path: Path, depth: int = 0) -> Mapping[str, str]:
    """name -> value of a file and of those that it includes; of a setting that stands there twice the last. Raises
    OSError, ValueError for what is no configuration file."""
    if depth > DEEPEST or not path.is_absolute() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is no configuration file that can be read here")
    found: dict[str, str] = {}
    for words in _lines(path.read_text(encoding="utf-8", errors="replace").splitlines()):
        name = words[0].lower()
        if name == "include" and len(words) > 1:
            # A relative one counts from where the server was started, which nobody tells.
            found |= settings_in(Path(words[1]), depth + 1)
        elif len(words) > 1:
            found[name] = " ".join(words[1:])
        else:
            found[name] = ""
    return found


def _lines(lines: Iterable[str]) -> Iterable[list[str]]:
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split()
        if words:
            yield words


def _meant(name: str, text: str) -> str:
    try:
        return canonical(name, text)
    except BadValue:
        return text
