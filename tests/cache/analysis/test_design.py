"""Design findings: what is counted, with which examples, and what their links take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.cache.analysis.design import (
    LARGE,
    LARGE_VALUE,
    LONG,
    LONG_NAME,
    MANY_MEMBERS,
    MILLIONS,
    SINGLE,
    DesignFinding,
    design_findings,
    on_form,
)
from dashboard.cache.analysis.report import OTHER, BigKey, Group, NamespaceRow, Report
from dashboard.cache.estimate import NOTHING, Estimate, exactly
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.wording import NARROW


def row(name: str, keys: float = 100, memory: float | None = 10_000, **odd: float) -> NamespaceRow:
    """One namespace; odd counts by keyword: `large_value=3`."""
    named = {what.replace("_", " "): exactly(number) for what, number in odd.items()}
    return NamespaceRow(
        name,
        exactly(keys),
        None if memory is None else exactly(memory),
        NOTHING,
        None,
        name.replace("*", "7"),
        odd=named,
        odd_examples={what: f"{name.replace('*', '1')}-{what[0]}" for what in named},
    )


def found(*rows: NamespaceRow, selection: Selection | None = None, **more: object) -> dict[str, DesignFinding]:
    total = sum(one.keys.value for one in rows)
    report = replace(Report(0.0, keys=exactly(total), namespaces=rows), **more)  # type: ignore[arg-type]
    return {one.name: one for one in design_findings(report, selection or Selection(), b":")}


def plain(text: str) -> str:
    return text.replace(NARROW, " ")


@pytest.mark.parametrize("name", [b"api:user:*", b"api:user:*:posts", b"a:b:c", b"shop:*:*", b"api:\xc3\xa9t:*"])
def test_three_or_four_parts_are_on_form(name: bytes) -> None:
    assert on_form(name, b":")


@pytest.mark.parametrize(
    "name", [b"", b"greeting", b"sess:*", b"a:b:c:d:e", b"a::b", b":a:b", b"a:b:", b"a:b c:d", b"a:b:\n", b"a:\t:c"]
)
def test_other_names_are_off_form(name: bytes) -> None:
    assert not on_form(name, b":")


def test_the_separator_is_what_it_is_configured_to_be() -> None:
    assert on_form(b"api/user/*", b"/")
    assert not on_form(b"api:user:*", b"/")


def test_names_off_the_form_are_counted_with_their_memory_and_lead_to_the_largest_namespace() -> None:
    one = found(row("api:user:*", 700), row("sess:*", 200, 5_000), row("greeting", 100, 1_000))["off form"]
    assert one.keys == exactly(300)
    assert one.memory == exactly(6_000)
    assert one.examples == ("sess:7", "greeting")
    assert one.selection == Selection(pattern=b"sess:*")
    assert "largest of the 2" in one.differs
    assert plain(one.sentence).startswith(
        "300 keys, 30 % of all, have names off the form service:entity:id[:field], in 2"
    )


def test_a_link_that_takes_another_namespace_too_says_so() -> None:
    one = found(row("sess:*", 200), row("sess:*:cart:*", 100))["off form"]
    assert (
        "its pattern takes sess:*:cart:* too"
        in found(row("sess:*", 200), row("sess:*:cart:*", 100))["off form"].differs
    )
    assert one.selection is not None


def test_a_link_that_shows_exactly_what_was_counted_says_nothing() -> None:
    one = found(row("sess:*", 200), row("api:user:*", 100))["off form"]
    assert one.differs == ""


def test_glob_characters_of_a_name_are_escaped_in_its_link() -> None:
    assert found(row("what?[*]", 200))["off form"].selection == Selection(pattern=rb"what\?\[*\]")


def test_large_values_lead_to_keys_of_that_size() -> None:
    big = (BigKey("api:page:1", "string", 3 * LARGE_VALUE, -1), BigKey("api:page:2", "string", 10, -1))
    one = found(row("api:page:*", large_value=1), biggest=big)[LARGE]
    assert one.selection == Selection(size=f">{LARGE_VALUE}")
    assert one.memory == exactly(3 * LARGE_VALUE), "it is the only one, and stands among the biggest"
    assert plain(one.sentence) == "1 key is larger than 1 MB; the largest has 3 MB."


def test_the_memory_of_large_values_is_not_told_where_not_all_stand_among_the_biggest() -> None:
    big = (BigKey("api:page:1", "string", 3 * LARGE_VALUE, -1),)
    assert found(row("api:page:*", large_value=150), biggest=big)[LARGE].memory is None


def test_long_names_lead_to_a_glob_of_that_many_bytes() -> None:
    one = found(row("api:url:*", long_name=4))[LONG]
    assert one.selection is not None
    assert one.selection.pattern == b"?" * (LONG_NAME + 1) + b"*"
    assert one.differs == ""


def test_a_part_of_the_keyspace_keeps_to_itself_as_far_as_a_selection_can() -> None:
    base = Selection(pattern=b"api:*", type="hash")
    rows = (row("api:page:*", large_value=2, long_name=2),)
    assert found(*rows, selection=base)[LARGE].selection == replace(base, size=f">{LARGE_VALUE}")
    assert "not only those analysed" in found(*rows, selection=base)[LONG].differs


def test_millions_of_members_lead_to_the_one_key_where_it_is_one() -> None:
    one = found(row("board:all:*", 5, millions_of_members=1))[MILLIONS]
    assert one.selection == Selection(pattern=b"board:all:1-m")
    assert one.differs == ""


def test_one_element_collections_lead_to_the_namespace_with_most_of_them() -> None:
    one = found(row("a:tag:*", 50, one_element=10), row("b:tag:*", 50, one_element=30))[SINGLE]
    assert one.keys == exactly(40)
    assert one.selection == Selection(pattern=b"b:tag:*")
    assert "not only these" in one.differs
    assert one.examples[0] == "b:tag:1-o"


def test_what_lies_in_the_row_of_all_others_is_counted_too() -> None:
    one = found(row("a:tag:*", one_element=1), row(OTHER, one_element=9))[SINGLE]
    assert one.keys == exactly(10)
    assert one.selection == Selection(pattern=b"a:tag:*")


def test_mixed_types_count_the_keys_of_the_rarer_types() -> None:
    types = (Group("string", exactly(90), exactly(900)), Group("hash", exactly(10), exactly(700)))
    one = found(replace(row("api:user:*"), types=types))["mixed types"]
    assert one.keys == exactly(10)
    assert one.memory == exactly(700)
    assert one.selection == Selection(pattern=b"api:user:*")
    assert "(string, hash)" in one.differs


def test_a_namespace_of_one_type_is_not_mixed() -> None:
    assert "mixed types" not in found(replace(row("a:b:*"), types=(Group("string", exactly(9)),)))


def test_estimates_say_how_sure_they_are() -> None:
    odd = replace(row("a:b:*"), odd={LONG: Estimate(1000, 800, 1300)})
    one = found(odd, sample=1000, population=100_000)[LONG]
    assert not one.keys.exact
    assert plain(one.sentence).startswith("About 1 k keys (")


def test_a_good_keyspace_gets_one_good_word_and_an_empty_one_none() -> None:
    assert [one.level for one in found(row("api:user:*")).values()] == ["ok"]
    assert found() == {}


def test_what_needs_attention_comes_first() -> None:
    levels = [one.level for one in found(row("x", one_element=1, large_value=1, millions_of_members=1)).values()]
    assert levels == ["warning", "warning", "info", "info"]


def test_the_thresholds_are_those_the_analysis_takes() -> None:
    assert (LONG_NAME, LARGE_VALUE, MANY_MEMBERS) == (256, 1_048_576, 1_000_000)
