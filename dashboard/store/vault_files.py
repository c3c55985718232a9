"""The files of one entry of the vault: opened for their owner only, locked, read and surveyed.

    <vault>/184/frames      the frames, one after the other
    <vault>/184/index       an entry of fixed size for each frame, which is on disk once its frame is
    <vault>/184/*.ledger    how far somebody has come (vault_ledger.py)

The index is a convenience: what is lost of it is read from the frames' own heads.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.store.vault_frame import ENTRY_BYTES, HEAD_BYTES, Slot, slot_at, slot_of, whole

FRAMES, INDEX = "frames", "index"


@dataclass(frozen=True)
class Survey:
    """Every frame of an entry, in order. `hidden`: the index tells of more, which cannot be told apart any more."""

    slots: list[Slot]
    hidden: bool

    @property
    def end(self) -> int:
        return self.slots[-1].end if self.slots else 0

    @property
    def index(self) -> bytes:
        return b"".join(slot.packed() for slot in self.slots)


def open_private(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """A file descriptor of a file that its owner alone may read, made where there is none. Raises OSError."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def make_private(folder: Path) -> None:
    """A folder that its owner alone may enter, on disk with its name. Raises OSError."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    else:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(folder: Path) -> int | None:
    """The descriptor of an entry's frames, locked against every other writer; None where somebody else has the lock.

    Closing it, or the end of the process, frees the lock. Raises OSError.
    """
    while True:
        handle = open_private(folder / FRAMES)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(folder / FRAMES, handle):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was dropped between our opening and our locking: what we hold is no longer the entry


def write_at(handle: int, offset: int, data: bytes) -> None:
    """Write all of it, or raise OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, offset)
        rest, offset = rest[written:], offset + written


def read_at(handle: int, offset: int, length: int) -> bytes:
    """So many bytes, or as many as there are. Raises OSError."""
    data = os.pread(handle, length, offset)
    while 0 < len(data) < length:
        more = os.pread(handle, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


@contextmanager
def holding(folder: Path, alone: bool = False) -> Iterator[None]:
    """Keep an entry from being dropped, or with `alone` from being read, by a lock on its index.

    Raises BlockingIOError where the other is the case already, OSError.
    """
    try:
        handle = open_private(folder / INDEX, os.O_RDONLY)
    except FileNotFoundError:  # the entry has just been begun, or its index was lost
        handle = open_private(folder / INDEX)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def reading(folder: Path) -> Iterator[tuple[int, Survey]]:
    """An entry's frames, and what is in them, while somebody may be adding to them. Raises OSError."""
    handle = open_private(folder / FRAMES, os.O_RDONLY)
    try:
        yield handle, survey(handle, _index(folder))
    finally:
        os.close(handle)


def survey(frames: int, index: bytes) -> Survey:
    """Where each frame stands: by the index, by the frames' heads where it is damaged or behind.

    A frame at the end which is not in the index counts if it is whole: it is otherwise one that was being written when
    the process or the machine stopped, and nothing was done yet that relied on it.
    """
    size = os.fstat(frames).st_size
    entries = [slot_of(index[at : at + ENTRY_BYTES]) for at in range(0, len(index), ENTRY_BYTES)]
    slots: list[Slot] = []
    end = 0
    for entry in entries:
        slot = entry if entry is not None and entry.offset == end else _by_head(frames, end, size)
        if slot is None:
            break
        slots.append(slot)
        end = slot.end
    while slot := _by_head(frames, end, size):
        slots.append(slot)
        end = slot.end
    return Survey(slots, any(entry is not None and entry.offset >= end for entry in entries))


def _by_head(frames: int, offset: int, size: int) -> Slot | None:
    """The frame at an offset, by its own head; a damaged one only where another one follows it."""
    slot = slot_at(offset, read_at(frames, offset, HEAD_BYTES))
    if slot is None or slot.end > size:
        return None
    if whole(slot, read_at(frames, offset, slot.length)) or slot_at(slot.end, read_at(frames, slot.end, HEAD_BYTES)):
        return slot
    return None


def _index(folder: Path) -> bytes:
    try:
        return (folder / INDEX).read_bytes()
    except FileNotFoundError:
        return b""


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
