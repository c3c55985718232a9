"""What can go wrong with a managed server, each in one sentence for the operator.

redis-py's exceptions end here: everything in dashboard/cache runs inside `translating()`, so nobody
above this package ever sees one. A sentence says what happened, the advice what to do; neither
contains a password, a key's value or an exception's text from outside this family, except the
server's own error reply, which is shortened.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions as problems

REPLY_LIMIT = 200
CERTIFICATE_ADVICE = "Name the authority that signed it with tls_ca, and the server as its certificate names it."


class CacheError(Exception):
    """Base of the family. `sentence`: what happened. `advice`: what to do about it."""

    advice = ""

    def __init__(self, sentence: str, advice: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if advice is not None:
            self.advice = advice


class Unreachable(CacheError):
    advice = "Check that the server runs and that this machine can reach its address and port."


class TimedOut(CacheError):
    advice = "The server may be busy with a slow command, or the network is slow. It is tried again by itself."


class WrongPassword(CacheError):
    advice = "Correct the user name or password in CACHEDECK_CACHES (or the file it names) and restart Cachedeck."


class Denied(CacheError):
    """The user's ACL forbids a command. `command` is its name where the server told it."""

    advice = "Ask for this command to be allowed for Cachedeck's user (ACL SETUSER); everything else goes on."

    def __init__(self, sentence: str, command: str = "") -> None:
        super().__init__(sentence)
        self.command = command


class Loading(CacheError):
    advice = "It answers once its data set is loaded into memory; this page tries again by itself."


class OutOfMemory(CacheError):
    advice = "Raise maxmemory, choose a policy that evicts, or remove keys."


class ReadOnlyCache(CacheError):
    """Cachedeck's own refusal: the cache is declared read-only in its configuration."""

    advice = "Remove read_only from this cache's URL in CACHEDECK_CACHES if changes are wanted."


class ReadOnlyReplica(CacheError):
    advice = "This address is a replica. Point Cachedeck at the primary."


class WritesStopped(CacheError):
    advice = "Its last snapshot failed: look at its log and free disk space; it accepts writes after the next good one."


class Busy(CacheError):
    advice = "A script runs there. SCRIPT KILL on that server ends one that has not written anything."


class ClusterDown(CacheError):
    advice = "Some hash slots have no primary. Look at CLUSTER NODES; keys of the other slots may still be served."


class TooMany(CacheError):
    """An invalidation stopped by itself: there are more keys than it was planned and allowed for."""

    advice = "Make a new plan: it says how many there are now, and asks again whether that may be."


class Strained(CacheError):
    """A long walk ended by itself because the server's latency or memory got worse (watch.py)."""

    advice = (
        "What it has found so far stands. Start it again with a smaller share of the server's time, or on replicas."
    )


class WrongType(CacheError):
    advice = "The key was replaced by one of another type meanwhile. Load it again."


class ServerError(CacheError):
    advice = "This is the server's own answer."


_BY_PREFIX: tuple[tuple[str, type[CacheError], str], ...] = (
    ("LOADING", Loading, "{name} is loading its data set from disk."),
    ("MISCONF", WritesStopped, "{name} refuses writes because it could not save its data to disk (MISCONF)."),
    ("OOM", OutOfMemory, "{name} is out of memory (maxmemory reached) and refuses the command."),
    ("READONLY", ReadOnlyReplica, "{name} refuses writes: it is a read-only replica."),
    ("BUSY ", Busy, "{name} is busy running a script."),
    ("CLUSTERDOWN", ClusterDown, "The cluster {name} is down for these keys."),
    ("TRYAGAIN", ClusterDown, "The cluster {name} is moving these keys between its nodes."),
    ("MASTERDOWN", Unreachable, "{name} has lost its link to the primary and serves no stale data."),
    ("WRONGTYPE", WrongType, "The key has another type than expected."),
    ("WRONGPASS", WrongPassword, "{name} refuses the user name or password."),
    ("NOAUTH", WrongPassword, "{name} wants a password and none is configured."),
)

