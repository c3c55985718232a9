"""What can go wrong with the vault, each in a sentence for the operator. None of them names a key or a value."""

from __future__ import annotations

from dashboard.store.errors import StoreError

ROOM_ADVICE = "Make room by removing older entries, raise CACHEDECK_VAULT_MB, or go without undo."
DISK_ADVICE = "Free space in the data folder and check its disk, its owner and its mode; then go on."


class VaultBusy(StoreError):
    """Another process (or writer) has this entry open for writing."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"Something else writes to entry {number} of the vault just now.", "Wait until that has ended or paused."
        )


class VaultFull(StoreError):
    """What is to be kept would exceed the vault's limit in bytes."""

    def __init__(self, most_bytes: int) -> None:
        sentence = f"The vault has no room left: it holds {megabytes(most_bytes)} MB at most."
        super().__init__(sentence if most_bytes else "The vault is turned off by its setting.", ROOM_ADVICE)


class VaultUnwritable(StoreError):
    """The disk does not take what is to be kept: it is full, read-only or broken."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The vault cannot be written: {error.strerror or 'the disk refused'}.", DISK_ADVICE)


class VaultGone(StoreError):
    """There is no such entry (any more)."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"The vault has no entry {number} (any more).",
            "Entries are kept for a time (CACHEDECK_VAULT_HOURS), in the data folder of the process that made them.",
        )


class VaultDamaged(StoreError):
    """One frame of an entry cannot be read. `frame` counts from 0; the frames around it can be read still."""

    def __init__(self, number: int, frame: int, why: str) -> None:
        super().__init__(
            f"Part {frame + 1} of entry {number} of the vault is damaged: {why}.",
            "What stands in the other parts can be brought back.",
        )
        self.number = number
        self.frame = frame


def megabytes(count: float) -> str:
    return f"{count / 1048576:.1f}".removesuffix(".0")
