"""Attempt: one look at which nodes there are, and at listening to those that are not listened to yet.

It is made beside the thread that listens: a node that hangs takes a time-out, and the others go on telling meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dashboard.cache.errors import CacheError
from dashboard.cache.events.ear import Ear
from dashboard.cache.events.placing import placed
from dashboard.cache.events.subscription import Subscription
from dashboard.cache.servers.connect import Cache


@dataclass
class Attempt:
    """wanted: node's name -> what it should be asked for; None where it could not be seen which nodes there are (then
    errors[""] says why). ears: connected now. errors: why a node is not listened to."""

    wanted: Mapping[str, Subscription] | None = None
    ears: dict[str, Ear] = field(default_factory=dict)
    errors: dict[str, CacheError] = field(default_factory=dict)

    def close(self) -> None:
        """Of an attempt that came too late."""
        for ear in self.ears.values():
            ear.close()


def attempt(
    cache: Cache,
    subscription: Subscription,
    heard: Mapping[str, Subscription],
    resting: Collection[str],
    lost: Collection[str],
) -> Attempt:
    """heard: node's name -> what it is asked for now. lost: nodes that are not heard at the moment; of these, `resting`
    are not tried this time. Raises nothing."""
    found = Attempt()
    try:
        plan = placed(cache, subscription, heard, lost, fresh=bool(lost))
    except CacheError as error:
        found.errors[""] = error
        return found
    found.wanted = {name: wanted for name, (_, wanted) in plan.items()}
    for name, (node, wanted) in plan.items():
        if heard.get(name) == wanted or name in resting:
            continue
        try:
            found.ears[name] = Ear(cache, node, wanted)
        except CacheError as error:
            found.errors[name] = error
    return found
