"""Who has acknowledged a message, and who is subscribed and silent. Bounded, whatever comes.

An acknowledgement is `{"v":1,"type":"ack","message":"<id>","client":<CLIENT ID>,"name":"<its name>"}`. Anybody who may
publish can send one: it proves that somebody has read the message, not who.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.cache.listeners.client_list import Client
from dashboard.cache.messages.told_form import fields_of
from dashboard.cache.selecting.key_token import printable

MOST_BYTES = 64 * 1024
"""Of an acknowledgement: what is larger is counted and not read."""
MOST_KEPT = 500  # acknowledgements that are told one by one, and silent clients
NAME_SHOWN = 200  # characters


@dataclass(frozen=True)
class Ack:
    """One acknowledgement. client: as it names itself, CLIENT ID or a text, "" for neither. latency_ms: from PUBLISH
    until it was received. dropped: how many copies it has dropped, where it says so. address, node: of the connection
    that it is, "" where none or more than one may be meant. Texts are printable."""

    client: str
    name: str
    latency_ms: float
    dropped: int | None = None
    address: str = ""
    node: str = ""


@dataclass(frozen=True)
class Silent:
    """A subscribed client of which no acknowledgement has come. doubtful: as many have come of its name or id as could
    not be told apart from it, but fewer than there are such clients."""

    client: Client
    doubtful: bool = False


@dataclass(frozen=True)
class Counted:
    """What has come on the reply channel. acks: by different clients, told or not. repeated: by one that had
    acknowledged. foreign: of another message. strange: no acknowledgement at all, or too large to be read."""

    acks: int = 0
    repeated: int = 0
    foreign: int = 0
    strange: int = 0

    @property
    def odd(self) -> int:
        return self.repeated + self.foreign + self.strange


@dataclass(frozen=True)
class _Self:
    """How a client names itself; cut, so that what is kept is bounded."""

    id: int | None
    client: str
    name: str


class Acknowledging:
    """Takes what comes on the reply channel of one message. clients: who was subscribed when it was published."""

    def __init__(self, message: str, clients: Sequence[Client]) -> None:
        self._message = message
        self._clients = tuple(clients)
        self._said: Counter[_Self] = Counter()
        self._meant: dict[_Self, tuple[Client, ...]] = {}
        self.acks: list[Ack] = []
        self.counted = Counted()

    def take(self, payload: bytes, latency_ms: float) -> None:
        fields = fields_of(payload) if len(payload) <= MOST_BYTES else None
        if fields is None or fields.get("type") != "ack" or not isinstance(fields.get("message"), str):
            self._count(strange=1)
        elif fields["message"] != self._message:
            self._count(foreign=1)
        else:
            self._take(_self(fields), _whole(fields.get("dropped")), latency_ms)

    def _take(self, who: _Self, dropped: int | None, latency_ms: float) -> None:
        meant = self._meant.get(who)
        if meant is None:
            meant = self._clients_of(who)
        if self._said[who] >= max(len(meant), 1):
            self._count(repeated=1)
            return
        self._count(acks=1)
        # Whoever makes up names without end is counted on, and not remembered.
        if len(self.acks) < MOST_KEPT or meant:
            self._said[who] += 1
            self._meant[who] = meant
        if len(self.acks) < MOST_KEPT:
            address, node = (meant[0].address, meant[0].node) if len(meant) == 1 else ("", "")
            self.acks.append(Ack(who.client, who.name, round(latency_ms, 1), dropped, address, node))

    def silent(self) -> list[Silent]:
        """The subscribed clients that have not acknowledged, as far as they can be told apart."""
        answered, doubtful = set[Client](), set[Client]()
        for who, meant in self._meant.items():
            (answered if self._said[who] >= len(meant) else doubtful).update(meant)
        return [Silent(one, one in doubtful) for one in self._clients if one not in answered]

    @property
    def complete(self) -> bool:
        """Whether all clients that were subscribed have acknowledged; not where none is known."""
        return bool(self._clients) and self.counted.acks >= len(self._clients) and not self.silent()

    def _clients_of(self, who: _Self) -> tuple[Client, ...]:
        """By its id, which two nodes of a cluster may both have given; else by its name."""
        if who.id is not None:
            of_id = tuple(one for one in self._clients if one.id == who.id)
            if of_id:
                return tuple(one for one in of_id if who.name and one.name == who.name) or of_id
        names = {name for name in (who.name, "" if who.id is not None else who.client) if name}
        return tuple(one for one in self._clients if one.name in names)

    def _count(self, **more: int) -> None:
        self.counted = replace(
            self.counted, **{name: getattr(self.counted, name) + number for name, number in more.items()}
        )


def listeners(clients: Iterable[Client], *, sharded: bool) -> list[Client]:
    """Those that may hear a message of a channel, by what they have subscribed to: which ones nobody is told."""
    return [one for one in clients if (one.sharded if sharded else one.channels + one.patterns)]


def _self(fields: dict[str, Any]) -> _Self:
    client, name = fields.get("client"), fields.get("name")
    number = _whole(client)
    shown = str(number) if number is not None else _text(client)
    return _Self(number, shown, _text(name))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _text(value: object) -> str:
    """Printable, and no longer than is shown: half of a pair of surrogates is valid in JSON and nowhere else."""
    return printable(value[:NAME_SHOWN].encode("utf-8", "surrogatepass"))[:NAME_SHOWN] if isinstance(value, str) else ""
