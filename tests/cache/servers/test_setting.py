"""What a typed value of a setting means, and what is refused before anything is sent."""

from __future__ import annotations

import pytest

from dashboard.cache.servers.setting import BY_NAME, LARGEST, BadValue, canonical, shown

MB, GB = 1024**2, 1024**3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1", 1),
        ("104857600", 100 * MB),
        ("100b", 100),
        ("5k", 5000),
        ("5kb", 5120),
        ("7m", 7_000_000),
        ("512mb", 512 * MB),
        ("2g", 2_000_000_000),
        ("2gb", 2 * GB),
        ("2GB", 2 * GB),
        (" 2 gb ", 2 * GB),
        ("1.5gb", 3 * GB // 2),
        ("75%", 6 * GB),
        ("12.5 %", GB),
        (str(LARGEST), LARGEST),
    ],
)
def test_a_limit_is_read_in_the_units_of_the_servers_own_file(text: str, expected: int) -> None:
    assert canonical("maxmemory", text, of_memory=8 * GB) == str(expected)


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "10eb",
        "2tb",
        "two",
        "",
        "  ",
        "1e9",
        "0x10",
        "2gb2",
        "101%",
        "-5%",
        "%",
        "gb",
        "99999999999999999999",
        "1,5gb",
        "\u0661",
    ],
)
def test_what_is_no_amount_of_memory_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadValue) as error:
        canonical("maxmemory", text, of_memory=8 * GB)
    assert error.value.name == "maxmemory"
    assert "maxmemory" in error.value.sentence
    assert error.value.sentence.endswith(".")


def test_a_percentage_of_a_machine_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadValue, match="give bytes instead"):
        canonical("maxmemory", "75%")


def test_the_clients_limit_keeps_its_percentage_which_the_server_itself_understands() -> None:
    assert canonical("maxmemory-clients", "5%") == "5%"
    with pytest.raises(BadValue, match="whole percentages"):
        canonical("maxmemory-clients", "2.5%")


def test_a_policy_is_one_of_those_that_the_server_has() -> None:
    assert canonical("maxmemory-policy", "AllKeys-LFU", policies=["allkeys-lfu", "noeviction"]) == "allkeys-lfu"
    with pytest.raises(BadValue, match="it has allkeys-lfu, noeviction"):
        canonical("maxmemory-policy", "allkeys-mru", policies=["allkeys-lfu", "noeviction"])


def test_where_a_server_lists_no_policies_any_that_looks_like_one_is_left_for_it_to_judge() -> None:
    assert canonical("maxmemory-policy", "volatile-lrm") == "volatile-lrm"
    with pytest.raises(BadValue):
        canonical("maxmemory-policy", "x\r\nFLUSHALL")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("maxmemory-samples", ["1", "64", "007"], ["0", "65", "-1", "5.5", "many", ""]),
        ("active-expire-effort", ["1", "10"], ["0", "11"]),
        ("maxmemory-eviction-tenacity", ["0", "100"], ["101", "-1"]),
        ("lfu-log-factor", ["0", "2147483647"], ["-1", "2147483648"]),
        ("lfu-decay-time", ["0", "1"], ["-1"]),
    ],
)
def test_a_number_is_within_its_bounds(name: str, good: list[str], bad: list[str]) -> None:
    assert [canonical(name, text) for text in good] == [str(int(text)) for text in good]
    for text in bad:
        with pytest.raises(BadValue):
            canonical(name, text)


def test_yes_and_no_are_yes_and_no() -> None:
    assert canonical("lazyfree-lazy-expire", " YES ") == "yes"
    with pytest.raises(BadValue):
        canonical("lazyfree-lazy-expire", "true")


def test_flags_are_those_that_servers_know() -> None:
    assert canonical("notify-keyspace-events", "") == ""
    assert canonical("notify-keyspace-events", "Eem") == "Eem"
    with pytest.raises(BadValue, match="no flag 'q'"):
        canonical("notify-keyspace-events", "Eq")


def test_no_other_setting_is_changed() -> None:
    for name in ("requirepass", "dir", "maxmemory\r\n", ""):
        with pytest.raises(BadValue):
            canonical(name, "1")


def test_values_are_shown_in_words() -> None:
    assert shown("maxmemory", "0") == "no limit"
    assert shown("maxmemory", str(2 * GB)) == "2\u202fGB"
    assert shown("maxmemory-clients", "5%") == "5%"
    assert shown("maxmemory-samples", "5") == "5 keys"
    assert shown("notify-keyspace-events", "") == "off"
    assert shown("maxmemory", "what?") == "what?"
    assert shown("unheard-of", "1") == "1"


def test_each_default_is_a_value_that_may_be_set() -> None:
    for name, one in BY_NAME.items():
        if one.default is not None:
            assert canonical(name, one.default) == one.default
