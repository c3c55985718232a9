"""Which commands only look. A cache declared read-only lets nothing else through its connections.

This is an allow-list on purpose: a command that a newer server brings is refused until somebody
has read what it does. EVAL is not on it, because a script can write; EVAL_RO and FCALL_RO are
checked by the server itself.
"""

from __future__ import annotations

from collections.abc import Sequence

LOOKS: frozenset[str] = frozenset(
    """
    ASKING AUTH HELLO PING ECHO QUIT RESET SELECT READONLY READWRITE INFO TIME DBSIZE LASTSAVE ROLE COMMAND
    SCAN RANDOMKEY EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME OBJECT DUMP KEYSIZES
    GET GETRANGE STRLEN MGET GETBIT BITCOUNT BITPOS SUBSTR LCS
    HGET HMGET HGETALL HSCAN HLEN HSTRLEN HEXISTS HTTL HPTTL HEXPIRETIME HPEXPIRETIME HRANDFIELD
    LLEN LRANGE LINDEX LPOS SCARD SMEMBERS SSCAN SISMEMBER SMISMEMBER SRANDMEMBER
    ZCARD ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZSCAN ZSCORE ZMSCORE ZRANK ZREVRANK ZCOUNT
    ZLEXCOUNT ZRANDMEMBER XLEN XRANGE XREVRANGE XINFO XPENDING PFCOUNT GEOPOS GEODIST GEOHASH
    EVAL_RO EVALSHA_RO FCALL_RO SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE MONITOR WAIT
    """.split()
)

# Containers whose subcommands differ: only these of them look.
LOOKING_SUBCOMMANDS: dict[str, frozenset[str]] = {
    "CONFIG": frozenset({"GET"}),
    "CLIENT": frozenset(
        {
            "SETNAME",
            "GETNAME",
            "SETINFO",
            "ID",
            "INFO",
            "LIST",
            "NO-TOUCH",
            "NO-EVICT",
            "TRACKING",
            "TRACKINGINFO",
        }
        | {"GETREDIR", "CACHING", "REPLY", "MAINT_NOTIFICATIONS", "CAPA"}
    ),
    "CLUSTER": frozenset(
        {
            "SLOTS",
            "SHARDS",
            "NODES",
            "INFO",
            "MYID",
            "MYSHARDID",
            "KEYSLOT",
            "COUNTKEYSINSLOT",
            "GETKEYSINSLOT",
        }
        | {"LINKS", "REPLICAS", "SLOT-STATS"}
    ),
    "MEMORY": frozenset({"USAGE", "STATS", "DOCTOR", "MALLOC-STATS"}),
    "LATENCY": frozenset({"LATEST", "HISTORY", "HISTOGRAM", "DOCTOR", "GRAPH"}),
    "SLOWLOG": frozenset({"GET", "LEN"}),
    "COMMANDLOG": frozenset({"GET", "LEN"}),
    "ACL": frozenset({"WHOAMI", "DRYRUN", "CAT"}),
    "PUBSUB": frozenset({"CHANNELS", "NUMSUB", "NUMPAT", "SHARDCHANNELS", "SHARDNUMSUB"}),
    "MODULE": frozenset({"LIST"}),
    "SCRIPT": frozenset({"EXISTS"}),
    "SENTINEL": frozenset({"MASTERS", "MASTER", "REPLICAS", "SLAVES", "SENTINELS", "GET-MASTER-ADDR-BY-NAME", "MYID"}),
}


def only_looks(arguments: Sequence[object]) -> bool:
    """Whether a command, given as its arguments in the order they are sent, changes nothing.

    The name may come as one word (`GET`), as two (`CONFIG`, `GET`) or joined (`CONFIG GET`), in
    any case, as str or bytes.
    """
    if not arguments:
        return False
    words = _word(arguments[0]).split()
    if not words:
        return False
    name = words[0]
    if name in LOOKS:
        return True
    subcommands = LOOKING_SUBCOMMANDS.get(name)
    if subcommands is None:
        return False
    if len(words) == 1 and len(arguments) > 1:
        words.append(_word(arguments[1]))
    return len(words) > 1 and words[1] in subcommands


def command_name(arguments: Sequence[object]) -> str:
    """The command as an operator would write it, without its arguments: `DEL`, `CONFIG SET`."""
    name = _word(arguments[0]) if arguments else ""
    if name in LOOKING_SUBCOMMANDS and len(arguments) > 1:
        return f"{name} {_word(arguments[1])}"
    return name


def _word(argument: object) -> str:
    if isinstance(argument, bytes):
        return argument.decode("ascii", "replace").upper()
    return str(argument).upper()
