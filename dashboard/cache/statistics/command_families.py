"""Commands by what they are for, so that a chart has ten lines and not two hundred. Pure.

The groups are those of the command reference (https://valkey.io/commands/), with reading and writing told apart, as
what fills a cache is another question than what it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

STRINGS, HASHES, LISTS, SETS, SORTED_SETS, STREAMS = (
    "string reads",
    "hash reads",
    "list reads",
    "set reads",
    "sorted set reads",
    "stream reads",
)
WRITES, KEYS, SCRIPTS, PUBSUB, CONNECTIONS, SERVER = (
    "writes",
    "keys",
    "scripts",
    "pub/sub",
    "connections",
    "server",
)
OTHER = "other"
"""Modules, and what is newer than this list."""

_WORDS: Mapping[str, str] = {
    STRINGS: """
        get mget getrange substr strlen lcs getbit bitcount bitpos bitfield_ro pfcount digest
    """,
    HASHES: """
        hget hmget hgetall hkeys hvals hlen hstrlen hexists hscan hrandfield httl hpttl hexpiretime hpexpiretime
    """,
    LISTS: "lrange lindex llen lpos",
    SETS: """
        smembers sismember smismember scard srandmember sscan sinter sunion sdiff sintercard
    """,
    SORTED_SETS: """
        zrange zrevrange zrangebyscore zrevrangebyscore zrangebylex zrevrangebylex zscore zmscore zrank zrevrank
        zcard zcount zlexcount zrandmember zscan zinter zunion zdiff zintercard geopos geodist geohash geosearch
        georadius_ro georadiusbymember_ro
    """,
    STREAMS: "xrange xrevrange xread xreadgroup xlen xinfo xpending",
    WRITES: """
        set setex psetex setnx mset msetnx msetex append setrange getset getdel getex delifeq delex incr incrby
        incrbyfloat decr decrby setbit bitop bitfield pfadd pfmerge hset hmset hsetnx hdel hincrby hincrbyfloat
        hexpire hpexpire hexpireat hpexpireat hpersist hgetdel hgetex hsetex lpush rpush lpushx rpushx lpop rpop
        lset lrem ltrim linsert lmove rpoplpush lmpop blpop brpop blmove brpoplpush blmpop sadd srem spop smove
        sinterstore sunionstore sdiffstore zadd zrem zincrby zpopmin zpopmax bzpopmin bzpopmax zmpop bzmpop
        zrangestore zinterstore zunionstore zdiffstore zremrangebyrank zremrangebyscore zremrangebylex geoadd
        geosearchstore georadius georadiusbymember xadd xdel xdelex xtrim xack xackdel xclaim xautoclaim xgroup
        xsetid
    """,
    KEYS: """
        del unlink exists expire pexpire expireat pexpireat expiretime pexpiretime ttl pttl persist type touch
        rename renamenx copy move dump restore restore-asking migrate scan clusterscan keys randomkey object sort
        sort_ro
    """,
    SCRIPTS: "eval eval_ro evalsha evalsha_ro fcall fcall_ro script function",
    PUBSUB: """
        publish spublish subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe pubsub
    """,
    CONNECTIONS: """
        ping echo auth hello select client quit reset multi exec discard watch unwatch asking readonly readwrite
        wait waitaof
    """,
    SERVER: """
        info config command dbsize time slowlog commandlog latency memory debug monitor role lastsave acl module
        cluster save bgsave bgrewriteaof flushdb flushall shutdown swapdb replicaof slaveof replconf psync sync
        failover lolwut sentinel
    """,
}
_FAMILIES: Mapping[str, str] = {word: family for family, words in _WORDS.items() for word in words.split()}
FAMILIES: tuple[str, ...] = (*_WORDS, OTHER)

# What Cachedeck itself sends to look round: SCAN and scripts of the walks (sent as EVAL, where applications that
# care use EVALSHA), what a key's page and the age of evicted keys ask for, and what any client says of itself.
_OURS = frozenset(
    "scan eval eval_ro pttl type randomkey object|encoding object|idletime object|freq memory|usage dump".split()
)


def family(command: str) -> str:
    """Of a command as INFO commandstats names it, "get" or "config|get"."""
    return _FAMILIES.get(command.partition("|")[0].lower(), OTHER)


def of_applications(command: str) -> bool:
    """Whether latency of it is an application's: no looking round, no administration, no connection's own business."""
    return command not in _OURS and family(command) not in (CONNECTIONS, SERVER)


def by_family(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Sums of (command, amount), the families in their order, without those of which there is nothing."""
    sums = dict.fromkeys(FAMILIES, 0.0)
    for command, amount in amounts:
        sums[family(command)] += amount
    return {name: amount for name, amount in sums.items() if amount}
