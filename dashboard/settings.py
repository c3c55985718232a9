"""Every setting, once: name, type, default, help. Read from the environment; a bad value fails at start.

Each `CACHEDECK_X` can also be given as `CACHEDECK_X_FILE`, the path of a file with the value, so that
a secret needs to be in no environment and no process list.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from dashboard.cache.servers.target import BadTarget, Target, parse_targets

PREFIX = "CACHEDECK_"


class BadSettings(ValueError):
    """A setting cannot be used; the text is one sentence for each and contains no secret."""


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "cachedeck"


class Settings(BaseSettings):
    """All settings; the environment variable is the field's name in capitals after `CACHEDECK_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    caches: Annotated[tuple[Target, ...], NoDecode] = Field(
        (),
        description="The caches as name=url pairs separated by white space. None: `cachedeck up` brings its own.",
    )
    data: Path = Field(
        default_factory=_default_data,
        description="Folder of Cachedeck's own files: database, queue, secret key, vault.",
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of Cachedeck's own state. Default: SQLite in the data folder."
    )
    queue_url: SecretStr | None = Field(
        None,
        description="Where background work is queued: redis://, rediss:// or postgresql://. Default: SQLite.",
    )
    host: str = Field("127.0.0.1", description="Address on which the web process listens.")
    port: int = Field(8600, ge=1, le=65535, description="Port on which the web process listens. PORT is taken too.")
    url_prefix: str = Field("", description="Path under which a proxy serves Cachedeck, such as /ops/cache.")
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="How many proxies stand in front and set X-Forwarded-*; 0 trusts none."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Signs sessions, at least 32 characters. Default: generated and kept in the data folder.",
    )
    idle_minutes: int = Field(30, ge=1, le=1440, description="A session ends after so many minutes without a click.")
    session_hours: int = Field(12, ge=1, le=168, description="A session ends so many hours after login in any case.")
    sample_seconds: float = Field(2.0, ge=0.5, le=60, description="The worker samples INFO every so many seconds.")
    search_seconds: float = Field(
        0.25,
        ge=0.05,
        le=5,
        description="One step of a key search may take so long; the page goes on by itself.",
    )
    walk_hold_ms: float = Field(
        1.0, ge=0.1, le=20, description="One call of an analysis may hold a server for about so many milliseconds."
    )
    walk_share: float = Field(
        0.5, ge=0.05, le=1, description="An analysis takes at most this share of each server's time, unless it is told."
    )
    walk_latency_ms: float = Field(
        50.0,
        ge=1,
        le=10_000,
        description="An analysis ends by itself when a server answers a PING so much more slowly than at its start.",
    )
    walk_memory_mb: int = Field(
        64,
        ge=1,
        le=1_048_576,
        description="An analysis ends by itself when a server's memory grows by so much, and by a tenth, meanwhile.",
    )
    vault_mb: int = Field(
        1024,
        ge=0,
        le=1_048_576,
        description="What is kept for undo takes at most so many MB in the data folder. 0 keeps nothing.",
    )
    vault_hours: float = Field(24.0, gt=0, le=8760, description="What was removed can be brought back for so long.")
    vault_key_mb: int = Field(
        16, ge=1, le=512, description="A key that takes more memory than so many MB is not kept for undo, nor removed."
    )
    approve_keys: int = Field(
        0, ge=0, description="An invalidation of so many keys needs another operator's approval; 0: none does."
    )
    approve_mb: int = Field(
        0, ge=0, description="An invalidation of so many MB needs another operator's approval; 0: none does."
    )
    approve_percent: float = Field(
        0.0,
        ge=0,
        le=100,
        description="An invalidation of so many percent of all keys needs another operator's approval; 0: none does.",
    )
    namespace_separator: str = Field(":", min_length=1, max_length=4, description="What separates a key's parts.")
    web_threads: int = Field(16, ge=2, le=256, description="Threads of the web process.")
    streams: int = Field(
        200,
        ge=1,
        le=400,
        description="So many consoles may be open at the same time; each takes a thread more of the web process.",
    )
    demo_url: str = Field(
        "",
        description="Where the demo's bench answers, such as http://127.0.0.1:8602: the Lab screen is there then.",
    )
    demo_rate: int = Field(150, ge=1, le=5000, description="Requests per second of the demo traffic of `cachedeck up`.")
    embedded_maxmemory: str = Field(
        "16mb",
        pattern=r"^\d+(kb|mb|gb)?$",
        description="maxmemory of the Valkey server that `cachedeck up` brings.",
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What the log shows.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic names them in its call)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _FromFiles(settings_cls), env_settings

    @field_validator("caches", mode="before")
    @classmethod
    def _parse_caches(cls, value: object) -> object:
        if isinstance(value, str):
            return parse_targets(value)
        return value

    @field_validator("url_prefix")
    @classmethod
    def _normalise_prefix(cls, value: str) -> str:
        prefix = value.strip("/")
        if any(character in prefix for character in "?#\\ \r\n") or "//" in prefix:
            raise ValueError("is a path such as /ops/cache")
        return f"/{prefix}" if prefix else ""

    @field_validator("demo_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if not value:
            return value
        if parts.scheme not in ("http", "https") or not parts.hostname or not _port_of(parts):
            raise ValueError("is an address such as http://127.0.0.1:8602")
        if "@" in parts.netloc or parts.query or parts.fragment or not value.isprintable() or " " in value:
            raise ValueError("is scheme, host, port and path alone")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("has at least 32 characters")
        return value

    @property
    def database(self) -> str:
        """SQLAlchemy URL of our own state; may contain a password."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data.absolute() / 'cachedeck.db'}"

    @property
    def queue(self) -> str:
        """URL of the queue; may contain a password."""
        if self.queue_url:
            return self.queue_url.get_secret_value()
        return f"sqlite:///{self.data.absolute() / 'queue.db'}"


def _port_of(parts: SplitResult) -> int:
    """0 for what is no port."""
    try:
        return 80 if parts.port is None else parts.port
    except ValueError:
        return 0


class _FromFiles(PydanticBaseSettingsSource):
    """CACHEDECK_X_FILE names a file that holds CACHEDECK_X."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        del field
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError):
            raise BadSettings(f"{PREFIX}{field_name.upper()}_FILE cannot be read: {path}.") from None

    def __call__(self) -> dict[str, Any]:
        names = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in names.items()}
        return {name: value for name, value in found.items() if value is not None}


