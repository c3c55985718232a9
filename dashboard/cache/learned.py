"""Parts of key names that must vary because there are so many of them: user names, slugs, words. Pure.

fold.py knows what varies by its looks; `user:alice:cart` it cannot know. Once there are hundreds of such
children below one prefix, each with a handful of keys, they are one namespace, `user:*:cart`.
"""

from __future__ import annotations

from collections import defaultdict

MANY = 200  # children below one prefix
FEW_KEYS = 16  # of a child that is no namespace of its own
ENOUGH_KEYS = 20_000  # seen before anything is learned: by then a namespace of a per mille has twenty
FIRST_AT = 1024  # rows from which learning is worth its time

Parts = tuple[bytes, ...]


class Learned:
    """What was learned on one server so far."""

    def __init__(self, separator: bytes) -> None:
        self._separator = separator
        self._folded: set[Parts] = set()  # prefixes whose children vary
        self._kept: set[Parts] = set()  # children of these that are namespaces of their own all the same
        self.worth_at = FIRST_AT
        """How many rows there must be for `learn` to be worth its time, ENOUGH_KEYS provided."""

    def fold(self, name: bytes) -> bytes:
        """A name with the parts folded that were learned to vary."""
        if not self._folded:
            return name
        parts = name.split(self._separator)
        for depth in range(len(parts)):
            prefix = tuple(parts[:depth])
            if prefix in self._folded and (*prefix, parts[depth]) not in self._kept:
                parts[depth] = b"*"
        return self._separator.join(parts)

    def learn(self, keys: dict[bytes, int], visited: int) -> dict[bytes, bytes]:
        """From the keys of each row: old name -> new name of rows that are to be joined."""
        if visited < ENOUGH_KEYS:
            return {}
        names: dict[bytes, Parts] = {name: tuple(name.split(self._separator)) for name in keys}
        for depth in range(max(map(len, names.values()), default=0)):
            self._learn_at(depth, names, keys)
        joined = {name: self._separator.join(parts) for name, parts in names.items()}
        renamed = {name: new for name, new in joined.items() if new != name}
        self.worth_at = max(FIRST_AT, 2 * (len(keys) - len(renamed)))
        return renamed

    def _learn_at(self, depth: int, names: dict[bytes, Parts], keys: dict[bytes, int]) -> None:
        children: dict[Parts, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
        for name, parts in names.items():
            if len(parts) > depth:
                children[parts[:depth]][parts[depth]] += keys[name]
        for prefix, sizes in children.items():
            small = {part for part, size in sizes.items() if size <= FEW_KEYS and part != b"*"}
            if len(small) > MANY:
                self._folded.add(prefix)
                self._kept |= {(*prefix, part) for part in sizes if part not in small}
        for name, parts in names.items():
            if len(parts) > depth and parts[:depth] in self._folded and parts[: depth + 1] not in self._kept:
                names[name] = (*parts[:depth], b"*", *parts[depth + 1 :])
