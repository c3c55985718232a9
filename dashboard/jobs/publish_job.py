"""The kind "publish": one message to the applications, and who acknowledges it.

A message may hold what nobody is to read later, so a job of this kind has none: it is run by the process that was given
the message (publishing.py), and no other can begin with it or take it up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from dashboard.cache.messages.draft import Draft
from dashboard.cache.messages.publishing import Publication
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.wording import size
from dashboard.jobs.kind import Arguments, Kind, Refused, Work
from dashboard.store.audit import JSON

NAME = "publish"
CHANNEL_SHOWN = 80  # characters of a channel's name within a sentence
DIGEST_SHOWN = 16  # hexadecimal digits


def arguments(draft: Draft, seconds: float, cache: str) -> dict[str, Any]:
    """What is kept of a message: where it went, what it was about, and how to know it again.

    bytes, sha256: of the message without the `id` and `reply` that it may get when it is published.
    """
    payload = draft.prepared(cache, asks=False).payload
    return {
        "channel": printable(draft.channel),
        "sharded": draft.sharded,
        "form": draft.form,
        "what": draft.in_words,
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest()[:DIGEST_SHOWN],
        "seconds": seconds,
    }


def _start(_work: Work, _given: Arguments) -> Iterator[Publication]:
    raise Refused("Its message is not kept, so it cannot be published again.", "Compose it once more.")


def _subject(given: Arguments) -> str:
    """`the key api:user:1 to invalidate, 61 B, SHA-256 0123456789abcdef`"""
    channel = str(given.get("channel", ""))
    shown = channel if len(channel) <= CHANNEL_SHOWN else f"{channel[: CHANNEL_SHOWN - 1]}…"
    kind = "the sharded channel " if given.get("sharded") is True else ""
    about = f"{given.get('what', 'something')} to {kind}{shown}"
    length = given.get("bytes")
    return about if not isinstance(length, int) else f"{about}, {size(length)}, SHA-256 {given.get('sha256', '')}"


def _after(publication: Publication | None) -> JSON:
    if publication is None:
        return {"published": False}
    return {
        "published": True,
        "receivers": publication.receivers,
        "node": publication.node,
        "bytes": publication.bytes,
        "acknowledged": publication.counted.acks if publication.id else None,
        "silent": publication.silent_count,
    }


def _counts(publication: Publication) -> dict[str, int]:
    told = {"receivers": publication.receivers, "bytes": publication.bytes}
    return {**told, "acks": publication.counted.acks} if publication.id else told


KIND = Kind(
    name=NAME,
    title="Message",
    start=_start,
    adapter=TypeAdapter(Publication),
    subject=_subject,
    audits="message.publish",
    after=_after,
    again=False,
    counts=_counts,
)
