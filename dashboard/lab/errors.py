"""What can go wrong with the demo, each in one sentence for the operator."""

from __future__ import annotations


class LabError(Exception):
    """Base of the family. `sentence`: what happened. `advice`: what to do about it. `status`: of our own answer."""

    advice = ""
    status = 502

    def __init__(self, sentence: str, advice: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if advice is not None:
            self.advice = advice


class DemoAway(LabError):
    """Nobody answers at its address, or not in time."""

    advice = "It may be starting. See that `cachedeck demo drive` runs and that CACHEDECK_DEMO_URL names its address."
    status = 503


class DemoRefused(LabError):
    """It understood and will not, in its own words; nothing was changed."""

    advice = "Nothing was changed."
    status = 409


class DemoStrange(LabError):
    """Something answers that is no bench of the demo, or one of another version."""

    advice = "See that CACHEDECK_DEMO_URL names the demo's bench and not another program."
