"""What an analysis may ask on a server, and what it leaves out there."""

from __future__ import annotations

from dashboard.cache.analysis import design
from dashboard.cache.analysis.sums import Question
from dashboard.cache.errors import CacheError, Denied
from dashboard.cache.reading.keys import keeps_frequency
from dashboard.cache.selecting.selection import Selection
from dashboard.cache.selecting.ttl_rules import Rule
from dashboard.cache.servers.capability import Capabilities
from dashboard.cache.servers.connect import Cache
from dashboard.cache.values.script import scripting

ALL_ASKED = 100_000  # keys up to which OBJECT is asked for each; beyond, for one in SOME_ASKED
SOME_ASKED = 32
TYPELESS_MODULES = {"lua"}  # Valkey's scripting engine is one


def question_for(
    cache: Cache, selection: Selection, separator: bytes, rules: tuple[Rule, ...], capabilities: Capabilities
) -> Question:
    """All that this user may know of a key on this server. Raises Denied where the selection asks for more."""
    if not capabilities.can("SCAN"):
        raise Denied(f"{capabilities.why_not('SCAN')}, so no keys can be found.", "SCAN")
    for command, condition in (("PTTL", selection.ttl), ("MEMORY USAGE", selection.size)):
        if condition and not capabilities.can(command):
            raise Denied(f"{capabilities.why_not(command)}, so keys cannot be selected by it.", command)
    frequency = keeps_frequency(cache)
    return Question(
        selection=selection,
        separator=separator,
        rules=rules if capabilities.can("PTTL") else (),
        types=capabilities.can("TYPE"),
        ttls=capabilities.can("PTTL"),
        memory=capabilities.can("MEMORY USAGE"),
        object=capabilities.can("OBJECT"),
        activity="FREQ" if frequency else "IDLETIME",
        every=1 if _size_of(cache) <= ALL_ASKED else SOME_ASKED,
        typed=_six_types_only(cache, capabilities),
        lengths=capabilities.can("CLIENT NO-TOUCH"),  # HLEN and the like count as a use of the key
        long_name=design.LONG_NAME,
        large_value=design.LARGE_VALUE,
        many_members=design.MANY_MEMBERS,
    )


def _size_of(cache: Cache) -> int:
    """Keys of all primaries, as far as they tell."""
    total = 0
    for node in cache.primaries():
        try:
            total += int(cache.execute("DBSIZE", node=node))
        except CacheError:
            continue  # the walk says what is wrong with it
    return total


def used_memory(cache: Cache) -> int:
    """Bytes, of all primaries; 0 where one does not tell."""
    total = 0
    for node in cache.primaries():
        try:
            total += int(cache.execute("INFO", "memory", node=node).get("used_memory", 0))
        except CacheError:
            return 0
    return total


def _six_types_only(cache: Cache, capabilities: Capabilities) -> bool:
    """Whether a type can be told from six filtered SCANs, and cheaper so than by TYPE for each key.

    Not where modules may bring types of their own, nor before Redis 7.2, which filters after collecting.
    """
    if capabilities.product == "Redis" and not (7, 2) <= capabilities.release < (8,):
        return False
    if capabilities.product not in ("Redis", "Valkey"):
        return False
    try:
        modules = cache.execute("INFO", "modules", node=cache.primaries()[0])
    except CacheError:
        return False
    return {module.get("name") for module in modules.get("modules", [])} <= TYPELESS_MODULES


def missing_here(capabilities: Capabilities) -> list[str]:
    """Sentences about what this server does not tell."""
    effects = {
        "PTTL": "TTLs, the forecast, cliffs and rules are left out",
        "MEMORY USAGE": "memory is left out and namespaces are ranked by keys",
        "TYPE": "types are left out, but for what SCAN can tell",
        "OBJECT": "encodings and idle times are left out",
        "CLIENT NO-TOUCH": "members of collections are not counted, because asking would count as a use",
        "DBSIZE": "how many keys there are is not told, so nothing can be estimated before the end",
    }
    found = [
        f"{capabilities.why_not(command)}, so {effect}."
        for command, effect in effects.items()
        if not capabilities.can(command)
    ]
    if not scripting(capabilities):
        why = capabilities.why_not("EVAL_RO") or capabilities.why_not("EVAL")
        found.append(f"{why}, so keys are asked about by pipelines, which takes several times as long.")
    return found
