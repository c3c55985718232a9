"""Two results of one selection: signs, certainty, and namespaces that only one of them has."""

from __future__ import annotations

import pytest

from dashboard.cache.analysis.compare import compare, difference
from dashboard.cache.analysis.report import OTHER, Group, NamespaceRow, Report
from dashboard.cache.estimate import NOTHING, Estimate, count_from_sample, exactly
from dashboard.cache.wording import MINUS, NARROW

MB = 1024 * 1024


def row(name: str, keys: float, memory: float | None = None, spread: float = 0.0) -> NamespaceRow:
    def around(value: float) -> Estimate:
        return Estimate(value, max(value - spread * value, 0.0), value + spread * value)

    return NamespaceRow(name, around(keys), None if memory is None else around(memory), NOTHING, None, f"{name}-1")


def report(*rows: NamespaceRow, at: float = 0.0, sample: int = 0, population: int = 0, bound: int = 0) -> Report:
    keys = exactly(sum(one.keys.value for one in rows))
    told = [one.memory.value for one in rows if one.memory]
    memory = exactly(sum(told)) if len(told) == len(rows) else None
    return Report(at, sample, population, keys=keys, memory=memory, namespaces=rows, bound=bound)


def plain(text: str) -> str:
    return text.replace(NARROW, " ").replace(MINUS, "-")


def test_the_difference_of_exact_figures_is_exact() -> None:
    assert difference(exactly(7), exactly(10)) == exactly(-3)


def test_the_interval_of_a_difference_is_wider_than_either_and_narrower_than_their_sum() -> None:
    after, before = Estimate(100, 90, 120), Estimate(80, 76, 83)
    found = difference(after, before)
    assert found.value == 20
    assert found.low == pytest.approx(20 - (10**2 + 3**2) ** 0.5)
    assert found.high == pytest.approx(20 + (20**2 + 4**2) ** 0.5)


def test_two_equal_results_have_no_difference() -> None:
    seen = report(row("a:*", 10, 100))
    found = compare(seen, seen)
    assert found.sentence == "no certain change."
    assert all(one.unchanged and not one.certain for one in found.namespaces)


def test_the_largest_certain_change_stands_first_and_in_the_sentence() -> None:
    before = report(row("sess:*", 900, 90 * MB), row("api:search:*", 100, 10 * MB))
    after = report(row("sess:*", 800, 80 * MB), row("api:search:*", 5000, 500 * MB))
    found = compare(before, after)
    assert [one.name for one in found.namespaces] == ["api:search:*", "sess:*"]
    assert plain(found.sentence) == "api:search:* + 490 MB, sess:* - 10 MB; all keys + 480 MB."


def test_what_lies_within_the_uncertainty_is_no_certain_change() -> None:
    before, after = report(row("a:*", 100, 1000, spread=0.2)), report(row("a:*", 110, 1100, spread=0.2))
    (found,) = compare(before, after).namespaces
    assert not found.certain
    assert not found.unchanged
    assert found.keys.delta.value == 10


def test_a_namespace_of_one_exact_result_alone_is_new_or_gone() -> None:
    before, after = report(row("old:*", 5, 50)), report(row("new:*", 7, 70))
    kinds = {one.name: (one.kind, one.keys.delta.value) for one in compare(before, after).namespaces}
    assert kinds == {"new:*": ("new", 7), "old:*": ("gone", -5)}


def test_a_namespace_that_a_truncated_result_does_not_list_may_have_been_there() -> None:
    before, after = report(row("big:*", 1000, 1000), bound=50), report(row("big:*", 1000, 1000), row("a:*", 40, 400))
    found = {one.name: one for one in compare(before, after).namespaces}["a:*"]
    assert found.kind == "unlisted"
    assert not found.certain, "it may have had 50 keys before"
    assert found.memory is not None
    assert found.memory.before.high == 500, "50 keys of the 10 bytes that its keys have now"


def test_a_namespace_that_a_sample_has_not_met_has_at_most_what_the_sample_could_miss() -> None:
    before = report(row("big:*", 1000), sample=1000, population=100_000)
    after = report(row("big:*", 1000), row("few:*", 10), row("many:*", 50_000))
    found = {one.name: one for one in compare(before, after).namespaces}
    missed = count_from_sample(0, 1000, 100_000).high
    assert found["many:*"].keys.before.high == pytest.approx(missed)
    assert found["many:*"].certain
    assert not found["few:*"].certain


def test_without_memory_figures_keys_are_compared() -> None:
    found = compare(report(row("a:*", 10)), report(row("a:*", 2500)))
    assert found.namespaces[0].memory is None
    assert plain(found.sentence) == "a:* + 2.5 k keys; all keys + 2.5 k keys."


def test_the_row_of_all_other_namespaces_is_not_compared() -> None:
    found = compare(report(row(OTHER, 10, 10)), report(row(OTHER, 500, 500), row("a:*", 1, 1)))
    assert [one.name for one in found.namespaces] == ["a:*"]


def test_types_come_most_first_and_ttl_buckets_in_their_order() -> None:
    def groups(**keys: int) -> tuple[Group, ...]:
        return tuple(Group(name, exactly(number), exactly(number * 10)) for name, number in keys.items())

    before = Report(0.0, types=groups(string=5, hash=5), ttl=groups(short=5, long=9))
    after = Report(1.0, types=groups(string=6, hash=50, zset=1), ttl=groups(short=6, long=90))
    found = compare(before, after)
    assert [(one.name, one.keys.delta.value) for one in found.types] == [("hash", 45), ("string", 1), ("zset", 1)]
    assert [one.name for one in found.ttl] == ["short", "long"]


def test_more_changes_than_the_sentence_names_are_counted() -> None:
    after = report(*(row(f"n{number}:*", number, number * MB) for number in range(1, 8)))
    said = plain(compare(report(), after).sentence)
    assert said.startswith("n7:* + 7 MB, n6:* + 6 MB, n5:* + 5 MB, and 4 more namespaces")
