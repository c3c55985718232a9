"""What a form says of one of its fields."""

from __future__ import annotations


class BadField(ValueError):
    """A field that says nothing sensible: its name, and a sentence for the operator."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.sentence = sentence
