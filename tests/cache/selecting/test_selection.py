"""A Selection means the same keys on every screen, because it survives its query string unchanged."""

from __future__ import annotations

import pytest

from dashboard.cache.selecting.glob import WILD_LIMIT, wild_length
from dashboard.cache.selecting.key_token import from_printable
from dashboard.cache.selecting.selection import BadSelection, Selection, from_query, glob_escape
from dashboard.cache.selecting.words import in_words
from dashboard.cache.walking.scan import scan_command
from tests.cache.hostile_keys import HOSTILE, random_keys

TAKEN = {name: key for name, key in HOSTILE.items() if key and wild_length(key) <= WILD_LIMIT}


@pytest.mark.parametrize("key", TAKEN.values(), ids=TAKEN.keys())
def test_a_pattern_of_any_bytes_survives_the_query_string(key: bytes) -> None:
    selection = Selection(key + b"*", "hash", "<60", ">1024")
    assert from_query(selection.to_query()) == selection


def test_random_patterns_survive_the_query_string() -> None:
    for key in random_keys(3, 1000):
        selection = Selection(key or b"*")
        assert from_query(selection.to_query()) == selection


def test_the_default_is_an_empty_query() -> None:
    assert Selection().to_query() == {}
    assert Selection().everything
    assert from_query({}) == from_query({"pattern": "", "type": " ", "ttl": ""}) == Selection()


@pytest.mark.parametrize(
    "selection", [Selection(b"a*"), Selection(type="set"), Selection(ttl="any"), Selection(size=">100")]
)
def test_a_condition_leaves_something_out(selection: Selection) -> None:
    assert not selection.everything


@pytest.mark.parametrize("pattern", [b"?*", b"*?", b"**?**", b"[^]*", b"*[^", b"[\x00-\x7f\x80-\xff]*"])
def test_everything_is_noticed_in_other_signs(pattern: bytes) -> None:
    assert Selection(pattern).everything
    assert Selection(pattern, size=">0").everything
    assert not Selection(pattern, type="hash").everything
    assert not Selection(pattern, size="<1000").everything
    assert in_words(Selection(pattern)) != "all keys"


@pytest.mark.parametrize("pattern", [b"??*", b"[^a]*", b"*:*", b"?"])
def test_what_spares_some_names_is_not_everything(pattern: bytes) -> None:
    assert not Selection(pattern).everything


def test_a_size_that_every_key_has_leaves_nothing_out() -> None:
    assert Selection(size=">0").everything
    assert Selection(size="<999999999999999").everything


@pytest.mark.parametrize("sign", ["\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_pasted_name_is_never_taken_for_two(sign: str) -> None:
    assert from_query({"keys": f"a{sign}b\r\nc\n"}).keys == (f"a{sign}b".encode(), b"c")


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
        ("60-300", (60_000, 299_999), (59_999, 300_000, 0, -1, -2)),
        ("0-0.5", (0, 499), (500, -1, -2)),
    ],
)
def test_a_ttl_condition_takes_the_keys_it_says(condition: str, taken: tuple[int, ...], left: tuple[int, ...]) -> None:
    selection = Selection(ttl=condition)
    assert all(selection.takes_ttl(pttl) for pttl in taken)
    assert not any(selection.takes_ttl(pttl) for pttl in left)


def test_a_range_of_instants_is_judged_by_the_servers_clock() -> None:
    selection = Selection(ttl="@1764000000-1764000002.5")
    now = 1_763_999_990.123456
    assert selection.at_instant
    assert [pttl for pttl in range(9_870, 12_380) if selection.takes_ttl(pttl, now)] == list(range(9_877, 12_377))
    assert not selection.takes_ttl(-1, 1_764_000_001.0)
    assert not selection.takes_ttl(-2, 1_764_000_001.0)
    with pytest.raises(ValueError, match="clock"):
        selection.takes_ttl(9_877)


