//! The rows: every command of Redis 7 and Valkey, and what newer servers have on top, each with what the client must know of it.
//!
//! `tests/command_table.rs` holds them against real servers: names, `readonly` flags, key positions and where the
//! server's tips send a command.

use crate::command::spec::{Admission, KeySpec, Spec, StoreOption};
use crate::command::{Merge, Route};

static ANY_PRIMARY: Route = Route::AnyPrimary;
static ALL_PRIMARIES: Route = Route::AllPrimaries;
static ALL_NODES: Route = Route::AllNodes;

/// The first argument.
const ONE: KeySpec = KeySpec::Range { first: 0, last: 0, step: 1 };
/// The second argument: behind a subcommand.
const SECOND: KeySpec = KeySpec::Range { first: 1, last: 1, step: 1 };
/// The first two.
const TWO: KeySpec = KeySpec::Range { first: 0, last: 1, step: 1 };
/// All.
const ALL: KeySpec = KeySpec::Range { first: 0, last: -1, step: 1 };
/// All but the first.
const FROM_SECOND: KeySpec = KeySpec::Range { first: 1, last: -1, step: 1 };
/// The first of each pair.
const PAIRS: KeySpec = KeySpec::Range { first: 0, last: -1, step: 2 };
/// A number, then the keys.
const COUNTED: KeySpec = KeySpec::Counted { at: 0, step: 1 };
/// A number, then pairs.
const COUNTED_PAIRS: KeySpec = KeySpec::Counted { at: 0, step: 2 };
/// A script or function, a number, then the keys.
const SCRIPT: KeySpec = KeySpec::Counted { at: 1, step: 1 };
/// A destination, a number, then the sources.
const STORE_COUNTED: KeySpec = KeySpec::FirstAndCounted { at: 1 };
/// A subcommand, then a slot's number.
const SLOT: KeySpec = KeySpec::SlotNumber { at: 1 };
const SORT: KeySpec = KeySpec::FirstAndStore(&StoreOption {
    from: 1,
    store: &["STORE"],
    skip: &[("BY", 1), ("GET", 1), ("LIMIT", 2)],
});
const GEORADIUS: KeySpec =
    KeySpec::FirstAndStore(&StoreOption { from: 4, store: &["STORE", "STOREDIST"], skip: &[("COUNT", 1)] });

// Why a command is refused. Each says what to use instead, where there is something.
const BLOCKING: &str = "it would hold up every command of this node while it waits; poll with the form that does not \
     block (LPOP, LMOVE, LMPOP, ZPOPMIN, ZMPOP)";
const CLOSES: &str = "it would end what all commands of this node share; drop the client instead";
const CONNECTION: &str = "it changes the connection that all commands of this node share, and would be forgotten with it; \
     what a connection starts with is set in Config";
const DATABASE: &str = "all commands of this node share one connection, and it stays in database 0";
const REDIRECTS: &str = "the client sends it itself, where a redirect asks for it";
const STREAM: &str = "what follows it is not one reply, and all commands of this node share the connection";
const REPLY: &str = "the client counts on one reply per command";
const SENTINEL: &str = "it is for a Sentinel, and the nodes of a cluster are none";
const SUBSCRIBE: &str =
    "a subscription takes a connection over, and all commands of this node share this one";
const TRACKING: &str =
    "invalidation messages would come to a connection that all commands of this node share";
const TRANSACTION: &str = "on a connection that others share it would swallow their commands; a script (EVAL) over keys of \
     one slot is atomic";
const WAIT: &str = "it is about the writes of its own connection, which all commands of this node share, and would hold \
     them up while it waits";

// Why a command needs a route.
const CURSOR: &str = "its cursor means something to one node only; give each page .route(Route::Node(…)) of the node that \
     it walks";
const ONE_NODE: &str = "it is meant for one node; name it with .route(Route::Node(…))";

/// By keys, and they may change.
const fn write(name: &'static str, keys: KeySpec) -> Spec {
    Spec {
        name,
        container: false,
        keys,
        read_only: false,
        route: &ANY_PRIMARY,
        group: None,
        merge: Merge::PerNode,
        admission: Admission::Open,
    }
}

