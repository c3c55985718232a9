"""Python pickle as a list of its instructions. Never loaded: loading one runs what its author wished.

pickletools.genops only splits the bytes into opcodes and arguments. No memo is followed and no
stack is kept, so that a bomb of references is a short list here.
"""

from __future__ import annotations

import io
import pickletools
from collections import deque
from collections.abc import Iterator

from dashboard.cache.decode.outline import limit_reached, quote, quote_bytes
from dashboard.cache.decode.result import Drawn

MAX_INSTRUCTIONS = 20_000
_ARGUMENT_SHOWN = 1000
_DIGITS_SHOWN = 4000  # int -> str is quadratic in Python, and refused above 4300 digits
_MAX_IMPORTS = 20

_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_MEMO_READS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})
_OLD_BEGINNINGS = (b"(", b"c", b"]", b"}")
_NOTE = "A pickle is never loaded here, because loading would run it: these are its instructions."


def draw_pickle(data: bytes, *, complete: bool, limit: int) -> Drawn | None:
    """The instructions of a pickle, and above them what it would import; None where it is none.

    Protocols 2 to 5 announce themselves. Protocols 0 and 1 do not, so there the whole value must be
    a container or an object, up to its final STOP, with an instruction that ordinary text hardly spells.
    """
    announced = len(data) >= 4 and data[0] == 0x80 and 2 <= data[1] <= 5
    if not announced and not (complete and data[-1:] == b"." and data[:1] in _OLD_BEGINNINGS):
        return None
    listing = _Listing(limit)
    problem = listing.read(data)
    rest = len(data) - listing.position if listing.stopped else 0
    if not announced:
        return listing.drawn("") if listing.distinct and not problem and not rest else None
    if problem and complete:
        return listing.drawn(f"The pickle is damaged: {problem}.") if listing.count >= 5 else None
    if listing.count < 3 and not listing.stopped:
        return None
    return listing.drawn(f"{rest} bytes after its end are not shown." if rest else "")


class _Listing:
    def __init__(self, limit: int) -> None:
        self.count = 0
        self.position = 0
        self.stopped = False
        self.full = ""
        self.distinct = False  # has an instruction with a memo or an import
        self._limit = limit
        self._size = 0
        self._lines: list[str] = []
        self._imports: list[str] = []
        self._strings: deque[str] = deque(maxlen=2)
        self._memo: dict[int, str] = {}

    def read(self, data: bytes) -> str | None:
        """List the instructions; None at the STOP or at a bound, else what is wrong."""
        source = io.BytesIO(data)
        instructions: Iterator[tuple[pickletools.OpcodeInfo, object, int | None]] = pickletools.genops(source)
        try:
            for opcode, argument, position in instructions:
                self._list(opcode.name, argument, position or 0)
                if self.full:
                    return None
        except (ValueError, OverflowError, IndexError, EOFError, Warning) as error:
            return str(error)[:200] or type(error).__name__
        self.stopped = True
        self.position = source.tell()
        return None

    def drawn(self, cut: str) -> Drawn:
        head = [f"imports {name}" for name in self._imports] + ([""] if self._imports else [])
        text = "\n".join([*head, *self._lines, *([] if self.stopped else ["…"])])
        return Drawn("Python pickle", text, self.full or cut, (_NOTE,), sure=True)

    def _list(self, name: str, argument: object, position: int) -> None:
        self.count += 1
        self._follow(name, argument)
        line = f"{position:>6}  {name}" + ("" if argument is None else f" {_shown(argument)}")
        self._size += len(line) + 1
        if self.count > MAX_INSTRUCTIONS:
            self.full = f"Only the first {MAX_INSTRUCTIONS} instructions are shown."
        elif self._size > self._limit:
            self.full = limit_reached(self._limit)
        else:
            self._lines.append(line)

    def _follow(self, name: str, argument: object) -> None:
        """Keep what is needed to name imports: recent strings, and those in the memo."""
        self.distinct = self.distinct or name in _MEMO_WRITES or name in _IMPORTS
        if name in _MEMO_WRITES:
            index = argument if isinstance(argument, int) else len(self._memo)
            self._memo[index] = self._strings[-1] if self._strings else ""
        elif name in _MEMO_READS and isinstance(argument, int):
            self._strings.append(self._memo.get(argument, "?"))
        elif name in _IMPORTS:
            self._import(name, argument)
        elif isinstance(argument, str):
            self._strings.append(argument[:200])

    def _import(self, name: str, argument: object) -> None:
        words = str(argument).split(" ") if name != "STACK_GLOBAL" else list(self._strings)
        imported = quote(".".join(words)[:300])[1:-1]
        if imported not in self._imports and len(self._imports) < _MAX_IMPORTS:
            self._imports.append(imported)


def _shown(argument: object) -> str:
    if isinstance(argument, str):
        return quote(argument[:_ARGUMENT_SHOWN]) + ("…" if len(argument) > _ARGUMENT_SHOWN else "")
    if isinstance(argument, bytes | bytearray):
        return quote_bytes(bytes(argument[: _ARGUMENT_SHOWN + 1]), _ARGUMENT_SHOWN)
    if isinstance(argument, int) and argument.bit_length() > 3 * _DIGITS_SHOWN:
        return f"(an integer of {argument.bit_length()} bits)"
    return repr(argument)
