"""Every table of Cachedeck's own state, in types that each SQL database knows.

A change here needs a migration beside it in `migrations/versions`; a test compares the two.
Times are seconds since the epoch unless the name says `_ms`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraints have names of their own, so that a later migration can alter them on any database."""

# SQLite counts up by itself only in a column whose type is exactly INTEGER.
COUNTED = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class OperatorRow(Base):
    """Somebody who may sign in. Rows are never deleted: the audit trail names them."""

    __tablename__ = "operators"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(255), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[int] = mapped_column(Integer)
    enabled: Mapped[bool] = mapped_column(Boolean)
    session_epoch: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double)
    last_login_at: Mapped[float | None] = mapped_column(Double)


class SignInRow(Base):
    """A sign-in that failed (or is being tried), or the last one that succeeded from an address.

    `account` is the SHA-256 of the name that was typed: now and then it is a password.
    """

    __tablename__ = "sign_ins"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    account: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[float] = mapped_column(Double)
    succeeded: Mapped[bool] = mapped_column(Boolean)

    __table_args__ = (Index(None, "account", "at"), Index(None, "address", "at"), Index(None, "at"))


class AuditRow(Base):
    """One link of the audit trail: an attempt (`attempt_id` is null) or the outcome of one.

    Rows are inserted and never touched again. `id` counts without gaps, by AuditHeadRow.
    `before` and `after` are JSON text.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempt_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("audit.id"), unique=True)
    at: Mapped[float] = mapped_column(Double)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    cache: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = (Index(None, "at"),)


class AuditHeadRow(Base):
    """The last link of the audit trail, in the one row of this table; writers queue up on it."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_id: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class TakenRow(Base):
    """What one node told at one time. `resolution` is the bucket's length in seconds, 0 as sampled.

    `slot_ms` is the start of the bucket, `at` when its sample was really taken, `counters` JSON, compressed
    by zlib where it was not written by an older version.
    """

    __abstract__ = True

    cache: Mapped[str] = mapped_column(String(255), primary_key=True)
    node: Mapped[str] = mapped_column(String(255), primary_key=True)
    resolution: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    slot_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Double)
    counters: Mapped[bytes] = mapped_column(LargeBinary)


class SampleRow(TakenRow):
    """The counters of INFO."""

    __tablename__ = "samples"
    __table_args__ = (Index(None, "cache", "resolution", "slot_ms"),)


class CommandSampleRow(TakenRow):
    """What commands had cost; taken more rarely."""

    __tablename__ = "command_samples"
    __table_args__ = (Index(None, "cache", "resolution", "slot_ms"),)


class JobRow(Base):
    """One piece of long work, from when it was asked for. What it found is in JobSnapshotRow.

    `state` is one of jobs.STATES as it was last written down: of a worker that was killed it says "running" until
    somebody notices. `owner` is the random id of the worker that runs it ("" before), `arguments` and `progress`
    are JSON text; `progress` is null until the first snapshot. `follows` is the job that this one carries out, of which
    there can be one only. `about` is the number of the invalidation that it plans, carries out or takes back.
    `queued_at` is when it was asked for, or last to be resumed.
    """

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(32))
    arguments: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(32))
    cancelling: Mapped[bool] = mapped_column(Boolean)
    pausing: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Double)
    queued_at: Mapped[float] = mapped_column(Double)
    started_at: Mapped[float | None] = mapped_column(Double)
    heartbeat_at: Mapped[float | None] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)
    progress: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str] = mapped_column(Text)
    advice: Mapped[str] = mapped_column(Text)
    follows: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    about: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index(None, "cache", "kind", "id"), Index(None, "state", "id"), Index(None, "about"))


class JobSnapshotRow(Base):
    """The last snapshot of a job: JSON, compressed by zlib.

    A table of its own, so that a list of jobs reads none of them and a heartbeat writes none of them again.
    """

    __tablename__ = "job_snapshots"

    job_id: Mapped[int] = mapped_column(COUNTED, ForeignKey("jobs.id"), primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class TtlRuleRow(Base):
    """Keys of `pattern` should have `low` to `high` seconds to live. `cache` is "" for a rule of every cache."""

    __tablename__ = "ttl_rules"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    pattern: Mapped[bytes] = mapped_column(LargeBinary)
    low: Mapped[float] = mapped_column(Double)
    high: Mapped[float] = mapped_column(Double)
    reason: Mapped[str] = mapped_column(Text)
    built_in: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (UniqueConstraint("cache", "pattern"),)


class InvalidationRow(Base):
    """One invalidation, from its plan on. `id` is the number by which people and scripts name it.

    `task` is JSON text (Task.to_query); a long list of keys is not in it but, compressed, in `names`, which is read
    only where it is asked for. `source` is where it was asked for ("page", "key", "api", "cli", "schedule").
    `plan_job` is null where no plan was made because the keys were named one by one; `run_job` is null until it is
    carried out, which happens once. `keys_*` and `memory` are what the plan said at its end. `needs` says why another
    operator has to approve it, "" where nobody has to. `token_id` and `idempotency` are of the API.
    """

    __tablename__ = "invalidations"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Double)
    planned_at: Mapped[float | None] = mapped_column(Double)
    expires_at: Mapped[float] = mapped_column(Double)
    plan_job: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    run_job: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    keys: Mapped[float | None] = mapped_column(Double)
    keys_low: Mapped[float | None] = mapped_column(Double)
    keys_high: Mapped[float | None] = mapped_column(Double)
    memory: Mapped[float | None] = mapped_column(Double)
    needs: Mapped[str] = mapped_column(Text)
    approved_by: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[float | None] = mapped_column(Double)
    token_id: Mapped[int | None] = mapped_column(Integer, ForeignKey("tokens.id"))
    idempotency: Mapped[str | None] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    names: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)

    __table_args__ = (
        Index(None, "cache", "id"),
        UniqueConstraint("token_id", "idempotency"),
        {"sqlite_autoincrement": True},  # a number is never given twice: the vault and scripts know invalidations by it
    )


