"""What the API takes and gives, as pydantic models: bodies are checked by them, the OpenAPI document is made of them.

Names of keys, patterns and channels are JSON text, and {"base64": "..."} where their bytes are no UTF-8. They mean
exactly these bytes: no escapes of Cachedeck's pages (`\\xff`) are read here, because programs have JSON's own.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dashboard.cache.invalidation.mode import LONGEST, MOST_RATE
from dashboard.cache.selecting.selection import MOST_LISTED
from dashboard.jobs.invalidating import Word

MOST_WAIT = 30.0  # seconds that an answer may be held back
REASON_LIMIT = 500
IDEMPOTENCY_LIMIT = 255

ModeName = Literal["now", "paced", "gently", "stale"]
Per = Literal["key", "batch", "pattern"]
Reason = Annotated[str, StringConstraints(max_length=REASON_LIMIT)]


class Given(BaseModel):
    """A body: no conversions, and no field that is not known, so that a typing error never means a default."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Told(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Base64(Given):
    """Bytes that are no UTF-8."""

    base64: str = Field(max_length=65_536, json_schema_extra={"contentEncoding": "base64"}, examples=["/3NlYXJjaA=="])


Name = Annotated[str, StringConstraints(max_length=65_536)] | Base64
"""A name or a pattern: text, or base64 of bytes."""


class NewInvalidation(Given):
    """Which keys, how, and in whose favour: `pattern` or `keys`, and not both."""

    cache: str = Field(description="The cache's name in Cachedeck.", examples=["shop"])
    pattern: Name | None = Field(None, description="A glob, as of SCAN's MATCH.", examples=["api:search:*"])
    keys: list[Name] | None = Field(
        None, min_length=1, max_length=MOST_LISTED, description="These keys and no others, without a plan in between."
    )
    type: str = Field("", max_length=64, description='Keys of this type only: "string", "hash" ...')
    ttl: str = Field("", max_length=64, description='"none", "any", "<5m", ">2h", "5m-1h", "@<epoch>-<epoch>".')
    size: str = Field("", max_length=64, description='">1MB", "<10kb".')
    everything: bool = Field(False, description="Must be true where the pattern is * without any filter.")
    mode: ModeName = "now"
    seconds: float | None = Field(None, gt=0, le=LONGEST, description="Of gently (the window) and stale (the grace).")
    rate: float | None = Field(None, gt=0, le=MOST_RATE, description="Of paced: keys a second at most.")
    vault: bool = Field(True, description="Keep what is removed, so that it can be undone.")
    channel: str | None = Field(None, min_length=1, max_length=1024, description="Publish what was invalidated there.")
    per: Per = "batch"
    reason: Reason = ""
    dry_run: bool = Field(False, description="Make the plan and leave it at that.")
    despite_overlap: bool = Field(False, description="Also while another job works on the same keys.")


class Execution(Given):
    """Carry a plan out."""

    reason: Reason = ""
    despite_overlap: bool = False


class Undo(Given):
    """Bring back what an invalidation has touched, or those keys of it that match a pattern."""

    pattern: Name = Field("*", examples=["api:search:*"])
    reason: Reason = ""


class Waiting(BaseModel):
    """How long the answer may be held back: the query. A parameter that is not known is refused there, too."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(
        0, ge=0, le=MOST_WAIT, allow_inf_nan=False, description="Seconds to wait for the end before answering."
    )


class Figure(Told):
    """A number with its 95 % interval; `exact` where that has no width."""

    value: float
    low: float
    high: float
    exact: bool


class Keys(Told):
    """Which keys: the pattern, or how many are listed, with the filters as Cachedeck keeps them."""

    pattern: Name | None
    listed: int | None
    type: str
    ttl: str
    size: str


class PlanFigures(Told):
    """What the plan says. `types`: keys of each type; `misses`: a second in the first minute."""

    keys: Figure
    memory: Figure | None
    types: dict[str, Figure]
    misses: Figure | None
    vault: Figure | None
    examples: list[str]
    notes: list[str]


class Result(Told):
    """What was done, counted one by one. `unsure`: in calls whose answer was lost."""

    found: int
    removed: int
    lowered: int
    unchanged: int
    gone: int
    kept: int
    too_large: int
    refused: int
    unsure: int
    messages: int
    receivers: int
    drift: int | None = Field(description="Keys found more than planned; below 0: fewer; null without a plan.")


class UndoResult(Told):
    """What the newest undo has given back."""

    restored: int
    retimed: int
    newer: int
    same: int
    expired: int
    other: int
    refused: int
    unsure: int


class Trouble(Told):
    """Why the job that went last did not come to its end."""

    sentence: str
    advice: str


class Invalidation(Told):
    """An invalidation as it stands.

    obstacle: why it may not be carried out, "" where it may or where it was. needs_approval: why another operator has
    to approve it, "" where nobody has to. job: the one that goes on or went last, as the pages number it. restorable:
    keys that the vault has of it.
    """

    number: int
    cache: str
    state: Word
    selection: Keys
    mode: ModeName
    seconds: float | None
    rate: float | None
    vault: bool
    channel: str | None
    per: Per | None
    reason: str
    actor: str
    source: str
    created_at: datetime
    expires_at: datetime | None
    obstacle: str
    needs_approval: str
    approved_by: str
    job: int | None
    examined: int
    total: int
    plan: PlanFigures | None
    result: Result | None
    undo: UndoResult | None
    restorable: int
    problem: Trouble | None


class FieldError(Told):
    """One thing that is wrong with what was sent. pointer: where (RFC 6901), "" for the whole of it."""

    pointer: str
    detail: str


class Problem(Told):
    """Why something was not done (RFC 9457). `code` is for programs, `detail` and `advice` are sentences."""

    type: Literal["about:blank"]
    title: str
    status: int
    code: str
    detail: str
    advice: str = ""
    errors: list[FieldError] = Field(default_factory=list, description="Of a body or query that is not understood.")
    allowed: list[str] = Field(default_factory=list, description="The patterns that this token may name.")
    invalidation: int | None = Field(None, description="The invalidation that stands all the same.")
    jobs: list[int] = Field(default_factory=list, description="Jobs that stand in the way.")


def bytes_of(name: str | Base64) -> bytes:
    """The bytes that a name stands for. Raises ValueError with a sentence."""
    if isinstance(name, str):
        return name.encode()
    try:
        return base64.b64decode(name.base64, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("This is no base64 (RFC 4648, section 4, with padding).") from None


def name_of(name: bytes) -> str | Base64:
    """How bytes are said in JSON."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return Base64(base64=base64.b64encode(name).decode("ascii"))
