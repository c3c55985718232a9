"""Parts of key names that must vary because there are so many of them: user names, slugs, words. Pure.

fold.py knows what varies by its looks; `user:alice:cart` it cannot know. Once there are many such children
below one prefix, each with a handful of keys, they are one namespace, `user:*:cart`. Children are compared with
those only that have as many parts after them: that thousands of binary keys have no separator at all says nothing
about `export` in `export:report:42`.
"""

from __future__ import annotations

from collections import defaultdict

MANY = 100  # children below one prefix
FEW_KEYS = 16  # of a child that is no namespace of its own,
FEW_SHARE = 0.005  # or so much of what lies below the prefix: `user:anna42` and its like have a hundred keys
ENOUGH_KEYS = 20_000  # seen before anything is learned in mid-walk: by then a namespace of a per mille has twenty
FIRST_AT = 1024  # rows from which learning in mid-walk is worth its time
MOST_KNOWN = 50_000  # parts that are remembered to vary

Parts = tuple[bytes, ...]


class Learned:
    """What was learned on one server so far."""

    def __init__(self, separator: bytes) -> None:
        self._separator = separator
        self._folded: set[tuple[Parts, int]] = set()  # prefixes whose children with so many parts after them vary
        self._kept: set[Parts] = set()  # children of these that are namespaces of their own all the same
        self._varying: set[Parts] = set()  # children that vary, whatever comes after them
        self.worth_at = FIRST_AT
        """How many rows there must be for `learn` to be worth its time, ENOUGH_KEYS provided."""

    def fold(self, name: bytes) -> bytes:
        """A name with the parts folded that were learned to vary."""
        if not self._folded:
            return name
        parts = tuple(name.split(self._separator))
        for depth in range(len(parts)):
            if self._varies(parts, depth):
                parts = _with_star(parts, depth)
        return self._separator.join(parts)

    def _varies(self, parts: Parts, depth: int) -> bool:
        child = parts[: depth + 1]
        if child in self._varying:
            return True
        return (parts[:depth], len(parts) - depth - 1) in self._folded and child not in self._kept

    def learn(self, keys: dict[bytes, int], visited: int, *, ended: bool = False) -> dict[bytes, bytes]:
        """From the keys of each row: old name -> new name of rows that are to be joined.

        ended: nothing more comes, so that few keys are few indeed.
        """
        if visited < ENOUGH_KEYS and not ended:
            return {}
        names: dict[bytes, Parts] = {name: tuple(name.split(self._separator)) for name in keys}
        for depth in range(max(map(len, names.values()), default=0)):
            self._learn_at(depth, names, keys)
        joined = {name: self._separator.join(parts) for name, parts in names.items()}
        renamed = {name: new for name, new in joined.items() if new != name}
        self.worth_at = max(FIRST_AT, 2 * (len(keys) - len(renamed)))
        return renamed

    def _learn_at(self, depth: int, names: dict[bytes, Parts], keys: dict[bytes, int]) -> None:
        children: dict[tuple[Parts, int], dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
        for name, parts in names.items():
            if len(parts) > depth:
                children[parts[:depth], len(parts) - depth - 1][parts[depth]] += keys[name]
        for (prefix, after), sizes in children.items():
            if sum(size <= FEW_KEYS for part, size in sizes.items() if part != b"*") <= MANY:
                continue
            few = max(FEW_KEYS, FEW_SHARE * sum(sizes.values()))
            self._folded.add((prefix, after))
            self._kept |= {(*prefix, part) for part, size in sizes.items() if size > few}
            if len(self._varying) < MOST_KNOWN:
                self._varying |= {(*prefix, part) for part, size in sizes.items() if size <= few}
        for name, parts in names.items():
            if len(parts) > depth and self._varies(parts, depth):
                names[name] = _with_star(parts, depth)


def _with_star(parts: Parts, depth: int) -> Parts:
    return (*parts[:depth], b"*", *parts[depth + 1 :])
