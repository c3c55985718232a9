"""The vault as a plan's page tells it: how full it is, whether these keys fit, and what would have to go for them."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.cache.invalidation.report import Plan
from dashboard.settings import Settings
from dashboard.store.vault import Vault, vault_of
from dashboard.views.filters import byte_size
from dashboard.views.invalidations.words import interval_of_bytes

MB = 1024 * 1024


@dataclass(frozen=True)
class Use:
    """How full the vault is, in bytes; `entries`: invalidations of all caches; `hours`: so long each is kept."""

    entries: int
    used: int
    most: int
    hours: float


@dataclass(frozen=True)
class Room:
    """Whether the keys of a plan fit. sentence: what they take and what is taken. drops: invalidations whose keys would
    have to go, the oldest first; () where that would not help. wanted: bytes that would have to be free. largest: in
    words, of a key that the vault takes."""

    fits: bool
    sentence: str
    drops: tuple[int, ...]
    wanted: int
    hours: float
    largest: str

    @property
    def dropped(self) -> str:
        """`the keys of 180 and 181`; "" where making room would not help."""
        names = [str(number) for number in self.drops]
        return (
            f"the keys of {' and '.join((', '.join(names[:-1]), names[-1]) if names[1:] else names)}" if names else ""
        )


def use_of(settings: Settings) -> Use:
    vault = vault_of(settings)
    return Use(len(vault.numbers()), vault.used_lately(), settings.vault_mb * MB, settings.vault_hours)


def room_for(settings: Settings, plan: Plan) -> Room:
    """Judged by the upper end of the interval, as the service does."""
    vault, most = vault_of(settings), settings.vault_mb * MB
    hours, largest = settings.vault_hours, byte_size(settings.vault_key_mb * MB)
    if not most:
        return Room(False, "The vault is turned off by its setting.", (), 0, hours, largest)
    taken = f"{byte_size(vault.used())} of {byte_size(most)} {'is' if not vault.used() else 'are'} taken"
    if plan.vault is None:
        return Room(True, f"How much room they take is not known beforehand; {taken}.", (), 0, hours, largest)
    wanted = round(plan.vault.high)
    size = f"{'' if plan.vault.exact else 'about '}{byte_size(plan.vault.value)}{interval_of_bytes(plan.vault)}"
    if wanted <= vault.free():
        return Room(True, f"It takes {size}; {taken}.", (), wanted, hours, largest)
    sentence = (
        f"The keys would take {size} in the vault, which has {byte_size(vault.free())} of {byte_size(most)} free."
    )
    return Room(False, sentence, _oldest(vault, wanted) if wanted <= most else (), wanted, hours, largest)


def make_room(settings: Settings, room: Room) -> list[int]:
    """Drop what would have to go; which invalidations that was. Raises VaultFull, VaultUnwritable."""
    return vault_of(settings).make_room(room.wanted)


def _oldest(vault: Vault, wanted: int) -> tuple[int, ...]:
    """The invalidations whose keys make_room() would drop."""
    dropped, free = [], vault.free()
    for entry in sorted(vault.entries(), key=lambda entry: (entry.expires_at, entry.number)):
        if free >= wanted:
            break
        dropped.append(entry.number)
        free += entry.bytes
    return tuple(dropped)
