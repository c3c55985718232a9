"""The copies of a process: few, for a short time, and never one that was out of date when it was kept."""

from __future__ import annotations

import threading

import pytest

from dashboard.demo.caching.copies import COPY_SECONDS, MOST_COPIES, MOST_REMEMBERED, Copies
from tests.demo.table import Clock


@pytest.fixture
def copies() -> Copies:
    found = Copies(Clock())
    found.open()
    return found


def keep(copies: Copies, key: str, *tags: str, number: int = 1) -> None:
    assert copies.put(key, {"id": number}, copies.ticket(), tags=tags)


def test_a_copy_is_there_for_its_time() -> None:
    clock = Clock()
    copies = Copies(clock)
    copies.open()
    keep(copies, "a")
    clock.now += COPY_SECONDS - 0.01
    assert copies.get("a") == {"id": 1}
    clock.now += 0.02
    assert copies.get("a") is None


def test_they_are_dropped_by_key_by_tag_and_all_at_once(copies: Copies) -> None:
    for number in range(4):
        keep(copies, f"p:{number}", f"category:{number % 2}")
    assert copies.drop(["p:0", "p:9"]) == 1
    assert copies.drop_tagged(["category:0", "category:7"]) == 1
    assert [copies.get(f"p:{number}") is not None for number in range(4)] == [False, True, False, True]
    assert copies.clear() == 2
    assert copies.clear() == 0


def test_there_are_never_more_than_a_few_and_the_least_used_make_room(copies: Copies) -> None:
    for number in range(MOST_COPIES):
        keep(copies, f"p:{number}")
    assert copies.get("p:0") is not None
    for number in range(MOST_COPIES, MOST_COPIES + 10):
        keep(copies, f"p:{number}")
    assert len(copies) == MOST_COPIES
    assert (copies.get("p:0"), copies.get("p:1")) == ({"id": 1}, None)


def test_what_was_read_before_its_row_was_told_to_have_changed_is_not_kept(copies: Copies) -> None:
    ticket = copies.ticket()
    copies.drop(["a"])
    assert not copies.put("a", {"id": 1}, ticket)
    assert copies.get("a") is None
    assert copies.put("b", {"id": 1}, ticket), "another row's change is none of its business"
    assert copies.put("a", {"id": 2}, copies.ticket())


@pytest.mark.parametrize("told", ["drop_tagged", "clear", "close and open"])
def test_nor_what_was_read_before_it_was_told_of_more_than_single_keys(copies: Copies, told: str) -> None:
    ticket = copies.ticket()
    if told == "drop_tagged":
        copies.drop_tagged(["category:books"])
    elif told == "clear":
        copies.clear()
    else:
        copies.close()
        copies.open()
    assert not copies.put("a", {"id": 1}, ticket)
    assert copies.put("a", {"id": 1}, copies.ticket())


def test_nor_where_so_much_was_told_since_that_nobody_knows_of_what(copies: Copies) -> None:
    ticket = copies.ticket()
    copies.drop(["a"])
    copies.drop([f"other:{number}" for number in range(MOST_REMEMBERED)])
    assert not copies.put("a", {"id": 1}, ticket)
    assert not copies.put("b", {"id": 1}, ticket), "it may have been among them"
    assert copies.put("a", {"id": 1}, copies.ticket())


def test_closed_they_neither_serve_nor_keep_any() -> None:
    copies = Copies()
    assert not copies.is_open
    assert not copies.put("a", {"id": 1}, copies.ticket())
    copies.open()
    assert (copies.is_open, copies.get("a")) == (True, None)
    keep(copies, "a")
    copies.close()
    assert (copies.is_open, copies.get("a"), len(copies)) == (False, None, 0)
    copies.open()
    assert copies.get("a") is None


def test_no_thread_keeps_what_another_has_dropped(copies: Copies) -> None:
    """A row of which the readers know the version, and one who changes it: none sees an older one afterwards."""
    row = {"version": 0}
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            floor = acknowledged[0]
            found = copies.get("a")
            if found is None:
                ticket = copies.ticket()
                found = dict(row)
                copies.put("a", found, ticket)
            seen.append((floor, found["version"]))

    acknowledged = [0]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version in range(1, 3000):
        row["version"] = version
        copies.drop(["a"])
        acknowledged[0] = version
    done.set()
    for reader in readers:
        reader.join()
    assert all(version >= floor for floor, version in seen)
