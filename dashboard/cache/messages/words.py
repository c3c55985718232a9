"""What became of a message, in sentences for pages and terminal."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.cache.messages.audience import Audience
from dashboard.cache.messages.publishing import Publication
from dashboard.cache.wording import count, duration, number_of

UNKNOWN = "No server tells to what a client has subscribed: a silent one may not have been meant."


def answer(seen: Publication) -> str:
    """`3 receivers, 2 of them have acknowledged, the slowest after 14 ms.`"""
    return " ".join((received(seen), acknowledged(seen))).strip()


def received(seen: Publication) -> str:
    where = f" on {seen.node}" if seen.partial else ""
    return f"{number_of(seen.receivers, 'receiver')}{where}." if seen.receivers else f"Nobody received it{where}."


def received_note(seen: Publication) -> str:
    """What the number of receivers leaves out, "" where nothing."""
    if not seen.partial:
        return ""
    counted = seen.before.subscribers
    told = "" if counted is None else f" {_have(counted)} subscribed to the channel, over all nodes."
    return f"In a cluster PUBLISH counts the receivers of the node it is sent to, here {seen.node}.{told}"


def acknowledged(seen: Publication) -> str:
    """ "" where nobody was asked."""
    if not seen.id:
        return ""
    count, slowest = seen.counted.acks, seen.slowest_ms
    if not count or slowest is None:
        return "No acknowledgement yet." if not seen.progress.ended else "Nobody has acknowledged it."
    return f"{number_of(count, 'acknowledgement')}, the slowest after {duration(slowest / 1000)}."


def came_besides(seen: Publication) -> Iterator[str]:
    """What came on the reply channel and is not listed among the acknowledgements."""
    counted = seen.counted
    more = counted.acks - len(seen.acks)
    if more > 0:
        yield f"{number_of(more, 'more acknowledgement')} came: counted, and not listed."
    if seen.id and counted.acks > seen.receivers and not seen.partial:
        yield "More acknowledged than received it: somebody else publishes to the reply channel."
    odd = [
        (counted.repeated, "repeated"),
        (counted.foreign, "about another message"),
        (counted.strange, "no acknowledgement or too large to be one"),
    ]
    told = [f"{count(number)} {what}" for number, what in odd if number]
    if told:
        yield f"Besides, on the reply channel: {', '.join(told)}."


def audience_lines(before: Audience) -> Iterator[str]:
    """Who could hear it, as far as that is known."""
    if before.sharded:
        if before.subscribers is not None and before.nodes:
            owner = before.nodes[0].node
            yield f"{_have(before.subscribers)} subscribed to this channel on {owner}, which owns its slot."
    else:
        yield from _plain(before)
    if before.own:
        counted = number_of(before.own, "connection")
        verb = "is" if before.own == 1 else "are"
        yield f"{counted} of Cachedeck {verb} subscribed to something too: a console counts as a receiver."


def _plain(before: Audience) -> Iterator[str]:
    subscribers, patterns = before.subscribers, before.patterns
    where = f" on {len(before.nodes)} primaries" if len(before.nodes) > 1 else ""
    if subscribers is not None:
        yield f"{_have(subscribers)} subscribed to this channel{where}."
    if patterns:
        are = "is" if patterns == 1 else "are"
        counted = number_of(patterns, "pattern")
        yield f"{counted} {are} subscribed to{where}; whether one matches this channel, no server tells."
    elif patterns == 0:
        yield "No pattern is subscribed to."


def _have(clients: int) -> str:
    if not clients:
        return "No client has"
    return f"{number_of(clients, 'client')} {'has' if clients == 1 else 'have'}"
