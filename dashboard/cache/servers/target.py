"""Target: which server, how it is reached, and what we may do there. Parsed once, from settings.

A target is written as `name=url`:

    redis://user:password@host:6379/0            one server
    rediss://...                                 the same over TLS
    unix:///run/valkey.sock?db=0                 a socket on this machine
    redis+cluster://host:7000,host2:7000         a cluster, entered by any of its nodes
    redis+sentinel://host:26379,h2:26379/name/0  the primary that sentinels name
    (rediss+cluster, rediss+sentinel: over TLS; valkey may stand for redis in all of them)

with these options in its query: `timeout` and `connect_timeout` (seconds), `environment`
(production, staging, development), `read_only` (yes/no), `username`, `password_file`,
`sentinel_username`, `sentinel_password_file`, `tls_ca`, `tls_cert`, `tls_key` (files),
`tls_verify` (yes/no), `db`, `memory_limit` (what the server's container or machine may take, such as 2gb).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dashboard.cache.servers.setting import BadValue, canonical

Kind = Literal["standalone", "cluster", "sentinel"]
Environment = Literal["", "production", "staging", "development"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SCHEME = re.compile(r"(?:redis|valkey)(?P<tls>s)?(?:\+(?P<kind>cluster|sentinel))?|unix")
_ENVIRONMENTS = ("production", "staging", "development")
_OPTIONS = frozenset(
    "timeout connect_timeout environment read_only username password_file sentinel_username "
    "sentinel_password_file tls_ca tls_cert tls_key tls_verify db memory_limit".split()
)


class BadTarget(ValueError):
    """A cache's URL cannot be used; the sentence names the cache and never contains its password."""


@dataclass(frozen=True)
class Tls:
    """How a TLS server is verified and what we show it; empty paths mean the system's defaults."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


@dataclass(frozen=True)
class Target:
    """One cache as configured. `repr` shows no password."""

    name: str
    kind: Kind = "standalone"
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    db: int = 0
    service: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: Tls | None = None
    timeout: float = 2.0
    connect_timeout: float = 2.0
    environment: Environment = ""
    read_only: bool = False
    memory_limit: int = 0
    """Bytes that each server's container or machine may take, as the operator says; 0 where nobody has said it."""

    @property
    def address(self) -> str:
        """Where it is, without user and password: `redis://127.0.0.1:6379/0`."""
        if self.socket:
            return f"unix://{self.socket}"
        scheme = ("rediss" if self.tls else "redis") + ("" if self.kind == "standalone" else f"+{self.kind}")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        path = f"/{self.service}" if self.service else ""
        return f"{scheme}://{hosts}{path}" + (f"/{self.db}" if self.db else "")


def parse_targets(text: str) -> tuple[Target, ...]:
    """All targets of a setting: `name=url` pairs separated by white space. Raises BadTarget."""
    targets = tuple(parse_target(pair) for pair in text.split())
    names = [target.name for target in targets]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadTarget(f"The cache name {min(twice)!r} is given twice.")
    return targets


def parse_target(pair: str) -> Target:
    """One `name=url`. Raises BadTarget with a sentence that contains no secret."""
    name, equals, url = pair.partition("=")
    if not equals or not NAME.fullmatch(name):
        # It is not quoted: after a space in a password it would be the rest of that.
        raise BadTarget("A cache is written as name=url, the name of letters, digits, '-', '_' and '.'.")
    try:
        return _from_url(name, url)
    except BadTarget as error:
        raise BadTarget(f"The cache {name!r}: {error}") from None
    except ValueError:
        # urllib's own message may quote the part with the password in it.
        raise BadTarget(f"The cache {name!r}: its address cannot be read (host, port or path).") from None


