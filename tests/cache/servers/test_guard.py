"""Only what looks passes the guard of a read-only cache, however the command is written."""

from __future__ import annotations

import pytest
import redis

from dashboard.cache.servers.guard import LOOKING_SUBCOMMANDS, LOOKS, command_name, only_looks
from tests.servers import Server

WRITES = """
    SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND INCR DECR INCRBY MSET MSETNX SETRANGE SETBIT BITOP BITFIELD
    DEL UNLINK EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RENAME RENAMENX MOVE COPY RESTORE MIGRATE SORT TOUCH
    HSET HDEL HINCRBY HEXPIRE HPERSIST HGETDEL HGETEX HSETEX LPUSH LPOP LREM LTRIM LMOVE BLPOP SADD SREM SPOP SMOVE
    SINTERSTORE ZADD ZREM ZPOPMIN ZRANGESTORE XADD XDEL XTRIM XACK XGROUP XREADGROUP XCLAIM PFADD PFMERGE GEOADD
    GEORADIUS EVAL EVALSHA FCALL FUNCTION PUBLISH SPUBLISH MULTI EXEC WATCH FLUSHALL FLUSHDB SWAPDB DEBUG SAVE BGSAVE
    BGREWRITEAOF SHUTDOWN REPLICAOF SLAVEOF FAILOVER PSYNC SYNC DELIFEQ
""".split()

WRITING_SUBCOMMANDS = """
    CONFIG.SET CONFIG.RESETSTAT CONFIG.REWRITE CLIENT.KILL CLIENT.PAUSE CLIENT.UNBLOCK MEMORY.PURGE LATENCY.RESET
    SLOWLOG.RESET SCRIPT.FLUSH SCRIPT.LOAD SCRIPT.KILL ACL.SETUSER ACL.DELUSER ACL.LOAD ACL.SAVE ACL.LOG CLUSTER.RESET
    CLUSTER.FAILOVER CLUSTER.MEET CLUSTER.FORGET CLUSTER.SETSLOT CLUSTER.ADDSLOTS CLUSTER.DELSLOTS CLUSTER.FLUSHSLOTS
    MODULE.LOAD MODULE.UNLOAD SENTINEL.FAILOVER SENTINEL.SET SENTINEL.RESET COMMANDLOG.RESET
""".split()


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_in_any_form(name: str) -> None:
    for form in (name, name.lower(), name.encode(), f" {name} "):
        assert not only_looks((form, "key", "value"))


@pytest.mark.parametrize("name", WRITING_SUBCOMMANDS)
def test_a_subcommand_that_changes_the_server_is_refused_in_any_form(name: str) -> None:
    container, sub = name.split(".")
    for form in ((container, sub), (f"{container} {sub}",), (container.encode(), sub.lower().encode(), b"x")):
        assert not only_looks(form)


@pytest.mark.parametrize(
    "command",
    [
        ("GET", b"k"),
        (b"get", b"k"),
        ("CONFIG", "GET", "*"),
        ("CONFIG GET", "*"),
        (b"config", b"get", b"*"),
        ("CLIENT", "NO-TOUCH", "ON"),
        ("SCAN", 0, "COUNT", 10),
        ("MEMORY USAGE", b"\xff"),
        ("INFO",),
    ],
)
def test_a_look_passes_in_any_form(command: tuple[object, ...]) -> None:
    assert only_looks(command)


@pytest.mark.parametrize(
    "command", [(), ("",), (" ",), ("CONFIG",), ("NOSUCH", "GET"), (b"\xff",), (None,), ("GET\x00SET",)]
)
def test_what_is_not_known_to_look_is_refused(command: tuple[object, ...]) -> None:
    assert not only_looks(command)


def test_a_refused_command_is_named_without_its_arguments() -> None:
    assert command_name(("set", "key", "secret")) == "SET"
    assert command_name((b"config", b"set", b"requirepass", b"secret")) == "CONFIG SET"
    assert command_name(()) == ""


def test_the_server_calls_none_of_them_a_write(valkey: Server) -> None:
    """Checked against the server's own flags, so that the list cannot be wrong about a command that it knows."""
    nested = [f"{name}|{sub}" for name, subs in LOOKING_SUBCOMMANDS.items() for sub in sorted(subs)]
    with valkey.client() as client:
        # Named in bytes, the reply comes as the server gave it: nothing for a command that it does not know.
        known = [facts for facts in client.execute_command(b"COMMAND", b"INFO", *sorted(LOOKS), *nested) if facts]
    assert len(known) > 100
    assert not [facts[0] for facts in known if b"write" in facts[2]]


def test_a_script_that_writes_is_refused_by_the_server_in_the_form_that_passes(valkey: Server) -> None:
    assert only_looks(("EVAL_RO", "return 1", 0))
    with valkey.client() as client:
        for call in (
            "redis.call('SET', 'k', '1')",
            "redis.call('PUBLISH', 'c', 'm')",
            "redis.call('CONFIG', 'SET', 'x', 1)",
        ):
            with pytest.raises(redis.ResponseError):
                client.execute_command("EVAL_RO", call, 0)
        assert client.dbsize() == 0
