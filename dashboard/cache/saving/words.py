"""What a measured saving means, in sentences: whether it is worth it, and what one gives up for it. Pure."""

from __future__ import annotations

from dashboard.cache.saving.report import LEAST_SAMPLE, NOTICEABLE, VALUE_LIMIT, Saving, Way
from dashboard.cache.wording import NARROW, count, number_of, percent, size


def verdict(saving: Saving) -> str:
    """The one sentence that answers: does it save, how much, and on how many keys that was measured."""
    if saving.strings is None or saving.hashes is None:
        if saving.stage:
            return f"Being measured: {saving.stage}."
        if saving.sampled < LEAST_SAMPLE:
            return f"{number_of(saving.sampled, 'string key')} found: too few to measure anything."
        return "Not measured to the end."
    before, after = saving.per_key(saving.strings) or 0.0, saving.per_key(saving.hashes) or 0.0
    measured = f"measured with {_exact(saving.sampled)} keys"
    taken = f"{size(after)} for each key in a hash, {size(before)} as a string"
    share, gain = saving.share(saving.hashes) or 0.0, saving.gain(saving.hashes)
    if not saving.saves:
        how = "It would cost more" if share < 0 else "It would save next to nothing" if share < NOTICEABLE / 5 else None
        how = how or f"It would save {percent(share)}, which is hardly worth a change"
        return f"Hashes do not save here. {how}: {taken}, {measured}."
    about = "" if gain is None or gain.exact else "about "
    whole = f", {about}{size(gain.value)} of the whole namespace" if gain and gain.value >= 1 else ""
    return f"Hashes would save {percent(share)}{whole}: {taken}, {measured}."


def verdict_of_timed(saving: Saving) -> str:
    """The same for hashes whose fields have TTLs of their own; "" where that was not measured."""
    share = saving.share(saving.timed)
    if saving.timed is None or share is None:
        return ""
    each = size(saving.per_key(saving.timed) or 0.0)
    if share >= NOTICEABLE:
        return f"With a TTL on each field they would still save {percent(share)} ({each} for each key)."
    why = "" if saving.timed.compact else ": fields with TTLs make a table of a hash"
    return f"With a TTL on each field nothing is left of that ({each} for each key){why}."


def losses(saving: Saving) -> tuple[str, ...]:
    """What one gives up or has to heed, most important first."""
    told = "" if saving.told else "; the defaults, as this server does not tell its own"
    compact = (
        f"A hash is compact up to {count(saving.entries)} fields of at most {saving.value} bytes "
        f"(hash-max-listpack-entries and -value{told}). Beyond that it becomes a table, which takes much more."
    )
    eviction = (
        f"Eviction takes a whole hash of {count(saving.fields)} entries at once, and knows only when the hash was "
        "used last, not which of its fields."
    )
    program = (
        "The program changes: GET becomes HGET, SET becomes HSET, MGET works within one hash only, "
        "and DEL of one entry becomes HDEL."
    )
    slot = "In a cluster a hash lives in one slot: hot entries of one hash cannot be spread."
    return tuple(said for said in (_ttl(saving), _unfit(saving), compact, eviction, program, slot) if said)


def _unfit(saving: Saving) -> str:
    if not saving.unfit:
        return ""
    return (
        f"{_exact(saving.unfit)} of the {_exact(saving.sampled)} sampled values {'is' if saving.unfit == 1 else 'are'} "
        f"larger than {saving.value} bytes (hash-max-listpack-value): one such value makes a table of its whole hash."
    )


def basis(saving: Saving) -> tuple[str, ...]:
    """How far the figures can be relied on."""
    said = []
    if saving.by:
        said.append(f"Measured with {saving.by}; the cache runs {saving.managed or 'a server that does not tell'}.")
        if saving.by != saving.managed:
            said.append(
                "Another version or another allocator rounds differently, by some per cent; "
                "that small values save and large ones do not holds for all."
            )
    if saving.too_large:
        were = "was" if saving.too_large == 1 else "were"
        said.append(f"{number_of(saving.too_large, 'key')} with values over {size(VALUE_LIMIT)} {were} left out.")
    if saving.keys.value > saving.sampled and saving.sampled:
        said.append(
            f"The sample is {_exact(saving.sampled)} of about {count(saving.keys.value)} keys, "
            "in the order of SCAN, which is as good as random."
        )
    return tuple(said)


def held(way: Way | None) -> str:
    """How many keys there were, and how compact: `50 hashes, all compact`."""
    if way is None:
        return ""
    hashes = number_of(way.holders, "hash", "hashes")
    if way.compact == way.holders:
        return f"{hashes}, compact"
    return f"{hashes}, {'none' if not way.compact else count(way.compact)} of them compact"


def _ttl(saving: Saving) -> str:
    if not saving.with_ttl:
        return ""
    have = "All" if saving.with_ttl == saving.sampled else _exact(saving.with_ttl)
    keys = f"{have} of the {_exact(saving.sampled)} sampled keys have a TTL of their own"
    if saving.timed is not None and saving.fields_expire:
        return f"{keys}. A hash has one for all, unless each field gets its own (HPEXPIRE), which is the third line."
    if saving.timed is not None:
        return f"{keys}. A hash has one for all: this server knows no TTLs of fields (Redis 7.4 and Valkey 9.0 do)."
    return f"{keys}. A hash has one for all of its fields."


def _exact(number: int) -> str:
    return f"{number:,}".replace(",", NARROW)
