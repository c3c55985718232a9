"""Every error of a server becomes one sentence that says what happened, and advice that says what to do."""

from __future__ import annotations

import inspect
import re
import socket
import ssl

import pytest
import redis.exceptions as problems
from redis._parsers.base import BaseParser

from dashboard.cache import errors
from dashboard.cache.errors import CacheError, Denied, ServerError, translate, translating

FAMILY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CacheError)]

# The replies as the servers write them (Valkey 9, Redis 6.2 to 8), before redis-py takes them apart.
REPLIES = [
    ("LOADING Valkey is loading the dataset in memory", errors.Loading, "loading its data set"),
    (
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        errors.WritesStopped,
        "could not save",
    ),
    ("OOM command not allowed when used memory > 'maxmemory'.", errors.OutOfMemory, "out of memory"),
    ("READONLY You can't write against a read only replica.", errors.ReadOnlyReplica, "read-only replica"),
    ("BUSY Valkey is busy running a script. You can only call SCRIPT KILL.", errors.Busy, "busy running a script"),
    ("CLUSTERDOWN The cluster is down", errors.ClusterDown, "cluster shop is down"),
    ("CLUSTERDOWN Hash slot not served", errors.ClusterDown, "cluster shop is down"),
    ("TRYAGAIN Multiple keys request during rehashing of slot", errors.ClusterDown, "moving these keys"),
    (
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        errors.Unreachable,
        "lost its link to the primary",
    ),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", errors.WrongType, "another type"),
    ("WRONGPASS invalid username-password pair or user is disabled.", errors.WrongPassword, "refuses the user name"),
    ("NOAUTH Authentication required.", errors.WrongPassword, "wants a password and none is configured"),
    ("ERR max number of clients reached", errors.Busy, "maximum number of clients"),
    ("ERR invalid password", errors.WrongPassword, "refuses the user name"),
    ("ERR unknown command 'FOO', with args beginning with: ", errors.ServerError, "does not know"),
    ("ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP.", errors.ServerError, "does not know"),
    ("ERR something else", errors.ServerError, "answered: something else"),
]

DENIALS = [
    ("NOPERM User bob has no permissions to run the 'config|get' command", "CONFIG GET"),
    ("NOPERM this user has no permissions to run the 'get' command or its subcommand", "GET"),
    ("NOPERM No permissions to access a key", ""),
    ("NOPERM this user has no permissions to access one of the keys used as arguments", ""),
    ("NOPERM No permissions to access a channel", ""),
]


@pytest.mark.parametrize(("reply", "kind", "says"), REPLIES)
def test_a_reply_becomes_its_sentence(reply: str, kind: type[CacheError], says: str) -> None:
    found = translate(BaseParser.parse_error(reply), "shop")
    assert type(found) is kind
    assert says in found.sentence
    assert "shop" in found.sentence or kind is errors.WrongType


@pytest.mark.parametrize(("reply", "command"), DENIALS)
def test_a_denial_names_the_command(reply: str, command: str) -> None:
    found = translate(BaseParser.parse_error(reply), "shop")
    assert isinstance(found, Denied)
    assert found.command == command
    assert command in found.sentence
    if "key" in reply:
        assert "no permission for this key" in found.sentence


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (problems.TimeoutError("Timeout reading from socket"), errors.TimedOut),
        (TimeoutError(), errors.TimedOut),
        (problems.ConnectionError("Error 111 connecting"), errors.Unreachable),
        (ConnectionRefusedError(111, "refused"), errors.Unreachable),
        (socket.gaierror(-2, "Name or service not known"), errors.Unreachable),
        (problems.RedisClusterException("SORT - all keys must map to the same key slot"), errors.ServerError),
        (problems.SlotNotCoveredError("slot 1"), errors.ClusterDown),
        (problems.MaxConnectionsError("Too many connections"), errors.Busy),
        (problems.InvalidResponse("Protocol Error: b'HTTP/1.1'"), errors.ServerError),
        (problems.DataError("Invalid input"), errors.ServerError),
    ],
)
def test_a_failure_of_the_connection_becomes_its_sentence(error: Exception, kind: type[CacheError]) -> None:
    found = translate(error, "shop")
    assert type(found) is kind
    assert "shop" in found.sentence


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (problems.ConnectionError("Error 111"), errors.Unreachable),
        (problems.TimeoutError("Timeout"), errors.TimedOut),
        (problems.AuthenticationError("invalid username-password pair"), errors.WrongPassword),
        (problems.BusyLoadingError("Redis is loading"), errors.Loading),
    ],
)
def test_what_keeps_a_cluster_from_being_entered_is_said(inner: Exception, kind: type[CacheError]) -> None:
    error = problems.RedisClusterException("Redis Cluster cannot be connected.")
    error.__cause__ = inner
    assert type(translate(error, "shop")) is kind


def test_a_certificate_that_is_not_trusted_is_said() -> None:
    error = problems.ConnectionError("Error 1 connecting to h:6380.")
    error.__context__ = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    found = translate(error, "shop")
    assert isinstance(found, errors.Unreachable)
    assert "certificate" in found.sentence
    assert "tls_ca" in found.advice


@pytest.mark.parametrize(("reply", "says"), [(reply, says) for reply, _, says in REPLIES] + DENIALS)
def test_each_is_one_sentence_with_advice(reply: str, says: str) -> None:
    found = translate(BaseParser.parse_error(reply), "shop")
    assert re.fullmatch(r"[^\n]+", found.sentence)
    assert str(found) == found.sentence
    assert re.fullmatch(r"[A-Z][^\n]+\.", found.advice)


@pytest.mark.parametrize("kind", FAMILY)
def test_every_member_of_the_family_advises(kind: type[CacheError]) -> None:
    assert kind is CacheError or kind.advice.endswith(".")


@pytest.mark.parametrize("name", ["AUTH", "HELLO"])
def test_a_server_that_echoes_a_command_it_does_not_know_gives_no_password_away(name: str) -> None:
    reply = f"ERR unknown command '{name}', with args beginning with: 'bob' 'hunter2' "
    found = translate(BaseParser.parse_error(reply), "shop")
    assert name in found.sentence
    assert "hunter2" not in found.sentence + found.advice


def test_a_long_reply_is_cut() -> None:
    found = translate(BaseParser.parse_error("ERR " + "x" * 5000), "shop")
    assert isinstance(found, ServerError)
    assert len(found.sentence) < 300


def test_only_what_a_server_or_a_socket_did_is_translated() -> None:
    own = errors.ReadOnlyCache("Declared read-only.")
    with pytest.raises(CacheError) as caught, translating("shop"):
        raise own
    assert caught.value is own
    with pytest.raises(KeyError), translating("shop"):
        raise KeyError
    with pytest.raises(errors.ServerError, match="cannot be understood"), translating("shop"):
        int("redis-py makes a number of DBSIZE's answer")
    with pytest.raises(errors.TimedOut) as timed_out, translating("shop"):
        raise problems.TimeoutError("read")
    assert isinstance(timed_out.value.__cause__, problems.TimeoutError)