# What redis-py has a class for; of a reply's first word, which it strips, older releases leave only the class.
_BY_CLASS: tuple[tuple[type[Exception], type[CacheError], str], ...] = (
    # Who was sent on is told so only where that led nowhere.
    (problems.AskError, ClusterDown, "The cluster {name} is moving these keys between its nodes."),
    (problems.MasterDownError, Unreachable, "{name} has lost its link to the primary and serves no stale data."),
    (problems.ClusterDownError, ClusterDown, "The cluster {name} is down for these keys."),
    (problems.SlotNotCoveredError, ClusterDown, "No primary of the cluster {name} serves this key's slot."),
    (problems.BusyLoadingError, Loading, "{name} is loading its data set from disk."),
    (problems.ReadOnlyError, ReadOnlyReplica, "{name} refuses writes: it is a read-only replica."),
    (
        problems.OutOfMemoryError,
        OutOfMemory,
        "{name} is out of memory (maxmemory reached) and refuses the command.",
    ),
    (problems.AuthenticationError, WrongPassword, "{name} refuses the user name or password."),
    (problems.MaxConnectionsError, Busy, "All of Cachedeck's connections to {name} are in use."),
    (problems.TryAgainError, ClusterDown, "The cluster {name} is moving these keys between its nodes."),
    (problems.TimeoutError, TimedOut, "{name} did not answer within the time-out."),
    (TimeoutError, TimedOut, "{name} did not answer within the time-out."),
    (problems.ConnectionError, Unreachable, "{name} cannot be reached."),
    (OSError, Unreachable, "{name} cannot be reached."),
)


def translate(error: Exception, name: str) -> CacheError:
    """The member of the family for an exception of redis-py or of the socket; `name` is the cache's."""
    text = str(error)
    if isinstance(error, problems.NoPermissionError):
        return _denied(text, name)
    reply = f"{getattr(error, 'status_code', None) or ''} {text}".lstrip()
    known = next((row for row in _BY_PREFIX if reply.startswith(row[0])), None)
    if known is not None:
        return known[1](known[2].format(name=name))
    if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
        return Unreachable(f"{name} shows a TLS certificate that cannot be verified.", CERTIFICATE_ADVICE)
    if isinstance(error, problems.ConnectionError) and "max number of clients" in text:
        return Busy(f"{name} has reached its maximum number of clients.", "Close clients or raise maxclients.")
    for source, kind, sentence in _BY_CLASS:
        if isinstance(error, source):
            return kind(sentence.format(name=name))
    if isinstance(error, problems.RedisClusterException):
        return _of_cluster(error, name)
    return _in_its_words(text, name)


def _in_its_words(text: str, name: str) -> CacheError:
    if "while the cluster is down" in text:  # so it is said to a command within a script
        return ClusterDown(f"The cluster {name} is down for these keys.")
    # A server quotes the arguments of a command that it does not know, and AUTH's is the password.
    words = text.partition(", with args beginning with")[0][:REPLY_LIMIT]
    if "unknown command" in words.lower() or "unknown subcommand" in words.lower():
        return ServerError(f"{name} does not know this command: {words}")
    return ServerError(f"{name} answered: {words}")


def _of_cluster(error: Exception, name: str) -> CacheError:
    """redis-py wraps what the last of a cluster's nodes has said, and CLUSTER SLOTS refused once more."""
    cause = error.__cause__
    if isinstance(cause, problems.RedisClusterException):
        cause = cause.__context__
        if "cluster support disabled" in str(cause):
            return ServerError(f"{name} is no cluster: its server runs alone.", "Write its URL without +cluster.")
    if isinstance(cause, problems.RedisError | OSError):
        return translate(cause, name)
    return ServerError(f"The cluster {name} cannot run this command across its nodes.")


def _denied(text: str, name: str) -> Denied:
    found = re.search(r"run the '([^']+)' command|command '([^']+)'", text)
    command = (found.group(1) or found.group(2)).replace("|", " ").upper() if found else ""
    if "channel" in text and not command:
        return Denied(f"Cachedeck's user on {name} has no permission for this channel.")
    if "key" in text and not command:
        return Denied(f"Cachedeck's user on {name} has no permission for this key.")
    return Denied(f"Cachedeck's user on {name} may not run {command or 'this command'}.", command)


def checked(reply: Any, name: str) -> Any:
    """A reply as it is; raises the CacheError that it is, about the cache `name`."""
    if isinstance(reply, Exception):
        raise reply if isinstance(reply, CacheError) else translate(reply, name)
    return reply


@contextmanager
def translating(name: str) -> Iterator[None]:
    """Turn whatever redis-py or the socket raises inside the block into a CacheError about cache `name`."""
    try:
        yield
    except CacheError:
        raise
    except (problems.RedisError, problems.RedisClusterException, OSError) as error:
        raise translate(error, name) from error
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        # redis-py makes numbers and tables of some answers, and stumbles over what no server should say.
        raise ServerError(f"{name} answered something that cannot be understood.") from error
