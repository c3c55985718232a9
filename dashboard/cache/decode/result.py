"""What the decoders give each other and the page: frozen values, no behaviour beyond their reading."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
DEFAULT_LIMIT = 2 * MIB
MAX_LAYERS = 8


@dataclass(frozen=True)
class Layer:
    """One recognised layer. `size`: bytes that this layer was recognised in; at least so many if not `whole`."""

    name: str
    size: int
    whole: bool


@dataclass(frozen=True)
class Decoded:
    """A value as recognised, outermost layer first.

    text: printable, at most `limit` bytes as UTF-8; unprintable characters are escaped.
    cut: sentences that say why the text is not the whole value; "" where it is.
    notes: sentences that are worth knowing besides.
    """

    layers: tuple[Layer, ...]
    text: str
    cut: str
    notes: tuple[str, ...] = ()

    @property
    def chain(self) -> tuple[str, ...]:
        """The names alone, for example ("base64", "zstd", "JSON")."""
        return tuple(layer.name for layer in self.layers)

    @property
    def binary(self) -> bool:
        """Nothing was recognised: a page does better to open the hex view."""
        return self.chain == ("binary",)


@dataclass(frozen=True)
class Unwrapped:
    """The bytes inside a wrapper. `whole`: all of them; `cut` says why not; `sure`: hardly by chance."""

    name: str
    data: bytes
    whole: bool
    cut: str = ""
    sure: bool = True


@dataclass(frozen=True)
class Drawn:
    """The text of an innermost layer. `sure`: the bytes hardly look so by chance."""

    name: str
    text: str
    cut: str = ""
    notes: tuple[str, ...] = ()
    sure: bool = False


def human_size(size: int) -> str:
    """Bytes for a sentence: '812 bytes', '2.0 MiB'."""
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