@pytest.mark.parametrize("microseconds", [0, 1_000, 123_000, 321_000, 999_000, 999_999])
def test_an_expiry_at_a_whole_second_belongs_to_that_second_whatever_the_clock_shows(microseconds: int) -> None:
    now = 1_763_999_990 + microseconds / 1e6
    pttl = 1_764_000_000_000 - (1_763_999_990_000 + microseconds // 1000)
    assert Selection(ttl="@1764000000-1764000001").takes_ttl(pttl, now)
    assert not Selection(ttl="@1763999999-1764000000").takes_ttl(pttl, now)


def test_a_size_condition_takes_the_keys_it_says() -> None:
    assert [size for size in (99, 100, 101) if Selection(size=">100").takes_size(size)] == [101]
    assert [size for size in (99, 100, 101) if Selection(size="<100").takes_size(size)] == [99]
    assert Selection().takes_size(0)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(), "all keys"),
        (Selection(b"sess:*"), "keys of sess:*"),
        (Selection(b"sess:*", "hash", "none", ">2048"), "keys of sess:* of type hash without TTL larger than 2 kB"),
        (Selection(ttl="any"), "all keys that have a TTL"),
        (Selection(ttl="<60"), "all keys with less than 60 s to live"),
        (Selection(ttl=">7200", size="<100"), "all keys with more than 2 h to live smaller than 100 B"),
        (Selection(ttl="0-300"), "all keys with 0 s to 5 min to live"),
        (
            Selection(b"a:*", ttl="@1764000000-1764000002"),
            "keys of a:* that expire between 16:00:00 and 16:00:02 UTC on 2025-11-24",
        ),
        (
            Selection(ttl="@1764000000.5-1764000002"),
            "all keys that expire between 16:00:00.500 and 16:00:02 UTC on 2025-11-24",
        ),
        (
            Selection(ttl="@1764028799-1764028802"),
            "all keys that expire between 2025-11-24 23:59:59 and 2025-11-25 00:00:02 UTC",
        ),
        (Selection(b"x" * 300), f"keys of {'x' * 79}…"),
        (Selection(b" *"), r"keys of \x20*"),
        (Selection(b"a b  c*  "), r"keys of a b \x20c* \x20"),
        (Selection(keys=(b" ",)), r"the key \x20"),
    ],
)
def test_a_selection_is_said_in_plain_english(selection: Selection, words: str) -> None:
    assert in_words(selection).replace("\u202f", " ") == words


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
        {"ttl": "300-60"},
        {"ttl": "60-60"},
        {"ttl": "0-0"},
        {"ttl": "-60"},
        {"ttl": "60-"},
        {"ttl": "@60"},
        {"ttl": "@1764000002-1764000000"},
        {"ttl": "1e3-1e4"},
        {"ttl": "\u0661-\u0662"},
        {"size": "100"},
        {"size": ">-1"},
        {"size": ">1xB"},
        {"size": ">1k"},
        {"size": "1MB"},
        {"size": ">MB"},
        {"size": ">9999999gb"},
        {"ttl": "5m"},
        {"ttl": "<5y"},
        {"ttl": "<0.5s"},
        {"ttl": "<5mb"},
        {"ttl": "1h-5m"},
        {"ttl": "5-10m"},
        {"ttl": "<5m-1h"},
        {"ttl": "@5m-1h"},
        {"ttl": "<99999999999w"},
        {"size": ">" + "9" * 16},
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


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("<5m", "<300"),
        ("< 5 M", "<300"),
        (">2h", ">7200"),
        (">90s", ">90"),
        (">1.5h", ">5400"),
        ("<1d 12h", "<129600"),
        (">1w", ">604800"),
        ("<15min", "<900"),
        ("5m-1h", "300-3600"),
        ("0-5m", "0-300"),
        ("0.5s-1.25m", "0.5-75"),
        ("1h30m - 1d", "5400-86400"),
        ("60-300", "60-300"),
        ("NONE", "none"),
        ("@1764000000-1764000002.5", "@1764000000-1764000002.5"),
    ],
)
def test_a_time_may_be_written_with_its_unit_and_is_kept_in_plain_seconds(written: str, plain: str) -> None:
    selection = from_query({"ttl": written})
    assert selection.to_query() == {"ttl": plain}
    assert from_query(selection.to_query()) == selection


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (">1MB", ">1048576"),
        ("> 1 mb", ">1048576"),
        ("<10kB", "<10240"),
        (">100b", ">100"),
        (">1.5Kb", ">1536"),
        (">2GB", ">2147483648"),
        (">0.3kb", ">307"),
        ("<0.3kb", "<308"),
        (">1024", ">1024"),
    ],
)
def test_a_size_may_be_written_with_its_unit_and_is_kept_in_plain_bytes(written: str, plain: str) -> None:
    selection = from_query({"size": written})
    assert selection.to_query() == {"size": plain}
    assert from_query(selection.to_query()) == selection


@pytest.mark.parametrize(("query", "units"), [({"ttl": "<5y"}, "5m, 2h, 1d or 1w"), ({"size": ">1k"}, "10kb, 1MB")])
def test_a_refusal_names_the_units(query: dict[str, str], units: str) -> None:
    with pytest.raises(BadSelection, match=units):
        from_query(query)


@pytest.mark.parametrize("pattern", ["*" + "a*" * 16, "*" + "x" * 1024 + "*", "[" + "a" * 1024, "?*" * 17])
def test_a_pattern_that_would_hold_a_server_up_is_refused(pattern: str) -> None:
    with pytest.raises(BadSelection, match=r"stars|1,024 bytes"):
        from_query({"pattern": pattern})


@pytest.mark.parametrize(
    "pattern", ["*" * 3000, "a*" * 16, "x" * 32_000 + "*", "x" * 30_000, r"\*" * 2000, "[*]" * 300]
)
def test_what_only_looks_long_is_taken(pattern: str) -> None:
    assert from_query({"pattern": pattern}).pattern.decode() == pattern


def test_a_run_of_stars_is_sent_as_one_and_means_every_key() -> None:
    selection = Selection(b"***")
    assert selection.everything
    assert scan_command(selection, 0, 10) == scan_command(Selection(), 0, 10)
    assert scan_command(Selection(b"a**b***"), 7, 10) == ["SCAN", 7, "MATCH", b"a*b*", "COUNT", 10]
    assert in_words(selection) == "all keys"


@pytest.mark.parametrize("pattern", [b" *", b"a  b*", b"a ", b"  ", b"a b*"])
def test_a_pattern_with_blanks_is_said_as_it_may_be_typed_again(pattern: bytes) -> None:
    said = in_words(Selection(pattern)).removeprefix("keys of ")
    assert " ".join(said.split()) == said  # as a page shows it
    assert from_printable(said) == pattern