/// By keys that stay as they are.
const fn read(name: &'static str, keys: KeySpec) -> Spec {
    reads(write(name, keys))
}

/// Changes nothing.
const fn reads(spec: Spec) -> Spec {
    Spec { read_only: true, ..spec }
}

/// May be split over slots, into groups of this many arguments.
const fn split(spec: Spec, group: usize, merge: Merge) -> Spec {
    Spec { group: Some(group), merge, ..spec }
}

/// No keys; any primary can answer.
const fn any(name: &'static str) -> Spec {
    write(name, KeySpec::None)
}

/// No keys; it concerns every primary.
const fn shards(name: &'static str, merge: Merge) -> Spec {
    Spec { route: &ALL_PRIMARIES, merge, ..any(name) }
}

/// No keys; it concerns every node, replicas too.
const fn nodes(name: &'static str, merge: Merge) -> Spec {
    Spec { route: &ALL_NODES, merge, ..any(name) }
}

/// No keys; only the caller can say where.
const fn routed(name: &'static str, why: &'static str) -> Spec {
    Spec { admission: Admission::NeedsRoute(why), ..any(name) }
}

/// Not on a connection that is shared.
const fn refused(name: &'static str, why: &'static str) -> Spec {
    Spec { admission: Admission::Refused(why), ..any(name) }
}

/// Its subcommands have rows of their own.
const fn container(name: &'static str) -> Spec {
    Spec { container: true, ..any(name) }
}

