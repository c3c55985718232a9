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


class SampleRow(Base):
    """One node's counters at one time. `resolution` is the bucket's length in seconds, 0 as sampled.

    `slot_ms` is the start of the bucket, `at` when its sample was really taken, `counters` JSON text.
    """

    __tablename__ = "samples"

    cache: Mapped[str] = mapped_column(String(255), primary_key=True)
    node: Mapped[str] = mapped_column(String(255), primary_key=True)
    resolution: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    slot_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Double)
    counters: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index(None, "cache", "resolution", "slot_ms"),)


class JobRow(Base):
    """One piece of long work, from when it was asked for. What it found is in JobSnapshotRow.

    `state` is one of jobs.STATES as it was last written down: of a worker that was killed it says "running" until
    somebody notices. `owner` is the random id of the worker that runs it ("" before), `arguments` and `progress`
    are JSON text; `progress` is null until the first snapshot. `follows` is the job that this one carries out, of which
    there can be one only.
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
    created_at: Mapped[float] = mapped_column(Double)
    started_at: Mapped[float | None] = mapped_column(Double)
    heartbeat_at: Mapped[float | None] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)
    progress: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str] = mapped_column(Text)
    advice: Mapped[str] = mapped_column(Text)
    follows: Mapped[int | None] = mapped_column(BigInteger, unique=True)

    __table_args__ = (Index(None, "cache", "kind", "id"), Index(None, "state", "id"))


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


class LockRow(Base):
    """A name to hold while a rule over several rows is checked, where a transaction alone does not do."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
