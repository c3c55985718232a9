"""The copies of a process: few, for a short time, and dropped by key, by tag, or all at once."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.demo.copies import COPY_SECONDS, MOST_COPIES, Copies


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_copy_is_there_for_its_time() -> None:
    clock = Clock()
    copies = Copies(clock)
    copies.put("a", {"id": 1})
    assert copies.get("a") == {"id": 1}
    clock.now += COPY_SECONDS
    assert copies.get("a") is None


def test_they_are_dropped_by_key_by_tag_and_all_at_once() -> None:
    copies = Copies()
    for number in range(4):
        copies.put(f"p:{number}", {"id": number}, [f"category:{number % 2}"])
    assert copies.drop(["p:0", "p:9"]) == 1
    assert copies.drop_tagged(["category:0", "category:7"]) == 1
    assert [copies.get(f"p:{number}") is not None for number in range(4)] == [False, True, False, True]
    assert copies.clear() == 2
    assert copies.clear() == 0


def test_there_are_never_more_than_a_few() -> None:
    copies = Copies()
    for number in range(MOST_COPIES + 10):
        copies.put(f"p:{number}", {"id": number})
    assert copies.clear() == MOST_COPIES