/// Sorted by name; a test sees to that.
pub(crate) static TABLE: &[Spec] = &[
    container("ACL"),
    any("ACL CAT"),
    nodes("ACL DELUSER", Merge::First),
    any("ACL DRYRUN"),
    any("ACL GENPASS"),
    any("ACL GETUSER"),
    any("ACL HELP"),
    any("ACL LIST"),
    nodes("ACL LOAD", Merge::First),
    nodes("ACL LOG", Merge::PerNode),
    nodes("ACL SAVE", Merge::First),
    nodes("ACL SETUSER", Merge::First),
    any("ACL USERS"),
    any("ACL WHOAMI"),
    write("APPEND", ONE),
    refused("ASKING", REDIRECTS),
    refused("AUTH", CONNECTION),
    nodes("BGREWRITEAOF", Merge::PerNode),
    nodes("BGSAVE", Merge::PerNode),
    read("BITCOUNT", ONE),
    write("BITFIELD", ONE),
    read("BITFIELD_RO", ONE),
    write("BITOP", FROM_SECOND),
    read("BITPOS", ONE),
    refused("BLMOVE", BLOCKING),
    refused("BLMPOP", BLOCKING),
    refused("BLPOP", BLOCKING),
    refused("BRPOP", BLOCKING),
    refused("BRPOPLPUSH", BLOCKING),
    refused("BZMPOP", BLOCKING),
    refused("BZPOPMAX", BLOCKING),
    refused("BZPOPMIN", BLOCKING),
    container("CLIENT"),
    refused("CLIENT CACHING", TRACKING),
    refused("CLIENT CAPA", CONNECTION),
    any("CLIENT GETNAME"),
    any("CLIENT GETREDIR"),
    any("CLIENT HELP"),
    any("CLIENT ID"),
    refused("CLIENT IMPORT-SOURCE", CONNECTION),
    any("CLIENT INFO"),
    nodes("CLIENT KILL", Merge::PerNode),
    nodes("CLIENT LIST", Merge::PerNode),
    refused("CLIENT NO-EVICT", CONNECTION),
    refused("CLIENT NO-TOUCH", CONNECTION),
    routed("CLIENT PAUSE", ONE_NODE),
    refused("CLIENT REPLY", REPLY),
    refused("CLIENT SETINFO", CONNECTION),
    refused("CLIENT SETNAME", CONNECTION),
    refused("CLIENT TRACKING", TRACKING),
    any("CLIENT TRACKINGINFO"),
    routed("CLIENT UNBLOCK", ONE_NODE),
    routed("CLIENT UNPAUSE", ONE_NODE),
    container("CLUSTER"),
    routed("CLUSTER ADDSLOTS", ONE_NODE),
    routed("CLUSTER ADDSLOTSRANGE", ONE_NODE),
    routed("CLUSTER BUMPEPOCH", ONE_NODE),
    routed("CLUSTER CANCELSLOTMIGRATIONS", ONE_NODE),
    any("CLUSTER COUNT-FAILURE-REPORTS"),
    write("CLUSTER COUNTKEYSINSLOT", SLOT),
    routed("CLUSTER DELSLOTS", ONE_NODE),
    routed("CLUSTER DELSLOTSRANGE", ONE_NODE),
    routed("CLUSTER FAILOVER", ONE_NODE),
    routed("CLUSTER FLUSHSLOT", ONE_NODE),
    routed("CLUSTER FLUSHSLOTS", ONE_NODE),
    routed("CLUSTER FORGET", ONE_NODE),
    write("CLUSTER GETKEYSINSLOT", SLOT),
    routed("CLUSTER GETSLOTMIGRATIONS", ONE_NODE),
    any("CLUSTER HELP"),
    any("CLUSTER INFO"),
    any("CLUSTER KEYSLOT"),
    any("CLUSTER LINKS"),
    routed("CLUSTER MEET", ONE_NODE),
    routed("CLUSTER MIGRATESLOTS", ONE_NODE),
    routed("CLUSTER MIGRATION", ONE_NODE),
    any("CLUSTER MYID"),
    any("CLUSTER MYSHARDID"),
    any("CLUSTER NODES"),
    any("CLUSTER REPLICAS"),
    routed("CLUSTER REPLICATE", ONE_NODE),
    routed("CLUSTER RESET", ONE_NODE),
    routed("CLUSTER SAVECONFIG", ONE_NODE),
    routed("CLUSTER SET-CONFIG-EPOCH", ONE_NODE),
    routed("CLUSTER SETSLOT", ONE_NODE),
    any("CLUSTER SHARDS"),
    any("CLUSTER SLAVES"),
    shards("CLUSTER SLOT-STATS", Merge::Concat),
    any("CLUSTER SLOTS"),
    refused("CLUSTER SYNCSLOTS", STREAM),
    read("CLUSTERSCAN", ONE),
    container("COMMAND"),
    any("COMMAND COUNT"),
    any("COMMAND DOCS"),
    any("COMMAND GETKEYS"),
    any("COMMAND GETKEYSANDFLAGS"),
    any("COMMAND HELP"),
    any("COMMAND INFO"),
    any("COMMAND LIST"),
    container("COMMANDLOG"),
    nodes("COMMANDLOG GET", Merge::Concat),
    any("COMMANDLOG HELP"),
    nodes("COMMANDLOG LEN", Merge::Sum),
    nodes("COMMANDLOG RESET", Merge::First),
    container("CONFIG"),
    nodes("CONFIG GET", Merge::PerNode),
    any("CONFIG HELP"),
    nodes("CONFIG RESETSTAT", Merge::First),
    nodes("CONFIG REWRITE", Merge::First),
    nodes("CONFIG SET", Merge::First),
    write("COPY", TWO),
    reads(shards("DBSIZE", Merge::Sum)),
    routed("DEBUG", ONE_NODE),
    write("DECR", ONE),
    write("DECRBY", ONE),
    split(write("DEL", ALL), 1, Merge::Sum),
    write("DELEX", ONE),
    write("DELIFEQ", ONE),
    read("DIGEST", ONE),
    refused("DISCARD", TRANSACTION),
    read("DUMP", ONE),
    any("ECHO"),
    write("EVAL", SCRIPT),
    write("EVALSHA", SCRIPT),
    read("EVALSHA_RO", SCRIPT),
    read("EVAL_RO", SCRIPT),
    refused("EXEC", TRANSACTION),
    split(read("EXISTS", ALL), 1, Merge::Sum),
    write("EXPIRE", ONE),
    write("EXPIREAT", ONE),
    read("EXPIRETIME", ONE),
    routed("FAILOVER", ONE_NODE),
    write("FCALL", SCRIPT),
    read("FCALL_RO", SCRIPT),
    shards("FLUSHALL", Merge::First),
    shards("FLUSHDB", Merge::First),
    container("FUNCTION"),
    shards("FUNCTION DELETE", Merge::First),
    any("FUNCTION DUMP"),
    shards("FUNCTION FLUSH", Merge::First),
    any("FUNCTION HELP"),
    shards("FUNCTION KILL", Merge::PerNode),
    any("FUNCTION LIST"),
    shards("FUNCTION LOAD", Merge::First),
    shards("FUNCTION RESTORE", Merge::First),
    shards("FUNCTION STATS", Merge::PerNode),
    write("GEOADD", ONE),
    read("GEODIST", ONE),
    read("GEOHASH", ONE),
    read("GEOPOS", ONE),
    write("GEORADIUS", GEORADIUS),
    write("GEORADIUSBYMEMBER", GEORADIUS),
    read("GEORADIUSBYMEMBER_RO", ONE),
    read("GEORADIUS_RO", ONE),
    read("GEOSEARCH", ONE),
    write("GEOSEARCHSTORE", TWO),
    read("GET", ONE),
    read("GETBIT", ONE),
    write("GETDEL", ONE),
    write("GETEX", ONE),
    read("GETRANGE", ONE),
    write("GETSET", ONE),
    write("HDEL", ONE),
    refused("HELLO", CONNECTION),
    read("HEXISTS", ONE),
    write("HEXPIRE", ONE),
    write("HEXPIREAT", ONE),
    read("HEXPIRETIME", ONE),
    read("HGET", ONE),
    read("HGETALL", ONE),
    write("HGETDEL", ONE),
    write("HGETEX", ONE),
    write("HINCRBY", ONE),
    write("HINCRBYFLOAT", ONE),
    read("HKEYS", ONE),
    read("HLEN", ONE),
    read("HMGET", ONE),
    write("HMSET", ONE),
    write("HPERSIST", ONE),
    write("HPEXPIRE", ONE),
    write("HPEXPIREAT", ONE),
    read("HPEXPIRETIME", ONE),
    read("HPTTL", ONE),
    read("HRANDFIELD", ONE),
    read("HSCAN", ONE),
    write("HSET", ONE),
    write("HSETEX", ONE),
    write("HSETNX", ONE),
    read("HSTRLEN", ONE),
    read("HTTL", ONE),
    read("HVALS", ONE),
    write("INCR", ONE),
    write("INCRBY", ONE),
    write("INCRBYFLOAT", ONE),
    shards("INFO", Merge::PerNode),
    reads(shards("KEYS", Merge::Concat)),
    nodes("LASTSAVE", Merge::PerNode),
    container("LATENCY"),
    nodes("LATENCY DOCTOR", Merge::PerNode),
    nodes("LATENCY GRAPH", Merge::PerNode),
    any("LATENCY HELP"),
    nodes("LATENCY HISTOGRAM", Merge::PerNode),
    nodes("LATENCY HISTORY", Merge::PerNode),
    nodes("LATENCY LATEST", Merge::PerNode),
    nodes("LATENCY RESET", Merge::Sum),
    read("LCS", TWO),
    read("LINDEX", ONE),
    write("LINSERT", ONE),
    read("LLEN", ONE),
    write("LMOVE", TWO),
    write("LMPOP", COUNTED),
    reads(any("LOLWUT")),
    write("LPOP", ONE),
    read("LPOS", ONE),
    write("LPUSH", ONE),
    write("LPUSHX", ONE),
    read("LRANGE", ONE),
    write("LREM", ONE),
    write("LSET", ONE),
    write("LTRIM", ONE),
    container("MEMORY"),
    shards("MEMORY DOCTOR", Merge::PerNode),
    any("MEMORY HELP"),
    shards("MEMORY MALLOC-STATS", Merge::PerNode),
    shards("MEMORY PURGE", Merge::First),
    shards("MEMORY STATS", Merge::PerNode),
    read("MEMORY USAGE", SECOND),
    split(read("MGET", ALL), 1, Merge::Elements),
    write("MIGRATE", KeySpec::Migrate),
    container("MODULE"),
    any("MODULE HELP"),
    nodes("MODULE LIST", Merge::PerNode),
    routed("MODULE LOAD", ONE_NODE),
    routed("MODULE LOADEX", ONE_NODE),
    routed("MODULE UNLOAD", ONE_NODE),
    refused("MONITOR", STREAM),
    write("MOVE", ONE),
    split(write("MSET", PAIRS), 2, Merge::First),
    write("MSETEX", COUNTED_PAIRS),
    write("MSETNX", PAIRS),
    refused("MULTI", TRANSACTION),
    container("OBJECT"),
    read("OBJECT ENCODING", SECOND),
    read("OBJECT FREQ", SECOND),
    any("OBJECT HELP"),
    read("OBJECT IDLETIME", SECOND),
    read("OBJECT REFCOUNT", SECOND),
    write("PERSIST", ONE),
    write("PEXPIRE", ONE),
    write("PEXPIREAT", ONE),
    read("PEXPIRETIME", ONE),
    write("PFADD", ONE),
    read("PFCOUNT", ALL),
    write("PFDEBUG", SECOND),
    write("PFMERGE", ALL),
    routed("PFSELFTEST", ONE_NODE),
    any("PING"),
    write("PSETEX", ONE),
    refused("PSUBSCRIBE", SUBSCRIBE),
    refused("PSYNC", STREAM),
    read("PTTL", ONE),
    any("PUBLISH"),
    container("PUBSUB"),
    nodes("PUBSUB CHANNELS", Merge::PerNode),
    any("PUBSUB HELP"),
    nodes("PUBSUB NUMPAT", Merge::Sum),
    nodes("PUBSUB NUMSUB", Merge::PerNode),
    nodes("PUBSUB SHARDCHANNELS", Merge::PerNode),
    nodes("PUBSUB SHARDNUMSUB", Merge::PerNode),
    refused("PUNSUBSCRIBE", SUBSCRIBE),
    refused("QUIT", CLOSES),
    reads(any("RANDOMKEY")),
    refused("READONLY", CONNECTION),
    refused("READWRITE", CONNECTION),
    write("RENAME", TWO),
    write("RENAMENX", TWO),
    refused("REPLCONF", STREAM),
    routed("REPLICAOF", ONE_NODE),
    refused("RESET", CLOSES),
    write("RESTORE", ONE),
    write("RESTORE-ASKING", ONE),
    nodes("ROLE", Merge::PerNode),
    write("RPOP", ONE),
    write("RPOPLPUSH", TWO),
    write("RPUSH", ONE),
    write("RPUSHX", ONE),
    write("SADD", ONE),
    nodes("SAVE", Merge::PerNode),
    reads(routed("SCAN", CURSOR)),
    read("SCARD", ONE),
    container("SCRIPT"),
    refused("SCRIPT DEBUG", CONNECTION),
    shards("SCRIPT EXISTS", Merge::And),
    nodes("SCRIPT FLUSH", Merge::First),
    any("SCRIPT HELP"),
    shards("SCRIPT KILL", Merge::PerNode),
    nodes("SCRIPT LOAD", Merge::First),
    any("SCRIPT SHOW"),
    read("SDIFF", ALL),
    write("SDIFFSTORE", ALL),
    refused("SELECT", DATABASE),
    refused("SENTINEL", SENTINEL),
    write("SET", ONE),
    write("SETBIT", ONE),
    write("SETEX", ONE),
    write("SETNX", ONE),
    write("SETRANGE", ONE),
    routed("SHUTDOWN", ONE_NODE),
    read("SINTER", ALL),
    read("SINTERCARD", COUNTED),
    write("SINTERSTORE", ALL),
    read("SISMEMBER", ONE),
    routed("SLAVEOF", ONE_NODE),
    container("SLOWLOG"),
    nodes("SLOWLOG GET", Merge::Concat),
    any("SLOWLOG HELP"),
    nodes("SLOWLOG LEN", Merge::Sum),
    nodes("SLOWLOG RESET", Merge::First),
    read("SMEMBERS", ONE),
    read("SMISMEMBER", ONE),
    write("SMOVE", TWO),
    write("SORT", SORT),
    read("SORT_RO", ONE),
    write("SPOP", ONE),
    write("SPUBLISH", ONE),
    read("SRANDMEMBER", ONE),
    write("SREM", ONE),
    read("SSCAN", ONE),
    refused("SSUBSCRIBE", SUBSCRIBE),
    read("STRLEN", ONE),
    refused("SUBSCRIBE", SUBSCRIBE),
    read("SUBSTR", ONE),
    read("SUNION", ALL),
    write("SUNIONSTORE", ALL),
    refused("SUNSUBSCRIBE", SUBSCRIBE),
    routed("SWAPDB", ONE_NODE),
    refused("SYNC", STREAM),
    any("TIME"),
    split(read("TOUCH", ALL), 1, Merge::Sum),
    read("TTL", ONE),
    read("TYPE", ONE),
    split(write("UNLINK", ALL), 1, Merge::Sum),
    refused("UNSUBSCRIBE", SUBSCRIBE),
    refused("UNWATCH", TRANSACTION),
    write("VADD", ONE),
    read("VCARD", ONE),
    read("VDIM", ONE),
    read("VEMB", ONE),
    read("VGETATTR", ONE),
    read("VINFO", ONE),
    read("VISMEMBER", ONE),
    read("VLINKS", ONE),
    read("VRANDMEMBER", ONE),
    read("VRANGE", ONE),
    write("VREM", ONE),
    write("VSETATTR", ONE),
    read("VSIM", ONE),
    refused("WAIT", WAIT),
    refused("WAITAOF", WAIT),
    refused("WATCH", TRANSACTION),
    write("XACK", ONE),
    write("XACKDEL", ONE),
    write("XADD", ONE),
    write("XAUTOCLAIM", ONE),
    write("XCLAIM", ONE),
    write("XDEL", ONE),
    write("XDELEX", ONE),
    container("XGROUP"),
    write("XGROUP CREATE", SECOND),
    write("XGROUP CREATECONSUMER", SECOND),
    write("XGROUP DELCONSUMER", SECOND),
    write("XGROUP DESTROY", SECOND),
    any("XGROUP HELP"),
    write("XGROUP SETID", SECOND),
    container("XINFO"),
    read("XINFO CONSUMERS", SECOND),
    read("XINFO GROUPS", SECOND),
    any("XINFO HELP"),
    read("XINFO STREAM", SECOND),
    read("XLEN", ONE),
    read("XPENDING", ONE),
    read("XRANGE", ONE),
    read("XREAD", KeySpec::Streams),
    write("XREADGROUP", KeySpec::Streams),
    read("XREVRANGE", ONE),
    write("XSETID", ONE),
    write("XTRIM", ONE),
    write("ZADD", ONE),
    read("ZCARD", ONE),
    read("ZCOUNT", ONE),
    read("ZDIFF", COUNTED),
    write("ZDIFFSTORE", STORE_COUNTED),
    write("ZINCRBY", ONE),
    read("ZINTER", COUNTED),
    read("ZINTERCARD", COUNTED),
    write("ZINTERSTORE", STORE_COUNTED),
    read("ZLEXCOUNT", ONE),
    write("ZMPOP", COUNTED),
    read("ZMSCORE", ONE),
    write("ZPOPMAX", ONE),
    write("ZPOPMIN", ONE),
    read("ZRANDMEMBER", ONE),
    read("ZRANGE", ONE),
    read("ZRANGEBYLEX", ONE),
    read("ZRANGEBYSCORE", ONE),
    write("ZRANGESTORE", TWO),
    read("ZRANK", ONE),
    write("ZREM", ONE),
    write("ZREMRANGEBYLEX", ONE),
    write("ZREMRANGEBYRANK", ONE),
    write("ZREMRANGEBYSCORE", ONE),
    read("ZREVRANGE", ONE),
    read("ZREVRANGEBYLEX", ONE),
    read("ZREVRANGEBYSCORE", ONE),
    read("ZREVRANK", ONE),
    read("ZSCAN", ONE),
    read("ZSCORE", ONE),
    read("ZUNION", COUNTED),
    write("ZUNIONSTORE", STORE_COUNTED),
];
