"""Sentences of an invalidation: each figure with how sure it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.cache.analysis.report import Report
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.invalidation.mode import Gently, Mode, Now, Paced, Stale
from dashboard.cache.invalidation.report import Counts, Effect, Plan, Undone
from dashboard.cache.walking.progress import Progress
from dashboard.views.invalidations.words import act, done, drift, effect, planned, predicted, receivers, subject, undone

EXACT = Plan(
    Progress(1_000_000, 1_000_000, elapsed=2.1, ended=True),
    Report(1_767_322_800.0, keys=exactly(10_212)),
    effect=Effect(0.041, 0.0102, Estimate(410, 380, 440), 12.0, "from samples"),
)
ROUGH = replace(
    EXACT,
    progress=Progress(50_000, 10_200_000, elapsed=0.4),
    report=Report(1_767_322_800.0, keys=Estimate(10_200, 9_600, 10_800)),
    effect=Effect(),
)


class TestWhatAModeWouldDo:
    @pytest.mark.parametrize(
        ("mode", "sentence"),
        [
            (Now(), ("10\u202f212 keys go as fast as the walk's budget allows; the walk alone took 2.1\u202fs. "
                    "Their readers miss at once: about 410 misses/s (380/s to 440/s) in the first minute.")),
            (Gently(300), ("34 keys/s expire, evenly over 5\u202fmin. "
                          "None lives longer than now: one that would expire sooner does.")),
            (Paced(500), "Takes 20\u202fs for 10\u202f212 keys."),
            (Paced(50_000), "No slower than at once: 50\u202f000 keys/s is more than the walk comes to."),
            (Stale(10), ("Readers get the old values for 10\u202fs more, then 10\u202f212 keys expire, within about "
                        "2.1\u202fs of each other.")),
        ],
    )  # fmt: skip
    def test_it_is_in_figures(self, mode: Mode, sentence: str) -> None:
        assert predicted(mode, EXACT) == sentence

    def test_an_estimate_says_about_and_has_its_interval(self) -> None:
        assert predicted(Gently(300), ROUGH).startswith("About 34 keys/s expire (32/s to 36/s), evenly")
        assert predicted(Paced(50), ROUGH).startswith("Takes about 3\u202fmin 24\u202fs (3\u202fmin 12\u202fs to ")
        # The walk itself is no faster: what was seen of it in 400 ms is the 204th part.
        assert predicted(Paced(500), ROUGH).startswith("No slower than at once")
        assert predicted(Now(), ROUGH) == (
            "About 10\u202f200 keys go as fast as the walk's budget allows; "
            "the walk alone takes about 1\u202fmin 22\u202fs."
        )

    def test_very_few_keys_are_no_round_zero(self) -> None:
        few = replace(EXACT, report=Report(0.0, keys=exactly(3)))
        assert predicted(Gently(3600), few).startswith("Hardly any key a second expires, evenly")

    @pytest.mark.parametrize(("mode", "verb"), [(Now(), "Remove"), (Paced(5), "Remove"), (Stale(5), "Expire")])
    def test_the_button_says_the_act(self, mode: Mode, verb: str) -> None:
        assert act(mode) == verb


class TestWhatItMeans:
    def test_it_says_shares_and_misses(self) -> None:
        assert subject(EXACT) == "10\u202f212 keys · 4.1\u202f% of the memory · 1\u202f% of all keys"
        assert effect(EXACT.effect) == (
            "at the current read rate about 410 misses/s (380/s to 440/s) in the first minute (now 12/s)."
        )

    def test_what_is_not_known_is_not_said(self) -> None:
        assert effect(Effect()) == ""
        assert subject(ROUGH) == "About 10\u202f200 keys"
        assert effect(Effect(misses=exactly(3))) == "at the current read rate about 3 misses/s in the first minute."
        nothing = replace(EXACT, report=Report(0.0))
        assert subject(nothing) == "No key is selected."

    def test_it_says_how_the_count_was_made(self) -> None:
        assert planned(EXACT) == "exact, walked in 2.1\u202fs"
        assert planned(ROUGH) == "estimated from 50\u202fk of 10.2\u202fM keys in 400\u202fms"
        assert planned(replace(ROUGH, progress=Progress())) == "nothing examined yet"


class TestDrift:
    @pytest.mark.parametrize(
        ("expected", "found", "sentence"),
        [
            (exactly(10_212), 10_230, "Planned 10\u202f212, found 10\u202f230: 18 more, which came or changed since."),
            (exactly(5), 5, "Planned 5, found 5: exactly as many."),
            (exactly(5), 3, "Planned 5, found 3: 2 fewer, which expired, were removed or changed since."),
            (Estimate(100, 80, 120), 90, "Planned about 100 (80 to 120), found 90: as estimated."),
            (Estimate(100, 80, 120), 121, "Planned about 100 (80 to 120), found 121: more than was estimated."),
            (Estimate(100, 80, 120), 79, "Planned about 100 (80 to 120), found 79: fewer than was estimated."),
        ],
    )
    def test_it_says_both_and_what_lies_between(self, expected: Estimate, found: int, sentence: str) -> None:
        assert drift(expected, found, True) == sentence

    def test_before_the_end_nothing_is_judged(self) -> None:
        assert drift(exactly(5), 3, False) == "Planned 5, found 3 so far."


class TestWhatWasDone:
    def test_removed_and_lowered(self) -> None:
        assert done(Counts(removed=2, memory=2048), Now(), True) == "2 keys were removed, 2\u202fkB freed."
        assert done(Counts(removed=1), Paced(5), False) == "1 key was removed so far."
        assert done(Counts(lowered=7), Gently(300), True) == "7 keys were spread over 5\u202fmin."
        assert done(Counts(lowered=7), Stale(10), True) == "7 keys were left to expire after 10\u202fs."

    def test_the_undo_names_what_it_left(self) -> None:
        found = Undone(Progress(), restored=100, retimed=2, newer=18, expired=1)
        assert undone(found, True) == (
            "102 keys are back; 18 were written since, left as they are; 1 would have expired by now."
        )
        assert undone(Undone(Progress(), restored=1), False) == "1 key is back so far."

    def test_receivers(self) -> None:
        assert receivers(Counts(), "c") == "No message on c."
        assert receivers(Counts(messages=1, receivers=3), "c") == "1 message on c, 3 receivers."
        assert receivers(Counts(messages=12, receivers=18), "c") == "12 messages on c, 1.5 receivers each."
        assert receivers(Counts(messages=12), "c") == "12 messages on c; nobody listened."


def test_an_undo_says_what_is_not_back_and_why() -> None:
    found = Undone(Progress(10, 10), restored=5, newer=1, refused={"No memory.": 2, "Bad payload.": 1}, unsure=1)
    assert undone(found, True) == (
        "5 keys are back; 1 was written since, left as it is; 3 were refused by the server; "
        "of 1 it is not known, as the server's answer was lost."
    )
