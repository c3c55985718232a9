"""Adding to one entry of the vault: when `append` returns, its records are on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import zstandard

from dashboard.store.vault_errors import VaultDamaged, VaultFull, VaultUnwritable
from dashboard.store.vault_files import INDEX, Survey, open_private, survey, sync_folder, write_at
from dashboard.store.vault_frame import ENTRY_BYTES, Record, Slot, pack
from dashboard.store.vault_ledger import Ledger, last_line, ledger_path
from dashboard.store.vault_room import Room


class VaultWriter:
    """The one writer of an entry, made by Vault.writer(). To be used by one thread, and closed (or as a `with`)."""

    def __init__(self, number: int, folder: Path, frames: int, most_bytes: int, room: Room) -> None:
        """`frames`: the locked descriptor of the entry's frames, which this closes. Raises VaultDamaged, OSError."""
        self._most_bytes, self._room = most_bytes, room
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._frames, self._index = frames, open_private(folder / INDEX)
        try:
            self._slots = self._recover(number)
            sync_folder(folder)
        except BaseException:
            os.close(self._index)
            raise
        self._broken: OSError | None = None
        self._path = ledger_path(folder)
        self._ledger: Ledger | None = None

    def __enter__(self) -> VaultWriter:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def frame_count(self) -> int:
        return len(self._slots)

    @property
    def keys(self) -> int:
        """Records in all frames, those of earlier writers too."""
        return sum(slot.keys for slot in self._slots)

    def append(self, records: Sequence[Record]) -> int:
        """Put records into a frame of their own; its index, from 0. They are on the disk when this returns.

        Nothing is written for no records. Where it raises, the entry is as it was before: VaultFull, VaultUnwritable.
        """
        if self._broken:
            raise VaultUnwritable(self._broken)
        if not records:
            return self.frame_count
        written_ms = time.time_ns() // 1_000_000
        frame, crc = pack(records, written_ms, self._compressor)
        slot = Slot(self._end, len(frame), written_ms, len(records), crc)
        with self._room.taking(len(frame) + ENTRY_BYTES, self._most_bytes) as fits:
            if not fits:
                raise VaultFull(self._most_bytes)
            self._write_or_withdraw(slot, frame)
        self._slots.append(slot)
        return self.frame_count - 1

    def note(self, text: str) -> None:
        """Write down how far the work has come: one line, which outlives a killed process. Raises VaultUnwritable."""
        try:
            self._ledger = self._ledger or Ledger(self._path)
            self._ledger.add(text)
        except OSError as error:
            raise VaultUnwritable(error) from error

    def last_note(self) -> str | None:
        """What was noted last, by this writer or by one before. Raises VaultUnwritable."""
        try:
            return last_line(self._path)
        except OSError as error:
            raise VaultUnwritable(error) from error

    def close(self) -> None:
        """Let others write to the entry."""
        if self._ledger:
            self._ledger.close()
        with suppress(OSError):
            os.fsync(self._index)
        os.close(self._index)
        os.close(self._frames)

    @property
    def _end(self) -> int:
        return self._slots[-1].end if self._slots else 0

    def _write_or_withdraw(self, slot: Slot, frame: bytes) -> None:
        try:
            self._write(slot, frame)
        except OSError as error:
            self._withdraw()
            raise VaultUnwritable(error) from error
        except BaseException:
            self._withdraw()
            raise

    def _write(self, slot: Slot, frame: bytes) -> None:
        # The index must never be ahead of the frames: an entry in it says that its frame is on the disk. It may be
        # behind them after a loss of power, as it need not be there itself: frames are told by their heads, too.
        write_at(self._frames, slot.offset, frame)
        self._sync(self._frames)
        write_at(self._index, self.frame_count * ENTRY_BYTES, slot.packed())

    def _sync(self, handle: int) -> None:
        try:
            os.fsync(handle)
        except OSError as error:
            # What the system could not write it forgets: a second fsync would succeed without anything on the disk.
            self._broken = error
            raise

    def _withdraw(self) -> None:
        """Leave nothing of an append that failed."""
        try:
            os.ftruncate(self._index, self.frame_count * ENTRY_BYTES)
            os.ftruncate(self._frames, self._end)
        except OSError as error:
            self._broken = error

    def _recover(self, number: int) -> list[Slot]:
        """What is there, after taking away what a killed writer left unfinished, and with the index made good."""
        index = os.pread(self._index, os.fstat(self._index).st_size, 0)
        found: Survey = survey(self._frames, index)
        if found.hidden:
            raise VaultDamaged(number, len(found.slots), "frames that follow it cannot be told apart")
        if os.fstat(self._frames).st_size > found.end:
            os.ftruncate(self._frames, found.end)
        if index != found.index:
            os.fsync(self._frames)
            os.ftruncate(self._index, 0)
            write_at(self._index, 0, found.index)
            os.fsync(self._index)
        return found.slots
