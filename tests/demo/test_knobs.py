"""What can be turned at run time, and what is refused with a sentence."""

from __future__ import annotations

import math

import pytest

from dashboard.demo.knobs import PATTERNS, PREVENTIONS, BadKnob, Knobs


def test_only_what_is_named_is_turned() -> None:
    turned = Knobs().turned({"pattern": "write-behind", "latency_ms": 5})
    assert turned == Knobs(pattern="write-behind", latency_ms=5.0)
    assert Knobs().turned({}) == Knobs()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("prevention", PREVENTIONS)
def test_every_pattern_goes_with_every_prevention_and_survives_json(pattern: str, prevention: str) -> None:
    turned = Knobs().turned({"pattern": pattern, "prevention": prevention})
    assert Knobs().turned(turned.to_plain()) == turned


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"pattern": "write-around"}, "pattern must be one of cache-aside"),
        ({"pattern": None}, "pattern must be one of"),
        ({"prevention": ["mutex"]}, "prevention must be one of none"),
        ({"jitter": 1}, "jitter must be true or false"),
        ({"copies": "yes"}, "copies must be true or false"),
        ({"latency_ms": -1}, "latency_ms must be a number from 0 to 1000"),
        ({"latency_ms": True}, "latency_ms must be a number"),
        ({"latency_ms": math.nan}, "latency_ms must be a number"),
        ({"ttl_scale": 0}, "ttl_scale must be a number from 0.001 to 10"),
        ({"ttl_scale": 10**400}, "ttl_scale must be a number"),
        ({"colour": "red"}, "there is no knob colour"),
        ([], "the knobs must be a JSON object"),
        (None, "the knobs must be a JSON object"),
    ],
)
def test_what_cannot_be_turned_is_refused_with_a_sentence(wanted: object, says: str) -> None:
    with pytest.raises(BadKnob, match=says):
        Knobs().turned(wanted)
