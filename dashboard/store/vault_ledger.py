"""How far somebody has come with an entry of the vault: lines of text, of which the last one counts.

They are written but not forced to the disk: they survive a killed process, and after a power cut an older one (or
none) counts, from which the work can be taken up as well, only with more to do again.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from dashboard.store.vault_files import open_private, read_at, write_at

LONGEST = 1 << 20  # bytes; a ledger that has grown so long is begun anew with its last line
RUN = "run"
"""The ledger of who fills the entry."""

_TAIL = 1 << 16


def ledger_path(folder: Path, name: str = RUN) -> Path:
    """The file of one of an entry's ledgers. Raises ValueError for what is no plain name."""
    if not (name.isascii() and name.replace("-", "").isalnum()):
        raise ValueError("a ledger's name is letters, digits and hyphens")
    return folder / f"{name}.ledger"


class Ledger:
    """One ledger, open for adding to it: by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        self._handle = open_private(path)
        self._end = _cut_torn_line(self._handle)

    def add(self, text: str) -> None:
        """Make `text` the last line. Raises OSError, and ValueError for more than one line."""
        if "\n" in text:
            raise ValueError("a note is one line")
        line = _line(text)
        if self._end and self._end + len(line) > LONGEST:
            self._begin_anew(line)
            return
        write_at(self._handle, self._end, line)
        self._end += len(line)

    def close(self) -> None:
        os.close(self._handle)

    def _begin_anew(self, line: bytes) -> None:
        draft = self._path.with_suffix(".new")
        handle = open_private(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            write_at(handle, 0, line)
            draft.replace(self._path)
        except BaseException:
            os.close(handle)
            raise
        os.close(self._handle)
        self._handle, self._end = handle, len(line)


def last_line(path: Path) -> str | None:
    """The last line that is whole; None where there is none. Raises OSError."""
    try:
        handle = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        size, wanted = os.fstat(handle).st_size, _TAIL
        while True:
            tail = read_at(handle, max(size - wanted, 0), min(wanted, size))
            found = _last_whole(tail, wanted >= size)
            if found is not None or wanted >= size:
                return found
            wanted *= 4
    finally:
        os.close(handle)


def _line(text: str) -> bytes:
    content = text.encode()
    return b"%08x %b\n" % (zlib.crc32(content), content)


def _last_whole(tail: bytes, from_start: bool) -> str | None:
    lines = tail.split(b"\n")[0 if from_start else 1 : -1]  # what follows the last line end is no line yet
    for line in reversed(lines):
        check, _, content = line.partition(b" ")
        if check == b"%08x" % zlib.crc32(content):
            return content.decode()
    return None


def _cut_torn_line(handle: int) -> int:
    """Take away what a killed process left behind the last line end; the length of what stays."""
    size = at = os.fstat(handle).st_size
    while at:
        start = max(at - _TAIL, 0)
        found = read_at(handle, start, at - start).rfind(b"\n")
        at = start + found + 1 if found >= 0 else start
        if found >= 0:
            break
    if at != size:
        os.ftruncate(handle, at)
    return at
