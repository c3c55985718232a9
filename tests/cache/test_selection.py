"""A Selection means the same keys on every screen, because it survives its query string unchanged."""

from __future__ import annotations

import pytest

from dashboard.cache.selection import BadSelection, Selection, from_query, glob_escape
from tests.cache.hostile_keys import HOSTILE, random_keys


@pytest.mark.parametrize(
    "key", [key for key in HOSTILE.values() if key], ids=[name for name in HOSTILE if name != "empty"]
)
def test_a_pattern_of_any_bytes_survives_the_query_string(key: bytes) -> None:
    selection = Selection(key + b"*", "hash", "<60")
    assert from_query(selection.to_query()) == selection


def test_random_patterns_survive_the_query_string() -> None:
    for key in random_keys(3, 1000):
        selection = Selection(key or b"*")
        assert from_query(selection.to_query()) == selection


def test_the_default_is_an_empty_query() -> None:
    assert Selection().to_query() == {}
    assert Selection().everything
    assert from_query({}) == from_query({"pattern": "", "type": " ", "ttl": ""}) == Selection()


@pytest.mark.parametrize("selection", [Selection(b"a*"), Selection(type="set"), Selection(ttl="none")])
def test_a_condition_leaves_something_out(selection: Selection) -> None:
    assert not selection.everything


@pytest.mark.parametrize("pattern", [b"*", b"a?", b"[ab]", rb"a\\*", rb"\\?", b"[", rb"\a*"])
def test_a_wildcard_is_seen(pattern: bytes) -> None:
    assert Selection(pattern).has_wildcard


@pytest.mark.parametrize("pattern", [b"", b"a", rb"a\*", rb"\?\[", b"a]", b"a\\", rb"\\", b"\xff"])
def test_an_escaped_wildcard_is_none(pattern: bytes) -> None:
    assert not Selection(pattern).has_wildcard


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (b"plain", (b"plain",)),
        (rb"a\*b", (rb"a\*b", b"a*b")),
        (b"q=[a]", (b"q=[a]",)),
        (b"two\\\nlines", (b"two\\\nlines", b"two\nlines")),
        (b"", (b"",)),
        (b"end\\", (b"end\\",)),
    ],
)
def test_it_names_the_keys_that_a_pattern_may_mean_letter_by_letter(
    pattern: bytes, literals: tuple[bytes, ...]
) -> None:
    assert Selection(pattern).literals == literals


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_escaped_key_is_a_pattern_for_that_key_alone(key: bytes) -> None:
    pattern = Selection(glob_escape(key))
    assert not pattern.has_wildcard
    assert key in pattern.literals


@pytest.mark.parametrize(
    ("condition", "taken", "left"),
    [
        ("", (-1, 0, 5000), (-2,)),
        ("none", (-1,), (-2, 0, 5000)),
        ("any", (0, 5000), (-1, -2)),
        ("<60", (0, 59_999), (60_000, 60_001, -1, -2)),
        (">60", (60_001, 10**12), (60_000, 0, -1, -2)),
    ],
)
def test_a_ttl_condition_takes_the_keys_it_says(condition: str, taken: tuple[int, ...], left: tuple[int, ...]) -> None:
    selection = Selection(ttl=condition)
    assert all(selection.takes_ttl(pttl) for pttl in taken)
    assert not any(selection.takes_ttl(pttl) for pttl in left)


def test_a_type_is_taken_in_any_case_and_only_it() -> None:
    assert Selection(type="ZSet").takes_type("zset")
    assert not Selection(type="zset").takes_type("set")
    assert Selection().takes_type("stream")


@pytest.mark.parametrize(
    "query",
    [
        {"ttl": "60"},
        {"ttl": "<"},
        {"ttl": "<-1"},
        {"ttl": "<99999999999"},
        {"ttl": "never"},
        {"type": "two words"},
        {"type": "string\nCOUNT"},
        {"type": "x" * 65},
        {"type": "<b>"},
        {"pattern": "x" * 32_769},
        {"pattern": "\u20ac" * 20_000},
    ],
)
def test_a_bad_condition_is_refused_with_a_sentence(query: dict[str, str]) -> None:
    with pytest.raises(BadSelection, match=r"^[A-Z].+\.$"):
        from_query(query)