class TokenRow(Base):
    """A token of the API. `hash` is the SHA-256 of a random secret that was shown once; `beginning` its first letters.

    `cache` is "" for all caches; `patterns` is a JSON list of globs, empty for all keys.
    """

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    beginning: Mapped[str] = mapped_column(String(16))
    role: Mapped[int] = mapped_column(Integer)
    cache: Mapped[str] = mapped_column(String(255))
    patterns: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double)
    expires_at: Mapped[float | None] = mapped_column(Double)
    last_used_at: Mapped[float | None] = mapped_column(Double)
    revoked_at: Mapped[float | None] = mapped_column(Double)
    revoked_by: Mapped[str] = mapped_column(Text)


class ScheduleRow(Base):
    """An invalidation that is carried out later: once at `next_at` (`cron` is ""), or by a cron expression in UTC.

    `task` is JSON text (Task.to_query). `next_at` is null when nothing is to come.
    """

    __tablename__ = "schedules"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    task: Mapped[str] = mapped_column(Text)
    cron: Mapped[str] = mapped_column(String(255))
    enabled: Mapped[bool] = mapped_column(Boolean)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double)
    next_at: Mapped[float | None] = mapped_column(Double)
    last_at: Mapped[float | None] = mapped_column(Double)
    last_invalidation: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index(None, "enabled", "next_at"), Index(None, "cache", "id"))


class SettingChangeRow(Base):
    """One change of a cache's settings, from when it was begun: what every node had before and was seen to have after.

    `wanted` (name -> value) and `nodes` (setting_changes.NodeChange) are JSON text. `takes_back` is the number of the
    change that this one takes back. `state` is one of setting_changes.STATES; "applying" stays where a process died.
    """

    __tablename__ = "setting_changes"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    wanted: Mapped[str] = mapped_column(Text)
    replicas: Mapped[bool] = mapped_column(Boolean)
    nodes: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Double)
    takes_back: Mapped[int | None] = mapped_column(BigInteger)
    persisted_at: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (Index(None, "cache", "id"), {"sqlite_autoincrement": True})


class TrialRow(Base):
    """Settings that are changed for a bounded time and taken back by the worker.

    `purpose`: "trial", judged by its guards, or "events", for a measurement that needs notifications. `change` and
    `taken_back` are numbers of setting_changes. `open` is the name of what may be open once on a cache (cache and
    purpose), null when it has ended. `ends_at` by the wall clock; `seconds` how long it was to take by any clock.
    `guards`, `baseline`, `notes` and `comparison` are JSON text.
    """

    __tablename__ = "trials"

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True)
    cache: Mapped[str] = mapped_column(String(255))
    purpose: Mapped[str] = mapped_column(String(16))
    open: Mapped[str | None] = mapped_column(String(300), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    change: Mapped[int | None] = mapped_column(BigInteger)
    taken_back: Mapped[int | None] = mapped_column(BigInteger)
    wanted: Mapped[str] = mapped_column(Text)
    replicas: Mapped[bool] = mapped_column(Boolean)
    guards: Mapped[str] = mapped_column(Text)
    baseline: Mapped[str] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text)
    comparison: Mapped[str | None] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    started_at: Mapped[float] = mapped_column(Double)
    seconds: Mapped[float] = mapped_column(Double)
    ends_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (Index(None, "cache", "id"), {"sqlite_autoincrement": True})


class SilenceRow(Base):
    """A rule of the findings that somebody does not want to hear of on one cache. `until` is null for ever."""

    __tablename__ = "silences"

    cache: Mapped[str] = mapped_column(String(255), primary_key=True)
    rule: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Double)
    until: Mapped[float | None] = mapped_column(Double)


class WorkerRow(Base):
    """A worker that ran at `seen_at`. `id` is random, made anew at each start; a worker that is stopped leaves none."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[float] = mapped_column(Double)
    seen_at: Mapped[float] = mapped_column(Double)


class LockRow(Base):
    """A name to hold while a rule over several rows is checked, where a transaction alone does not do."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