def _from_url(name: str, url: str) -> Target:
    parts = urlsplit(url)
    scheme = _SCHEME.fullmatch(parts.scheme)
    if scheme is None:
        raise BadTarget(
            "its URL begins with none of redis://, rediss://, unix://, redis+cluster://, redis+sentinel://."
        )
    _refuse_unencoded(parts)
    kind: Kind = scheme.group("kind") or "standalone"  # type: ignore[assignment]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise BadTarget(f"the option {unknown[0]!r} is not known; there are {', '.join(sorted(_OPTIONS))}.")
    username, password, places = _split_authority(parts)
    unix = parts.scheme == "unix"
    if unix and not parts.path:
        raise BadTarget("its URL names no socket: write it as unix:///run/valkey.sock.")
    service, db = _split_path(parts, kind, options)
    if kind == "cluster" and db:
        raise BadTarget("a cluster has only database 0.")
    return Target(
        name=name,
        kind=kind,
        hosts=() if unix else _hosts(places, 26379 if kind == "sentinel" else 6379),
        socket=unquote(parts.path) if unix else "",
        db=db,
        service=service,
        username=options.get("username", username),
        password=_secret(options, "password_file") or password,
        sentinel_username=options.get("sentinel_username", ""),
        sentinel_password=_secret(options, "sentinel_password_file"),
        tls=_tls(options, encrypted=bool(scheme.group("tls"))),
        timeout=_seconds(options, "timeout"),
        connect_timeout=_seconds(options, "connect_timeout"),
        environment=_environment(options),
        read_only=_yes(options, "read_only"),
        memory_limit=_bytes(options, "memory_limit"),
    )


def _refuse_unencoded(parts: SplitResult) -> None:
    """A `/`, `?` or `#` in a password ends the host there: the rest must be neither used nor shown."""
    if parts.fragment or "@" in parts.path + parts.query:
        raise BadTarget("percent-encode @ / : ? # and white space in its password, and @ in a path or an option.")


def _split_authority(parts: SplitResult) -> tuple[str, str, str]:
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    return unquote(username), unquote(password), places


def _hosts(places: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for place in places.split(","):
        one = urlsplit(f"//{place}")
        hosts.append((one.hostname or "127.0.0.1", one.port or default_port))
    return tuple(hosts)


def _split_path(parts: SplitResult, kind: Kind, options: dict[str, str]) -> tuple[str, int]:
    """(sentinel's service name, database number); the `db` option wins over the path."""
    segments = [] if parts.scheme == "unix" else [unquote(part) for part in parts.path.split("/") if part]
    service = ""
    if kind == "sentinel":
        if not segments:
            raise BadTarget("a sentinel URL names the service in its path: redis+sentinel://host:26379/mymaster.")
        service = segments.pop(0)
    number = options.get("db", segments[0] if segments else "0")
    if not number.isdigit() or len(segments) > 1:
        raise BadTarget("its path is a database number.")
    return service, int(number)


def _tls(options: dict[str, str], *, encrypted: bool) -> Tls | None:
    if not encrypted:
        if any(name.startswith("tls_") for name in options):
            raise BadTarget("tls_ options need a URL that begins with rediss.")
        return None
    files = {name: options.get(f"tls_{name}", "") for name in ("ca", "cert", "key")}
    for name, path in files.items():
        if path and not Path(path).is_file():
            raise BadTarget(f"tls_{name} names no file: {path}.")
    verify = _yes(options, "tls_verify", default=True)
    return Tls(files["ca"], files["cert"], files["key"], verify)


def _secret(options: dict[str, str], name: str) -> str:
    path = options.get(name, "")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise BadTarget(f"{name} cannot be read: {path}.") from None


def _seconds(options: dict[str, str], name: str) -> float:
    text = options.get(name, "2")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.01 <= seconds <= 60:
        raise BadTarget(f"{name} is a number of seconds from 0.01 to 60.")
    return seconds


def _bytes(options: dict[str, str], name: str) -> int:
    if name not in options:
        return 0
    try:
        value = int(canonical("maxmemory", options[name]))
    except BadValue:
        value = 0
    if value < 1:
        raise BadTarget(f"{name} is bytes such as 2gb or 512mb.")
    return value


def _environment(options: dict[str, str]) -> Environment:
    label = options.get("environment", "")
    if label and label not in _ENVIRONMENTS:
        raise BadTarget(f"environment is one of {', '.join(_ENVIRONMENTS)}.")
    return label  # type: ignore[return-value]


def _yes(options: dict[str, str], name: str, *, default: bool = False) -> bool:
    text = options.get(name, "yes" if default else "no").lower()
    if text not in ("yes", "no", "true", "false", "1", "0"):
        raise BadTarget(f"{name} is yes or no.")
    return text in ("yes", "true", "1")
