"""The raw and hex views: nothing interpreted, nothing unprintable."""

from __future__ import annotations

import random

from dashboard.cache.decode import VIEWS, HexLine, hexdump, raw


def test_there_are_three_views() -> None:
    assert VIEWS == ("decoded", "raw", "hex")


def test_raw_escapes_all_but_printable_ascii_and_line_breaks() -> None:
    assert raw(b'a\\b\x00\t\r\n"<\xc3\xa9\x7f') == 'a\\\\b\\x00\\t\\r\n"<\\xc3\\xa9\\x7f'


def test_raw_tells_different_values_apart() -> None:
    source = random.Random(5)
    values = {bytes(source.choices(b"\\xn\n\r\t0a\x00\xff", k=source.randrange(6))) for _ in range(3000)}
    assert len({raw(value) for value in values}) == len(values)


def test_raw_stops_at_its_limit() -> None:
    assert raw(b"\x00" * 100, limit=3) == "\\x00\\x00\\x00"


def test_hexdump_draws_lines_of_sixteen_bytes() -> None:
    assert hexdump(bytes(range(0x38, 0x38 + 18)), offset=4096) == (
        HexLine(4096, "38 39 3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47", "89:;<=>?@ABCDEFG"),
        HexLine(4112, "48 49", "HI"),
    )
    assert hexdump(b"\x00\xffa~\x7f") == (HexLine(0, "00 ff 61 7e 7f", "..a~."),)
    assert hexdump(b"") == ()


def test_hexdump_stops_at_its_limit() -> None:
    assert sum(len(line.ascii) for line in hexdump(b"x" * 1000, limit=100)) == 100
