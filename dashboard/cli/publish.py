"""`cachedeck publish`: one message to whoever listens, and who has acknowledged it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import click

from dashboard.cache.messages.acknowledging import Silent
from dashboard.cache.messages.draft import MOST_BYTES, BadDraft, Draft
from dashboard.cache.messages.publishing import LONGEST, Publication
from dashboard.cache.messages.words import UNKNOWN, acknowledged, came_besides
from dashboard.cli.desk import DONE, FAILED, Desk, agreed, code_of, opened, require_answerable
from dashboard.cli.line import Line
from dashboard.cli.text import plain, say, time
from dashboard.jobs import results
from dashboard.jobs.publishing import publish_here


@click.command("publish")
@click.argument("channel")
@click.argument("message")
@click.option("--cache", "name", help="Which cache; may be left out when only one is configured.")
@click.option("--sharded", is_flag=True, help="To a sharded channel (SPUBLISH).")
@click.option(
    "--wait", type=time, default="0", metavar="TIME", help="Ask for acknowledgements and wait so long for them."
)
@click.option("--reason", default="", help="Kept in the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask, where the cache is labelled production.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def publish_command(
    context: click.Context,
    *,
    channel: str,
    message: str,
    name: str | None,
    sharded: bool,
    wait: float,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    r"""Publish MESSAGE to CHANNEL as it is, byte for byte, and print the number of receivers.

    A MESSAGE of - is read from the input. With --wait (at most 30s) it has to be a JSON object, as those of
    docs/invalidation.md: it gets an id and the name of a reply channel, and who acknowledges is listed, with those who
    are subscribed and silent. Exit codes: 0 published, whoever received it; 1 failed or not wanted, 2 said wrongly, 4
    it was ended while it waited.
    """
    if not 0 <= wait <= LONGEST:
        raise click.UsageError(f"At most {LONGEST:.0f} s are waited for acknowledgements.")
    draft = _draft(channel, message, sharded=sharded)
    if wait and not draft.prepared("", asks=True).id:
        raise click.UsageError("Only a JSON object can be acknowledged: leave --wait out for other messages.")
    with opened(name) as desk:
        context.exit(_publish(desk, draft, wait, reason, yes=yes, as_json=as_json))


def _draft(channel: str, message: str, *, sharded: bool) -> Draft:
    """Raises UsageError. An argument that is no UTF-8 stands for the bytes that were typed."""
    text = os.fsencode(message)
    if message == "-":
        text = sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        return Draft(os.fsencode(channel), "text", text=text, sharded=sharded)
    except BadDraft as error:
        raise click.UsageError(str(error)) from None


def _publish(desk: Desk, draft: Draft, wait: float, reason: str, *, yes: bool, as_json: bool) -> int:
    """The exit code. Raises CacheError, StoreError."""
    desk.cache.require_writable()
    if desk.cache.target.environment == "production":
        require_answerable(yes=yes)
        if not agreed(desk, f"Publish {len(draft.text):,} bytes to production?", yes=yes):
            click.echo("Nothing was published.", err=True)
            return FAILED
    with closing(Line()) as line:
        job = publish_here(desk.work, draft, wait, desk.caller, reason, lambda seen: line.show(acknowledged(seen)))
    seen = results.snapshot(desk.store, job)
    if isinstance(seen, Publication):
        if as_json:
            click.echo(json.dumps(_as_json(seen), ensure_ascii=False, allow_nan=False))
        else:
            click.echo(seen.receivers)
            say(_lines(seen))
        if seen.partial:
            say(
                [f"Receivers are those of {seen.node} alone: in a cluster no node counts those of the others."],
                err=True,
            )
        say(seen.notes, err=True)
    return code_of(job) if job.state != "finished" else DONE


def _lines(seen: Publication) -> Iterator[str]:
    if not seen.id:
        return
    yield acknowledged(seen)
    for ack in seen.acks:
        yield f"  {_who(ack.client, ack.name, ack.address)}  {ack.latency_ms:,.1f} ms"
    yield from came_besides(seen)
    if seen.silent_count is None:
        yield "Who is silent is not known."
    elif seen.silent_count:
        yield f"Subscribed to something, and silent: {seen.silent_count:,}. {UNKNOWN}"
        for one in seen.silent:
            yield f"  {_who(str(one.client.id), one.client.name, one.client.address)}"


def _who(client: str, name: str, address: str) -> str:
    return "  ".join(word for word in (name or "(no name)", f"client {client}" if client else "", address) if word)


def _as_json(seen: Publication) -> dict[str, Any]:
    return {
        "receivers": seen.receivers,
        "node": seen.node,
        "partial": seen.partial,
        "bytes": seen.bytes,
        "id": seen.id or None,
        "before": {
            "subscribers": seen.before.subscribers,
            "patterns": seen.before.patterns,
            "clients": seen.before.clients,
            "nodes": [asdict(one) for one in seen.before.nodes],
        },
        "acknowledged": seen.counted.acks if seen.id else None,
        "acks": [asdict(one) for one in seen.acks],
        "repeated": seen.counted.repeated,
        "foreign": seen.counted.foreign,
        "strange": seen.counted.strange,
        "silent": [_silent(one) for one in seen.silent],
        "silent_count": seen.silent_count,
        "notes": [plain(note) for note in seen.notes],
    }


def _silent(one: Silent) -> dict[str, Any]:
    client = one.client
    return {
        "client": client.id,
        "name": client.name,
        "address": client.address,
        "node": client.node,
        "channels": client.channels,
        "patterns": client.patterns,
        "sharded": client.sharded,
        "doubtful": one.doubtful,
    }
