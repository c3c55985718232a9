"""An entry of the vault as what an invalidation keeps its keys in (cache/reading/keeping.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dashboard.cache.invalidation.standing import BadStanding, Standing, standing_of
from dashboard.cache.reading.keeping import Kept
from dashboard.store.vault import Vault
from dashboard.store.vault_errors import VaultDamaged
from dashboard.store.vault_writer import VaultWriter


class VaultSafe:
    """Writes one entry; reads what is in it already."""

    def __init__(self, vault: Vault, number: int, writer: VaultWriter) -> None:
        self._vault = vault
        self._number = number
        self._writer = writer

    @property
    def count(self) -> int:
        return self._writer.frame_count

    def keep(self, records: Sequence[Kept]) -> int:
        return self._writer.append(records)

    def frames(self, start: int, end: int) -> Iterator[tuple[int, Sequence[Kept]]]:
        return frames(self._vault, self._number, start, end)

    def note(self, text: str) -> None:
        self._writer.note(text)

    def last_note(self) -> str | None:
        return self._writer.last_note()


def frames(
    vault: Vault, number: int, start: int, end: int, damage: list[str] | None = None
) -> Iterator[tuple[int, Sequence[Kept]]]:
    """Frames of an entry by their numbers, from `start` to before `end`. Raises VaultGone.

    One that is damaged is left out and told to `damage`, or raises VaultDamaged where nobody listens.
    """

    def told(problem: VaultDamaged) -> None:
        if damage is None:
            raise problem
        if problem.sentence not in damage:
            damage.append(problem.sentence)

    if start >= end:
        return
    for index, records in vault.readable(number, start, told):
        if index >= end:
            return
        yield index, [Kept(*record) for record in records]


def standing(vault: Vault, number: int) -> Standing | None:
    """Where an invalidation stands, exactly, whatever became of its process. None where that is not known (any more).

    Raises VaultUnwritable.
    """
    text = vault.last_note(number)
    if text is None:
        return None
    try:
        return standing_of(text)
    except BadStanding:
        return None