def load_settings() -> Settings:
    """Settings from the environment. Raises BadSettings, one line for each that is wrong, without secrets."""
    # PORT is what platforms that read a Procfile set; our own name wins over it.
    ours = f"{PREFIX}PORT" in os.environ or f"{PREFIX}PORT_FILE" in os.environ
    platform = {"port": os.environ["PORT"]} if os.environ.get("PORT") and not ours else {}
    try:
        return Settings(**platform)  # type: ignore[arg-type]
    except ValidationError as error:
        found = [(str(one["loc"][0]), _reason(one)) for one in error.errors()]
        lines = [f"{'' if name in platform else PREFIX}{name.upper()}: {reason}" for name, reason in found]
        raise BadSettings("\n".join(lines)) from None


def _reason(problem: Any) -> str:
    cause = problem.get("ctx", {}).get("error")
    return str(cause) if isinstance(cause, BadTarget) else str(problem["msg"]).removeprefix("Value error, ")


def prepare_data_folder(settings: Settings) -> None:
    """Make the data folder, closed to other users. Raises BadSettings where it cannot be written."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable = os.access(settings.data, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise BadSettings(f"{PREFIX}DATA: {settings.data} is not a folder that Cachedeck can write to.")


def secret_key(settings: Settings) -> str:
    """The key that signs sessions: as set, else the one kept in the data folder, made at first need.

    Raises BadSettings where none is set and the data folder cannot keep one: a key that is new at
    every start would log everybody out and differ between processes.
    """
    if settings.secret_key:
        return settings.secret_key.get_secret_value()
    prepare_data_folder(settings)
    path = settings.data / "secret_key"
    try:
        _write_once(path, secrets.token_hex(32))
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise BadSettings(f"{PREFIX}SECRET_KEY is not set and {path} cannot be written and read.") from None
    if len(key) < 32:
        raise BadSettings(f"{path} is damaged: remove it, or set {PREFIX}SECRET_KEY. All sessions end then.")
    return key


def _write_once(path: Path, text: str) -> None:
    """Write a file that only we may read, whole or not at all; of several that try, the first wins."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
