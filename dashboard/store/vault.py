"""The vault: what keys held before they were removed, so that the removal can be taken back for a while.

It is a folder beside the database with one entry for each invalidation, by its number. What is in it is as secret as
the caches: all of it is closed to other users, and nothing of it goes into logs, errors or the audit trail.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dashboard.store import vault_files
from dashboard.store.vault_errors import VaultBusy, VaultDamaged, VaultFull, VaultGone, VaultUnwritable
from dashboard.store.vault_frame import BadFrame, Record, Slot, unpack
from dashboard.store.vault_ledger import RUN, Ledger, last_line, ledger_path
from dashboard.store.vault_room import room_of
from dashboard.store.vault_writer import VaultWriter

FOLDER = "vault"
OVERHEAD = 4 * 4096
"""Bytes that an entry takes on a disk besides those in its files, as its folder and in begun blocks: of an entry of one
small key that is nine tenths."""
_DROPPED = ".dropped-"
_measured: dict[Path, tuple[float, float, int]] = {}  # folder: when, how many seconds that took, bytes


@dataclass(frozen=True)
class Entry:
    """What the vault has of one invalidation. Times are seconds since the epoch.

    keys: records; the same key may be there more than once. bytes: on the disk, all of its files. expires_at: counted
    from its last frame.
    """

    number: int
    keys: int
    bytes: int
    frames: int
    created_at: float
    expires_at: float


class VaultSettings(Protocol):
    """The settings that the vault wants."""

    @property
    def data(self) -> Path: ...
    @property
    def vault_mb(self) -> int: ...
    @property
    def vault_hours(self) -> float: ...


def vault_of(settings: VaultSettings) -> Vault:
    """The vault of a data folder. Nothing is made or opened yet."""
    return Vault(settings.data / FOLDER, settings.vault_mb << 20, settings.vault_hours * 3600)


class Vault:
    """The entries of a folder, at most `most_bytes` in all, each dropped `seconds` after its last frame.

    Any number of processes and threads may use the same folder. What the system refuses is VaultUnwritable.
    """

    def __init__(self, folder: Path, most_bytes: int, seconds: float) -> None:
        self.most_bytes = most_bytes
        self.seconds = seconds
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Vault {self._folder}>"

    def writer(self, number: int) -> VaultWriter:
        """Open an entry for adding to it, a new one or one that is there.

        What a killed writer left unfinished in it is cleared away. Raises VaultBusy while another writer is at it,
        VaultDamaged, VaultUnwritable.
        """
        folder = self._of(number)
        try:
            handle = self._locked(number)
        except OSError as error:
            raise VaultUnwritable(error) from error
        try:
            return VaultWriter(number, folder, handle, self.most_bytes, room_of(self._folder, self.used))
        except OSError as error:
            os.close(handle)
            raise VaultUnwritable(error) from error
        except BaseException:
            os.close(handle)
            raise

    def has(self, number: int) -> bool:
        """Whether there is anything under a number, be it unreadable."""
        return self._of(number).exists()

    def entries(self) -> list[Entry]:
        """Every entry, by number."""
        return [entry for number in self.numbers() if (entry := self.entry(number))]

    def numbers(self) -> list[int]:
        """The numbers of all entries, in order. Opens none of them."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def entry(self, number: int) -> Entry | None:
        """One entry; None where the vault has none (any more), or it cannot be read. Reads no frames, as a rule."""
        folder = self._of(number)
        try:
            with vault_files.reading(folder) as (handle, found):
                slots, made_at = found.slots, os.fstat(handle).st_mtime
        except OSError:
            return None
        first, last = (slots[0].written_ms / 1000, slots[-1].written_ms / 1000) if slots else (made_at, made_at)
        keys = sum(slot.keys for slot in slots)
        return Entry(number, keys, _bytes(folder), len(slots), first, last + self.seconds)

    def used(self) -> int:
        """Bytes of all entries on the disk."""
        return sum(_bytes(self._of(number)) for number in self.numbers())

    def used_lately(self) -> int:
        """used(), measured at most ten times as long ago as measuring takes: for pages that ask each second."""
        now = time.monotonic()
        measured_at, took, found = _measured.get(self._folder, (float("-inf"), 0.0, 0))
        if now - measured_at > 10 * took:
            found = self.used()
            _measured[self._folder] = now, time.monotonic() - now, found
        return found

    def free(self) -> int:
        """Bytes that may still be put in: by the limit, and by what the disk has left."""
        return max(min(self.most_bytes - self.used(), self._disk_free()), 0)

    def frames(self, number: int, start: int = 0) -> Iterator[list[Record]]:
        """The records of each frame from `start` on, in the order in which they were put in.

        A frame that was not finished is none. Raises VaultGone, and VaultDamaged at a frame that cannot be read.
        """

        def stop(damage: VaultDamaged) -> None:
            raise damage

        return (records for _index, records in self.readable(number, start, stop))

    def readable(
        self, number: int, start: int, damaged: Callable[[VaultDamaged], None]
    ) -> Iterator[tuple[int, list[Record]]]:
        """Index and records of each frame that can be read; `damaged` is told of each that cannot. Raises VaultGone.

        The entry is not dropped while this is under way.
        """
        try:
            with vault_files.holding(self._of(number)), vault_files.reading(self._of(number)) as (handle, found):
                for index, slot in enumerate(found.slots[start:], start):
                    try:
                        records = _read(handle, slot)
                    except (BadFrame, OSError) as error:
                        damaged(VaultDamaged(number, index, _why(error)))
                        continue
                    yield index, records
                if found.hidden:
                    damaged(VaultDamaged(number, len(found.slots), "what follows cannot be told apart"))
        except (FileNotFoundError, BlockingIOError):
            raise VaultGone(number) from None

    def note(self, number: int, text: str, ledger: str = RUN) -> None:
        """Write down how far somebody has come: one line. Each ledger has one writer at a time.

        Raises VaultGone, VaultUnwritable.
        """
        try:
            book = Ledger(ledger_path(self._of(number), ledger))
            try:
                book.add(text)
            finally:
                book.close()
        except FileNotFoundError:
            raise VaultGone(number) from None
        except OSError as error:
            raise VaultUnwritable(error) from error

    def last_note(self, number: int, ledger: str = RUN) -> str | None:
        """The last line that was written down whole; None where there is none. Raises VaultUnwritable."""
        try:
            return last_line(ledger_path(self._of(number), ledger))
        except OSError as error:
            raise VaultUnwritable(error) from error

    def drop(self, number: int) -> bool:
        """Forget an entry; whether there was one. Raises VaultBusy while it is written or read, VaultUnwritable."""
        if not self._of(number).exists():
            return False
        with self._alone(number):
            # By one rename, so that it is there whole or not at all, whenever we are stopped.
            gone = self._folder / f"{_DROPPED}{number}-{secrets.token_hex(4)}"
            self._of(number).rename(gone)
            vault_files.sync_folder(self._folder)
            shutil.rmtree(gone, ignore_errors=True)
        return True

    def drop_expired(self, now: float) -> list[int]:
        """Forget what is past its time, and what an interrupted drop() left; which numbers. Raises VaultUnwritable."""
        expired = [entry.number for entry in self.entries() if entry.expires_at <= now]
        dropped = [number for number in expired if self._drop_idle(number)]
        if self._folder.is_dir():
            for left in self._folder.glob(f"{_DROPPED}*"):
                shutil.rmtree(left, ignore_errors=True)
        return dropped

    def make_room(self, size: int, keep: Collection[int] = ()) -> list[int]:
        """Forget the oldest entries until `size` bytes fit; which numbers. Those of `keep`, or being written, stay.

        Nothing is forgotten where all of them would not be enough: raises VaultFull, or VaultUnwritable where it is
        the disk that has no room.
        """
        entries = sorted(self.entries(), key=lambda entry: (entry.expires_at, entry.number))
        candidates = [entry for entry in entries if entry.number not in keep and self._idle(entry.number)]
        over_limit, over_disk = size + self.used() - self.most_bytes, size - self._disk_free()
        missing = max(over_limit, over_disk)
        full = VaultFull(self.most_bytes) if over_limit >= over_disk else VaultUnwritable(_disk_full())
        if missing > sum(entry.bytes for entry in candidates):
            raise full
        dropped = []
        for entry in candidates:
            if missing <= 0:
                break
            if self._drop_idle(entry.number):
                dropped.append(entry.number)
                missing -= entry.bytes
        if missing > 0:
            raise full
        return dropped

    @contextmanager
    def _alone(self, number: int) -> Iterator[None]:
        """Hold an entry that nobody else writes or reads. Raises VaultBusy, VaultUnwritable."""
        try:
            handle = self._locked(number)
            try:
                with vault_files.holding(self._of(number), alone=True):
                    yield
            finally:
                os.close(handle)
        except BlockingIOError:
            raise VaultBusy(number) from None
        except OSError as error:
            raise VaultUnwritable(error) from error

    def _idle(self, number: int) -> bool:
        try:
            with self._alone(number):
                return True
        except VaultBusy:
            return False

    def _drop_idle(self, number: int) -> bool:
        try:
            return self.drop(number)
        except VaultBusy:
            return False

    def _disk_free(self) -> int:
        folder = next((path for path in (self._folder, *self._folder.parents) if path.exists()), self._folder)
        try:
            disk = os.statvfs(folder)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _locked(self, number: int) -> int:
        while True:
            vault_files.make_private(self._folder)
            vault_files.make_private(self._of(number))
            with suppress(FileNotFoundError):  # dropped by another process after we made sure of it
                handle = vault_files.lock(self._of(number))
                if handle is None:
                    raise VaultBusy(number)
                return handle

    def _of(self, number: int) -> Path:
        return self._folder / str(int(number))


def _read(handle: int, slot: Slot) -> list[Record]:
    return unpack(slot, vault_files.read_at(handle, slot.offset, slot.length))


def _disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _why(error: BadFrame | OSError) -> str:
    return str(error) if isinstance(error, BadFrame) else f"the disk says {error.strerror}"


def _bytes(folder: Path) -> int:
    """Not as the system counts blocks, of which some file systems lend growing files many."""
    total = 0
    with suppress(OSError), os.scandir(folder) as files:
        total = OVERHEAD
        for file in files:
            with suppress(FileNotFoundError):
                total += file.stat().st_size
    return total
