"""What a measured saving is said to mean: the plain truth in each case, also where hashes do not save."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.cache.estimate import Estimate
from dashboard.cache.saving.report import Saving, Way
from dashboard.cache.saving.words import basis, held, losses, verdict, verdict_of_timed
from dashboard.cache.wording import NARROW
from tests.kept import SAVES


def plain(text: str) -> str:
    return text.replace(NARROW, " ")


@pytest.mark.parametrize(
    ("hashes", "said"),
    [
        (200_000, "Hashes would save 60 %, 57.2 MB of the whole namespace: 40 B for each key in a hash, 100 B as a"),
        (485_000, "Hashes do not save here. It would save 3 %, which is hardly worth a change: 97 B"),
        (499_000, "Hashes do not save here. It would save next to nothing: 100 B"),
        (600_000, "Hashes do not save here. It would cost more: 120 B for each key in a hash, 100 B as a string"),
    ],
)
def test_the_verdict_is_plain(hashes: int, said: str) -> None:
    assert plain(verdict(replace(SAVES, hashes=Way(hashes, 50)))).startswith(said)


def test_a_count_that_is_an_estimate_makes_the_saving_one() -> None:
    found = replace(SAVES, keys=Estimate(1_000_000, 900_000, 1_100_000))
    assert "about 57.2 MB of the whole namespace" in plain(verdict(found))


def test_what_is_not_measured_yet_is_not_judged() -> None:
    assert verdict(Saving("a:*", stage="reading a sample")) == "Being measured: reading a sample."
    assert verdict(Saving("a:*", sampled=400)) == "Not measured to the end."
    assert verdict(Saving("a:*", sampled=1)) == "1 string key found: too few to measure anything."


def test_fields_with_ttls_have_a_verdict_of_their_own() -> None:
    assert verdict_of_timed(SAVES) == ""
    dear = verdict_of_timed(replace(SAVES, timed=Way(520_000, 50, 0)))
    assert plain(dear).startswith("With a TTL on each field nothing is left of that (104 B for each key): fields with")
    cheap = verdict_of_timed(replace(SAVES, timed=Way(300_000, 50, 50)))
    assert plain(cheap) == "With a TTL on each field they would still save 40 % (60 B for each key)."


def test_what_one_gives_up_depends_on_the_keys_and_on_the_server() -> None:
    assert not any("TTL" in one for one in losses(SAVES)), "none of the keys has one"
    timed = replace(SAVES, with_ttl=10, timed=Way(1, 1))
    assert "this server knows no TTLs of fields" in losses(timed)[0]
    assert "HPEXPIRE" in losses(replace(timed, fields_expire=True))[0]
    assert "the defaults" in " ".join(losses(SAVES))
    assert "the defaults" not in " ".join(losses(replace(SAVES, told=True)))
    assert "3 of the 5 000 sampled values are larger than 64 bytes" in plain(" ".join(losses(replace(SAVES, unfit=3))))


def test_what_it_was_measured_with_is_named_where_it_differs() -> None:
    assert "rounds differently" in " ".join(basis(SAVES))
    assert "rounds differently" not in " ".join(basis(replace(SAVES, managed=SAVES.by)))
    assert "1 key with values over 16 kB was left out." in plain(" ".join(basis(replace(SAVES, too_large=1))))


def test_how_compact_hashes_stayed_is_said() -> None:
    assert held(Way(1, 50, 50)) == "50 hashes, compact"
    assert held(Way(1, 50, 0)) == "50 hashes, none of them compact"
    assert held(Way(1, 1, 1)) == "1 hash, compact"
