"""Key names that have broken some dashboard, for every test that carries keys from one place to another."""

from __future__ import annotations

import random

HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00\x80binary",
    "newline": b"two\nlines\r\n",
    "slash": b"a/b//c/",
    "percent": b"100%2Fdone%",
    "dots": b"..",
    "dot": b".",
    "path": b"../../etc/passwd",
    "tilde": b"~x",
    "looks like a token": b"~YWJj",
    "markup": b"<img src=x onerror=alert(1)>",
    "quotes": b"\"'`{{7*7}}${7*7}",
    "emoji": "caf\u00e9:\U0001f9c0".encode(),
    "right to left": "user:\u202egnp.exe".encode(),
    "space": b" led and trailed ",
    "query": b"?a=b&c=d#e;f+g",
    "glob": b"q=[a]*?",
    "backslashes": rb"c:\new\x41\\server",
    "nul": b"a\x00b",
    "surrogate": b"\xed\xa0\x80",
    "one letter": b"k",
    "long": b"long:" + b"x" * 10_235,
    "long and not text": bytes(range(256)) * 40,
}


def random_keys(seed: int, count: int) -> list[bytes]:
    """Bytes of several tempers: anything, text with escapes in it, valid UTF-8 of every plane."""
    dice = random.Random(seed)
    alphabet = rb"\nrtx0f~:/%*?[]"
    found = []
    for _ in range(count):
        length = dice.randrange(24)
        match dice.randrange(3):
            case 0:
                found.append(dice.randbytes(length))
            case 1:
                found.append(bytes(dice.choice(alphabet) for _ in range(length)))
            case _:
                points = (
                    dice.choice((dice.randrange(0xD800), dice.randrange(0xE000, 0x110000))) for _ in range(length)
                )
                found.append("".join(map(chr, points)).encode())
    return found
