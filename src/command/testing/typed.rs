//! Every typed command against its words, and against what the raw door makes of the same words.

use super::{Recorder, Sent};
use crate::command::plan::Plan;
use crate::command::{
    Expiry, Hashes, Keyspace, Lists, Merge, Route, Server, SetOptions, Sets, SortedSets, Strings,
};
use crate::error::ErrorKind;

/// Asserts the words of a typed command, and that the raw door would have done the same with them.
fn is(sent: Sent, text: &str) {
    assert_eq!(sent.text(), text);
    let raw = sent.by_name();
    let raw = Sent::new(raw.request().expect(text));
    assert_eq!(raw.words, sent.words);
    assert_eq!(raw.plan, sent.plan, "{text}");
    assert_eq!((raw.read_only, raw.group, raw.merge), (sent.read_only, sent.group, sent.merge), "{text}");
}

#[test]
fn strings_send_what_they_say() {
    let r = &mut Recorder;
    is(r.get("k"), "GET k");
    is(r.set("k", "v"), "SET k v");
    is(r.set(b"\0".as_slice(), 1.5), "SET \\x00 1.5");
    is(r.setex("k", 60, "v"), "SETEX k 60 v");
    is(r.setnx("k", "v"), "SETNX k v");
    is(r.getset("k", "v"), "SET k v GET");
    is(r.getdel("k"), "GETDEL k");
    is(r.append("k", "v"), "APPEND k v");
    is(r.strlen("k"), "STRLEN k");
    is(r.incr("k"), "INCR k");
    is(r.incrby("k", i64::MIN), "INCRBY k -9223372036854775808");
    is(r.decr("k"), "DECR k");
    is(r.decrby("k", 3), "DECRBY k 3");
    is(r.incrbyfloat("k", -0.1), "INCRBYFLOAT k -0.1");
    is(r.mget(["a", "b", "a"]), "MGET a b a");
    is(r.mget(["one".to_owned()]), "MGET one");
    is(
        r.mget((0..40).map(|n| n.to_string())),
        &format!("MGET {}", (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")),
    );
    is(r.mset([("a", 1), ("b", 2)]), "MSET a 1 b 2");
}

#[test]
fn options_of_set_and_getex() {
    let r = &mut Recorder;
    let set = SetOptions::new();
    is(r.set_with("k", "v", set), "SET k v");
    is(r.set_with("k", "v", set.if_absent().expiry(Expiry::AfterSeconds(5))), "SET k v NX EX 5");
    is(r.set_with("k", "v", set.if_present().expiry(Expiry::Keep)), "SET k v XX KEEPTTL");
    is(r.set_with("k", "v", set.expiry(Expiry::AfterMs(u64::MAX))), "SET k v PX 18446744073709551615");
    is(r.set_with("k", "v", set.expiry(Expiry::AtSeconds(7))), "SET k v EXAT 7");
    is(r.set_with("k", "v", set.expiry(Expiry::Keep).expiry(Expiry::AtMs(8))), "SET k v PXAT 8");
    is(r.getex("k", Expiry::Keep), "GETEX k");
    is(r.getex("k", Expiry::Never), "GETEX k PERSIST");
    is(r.getex("k", Expiry::AfterMs(9)), "GETEX k PX 9");
}

#[test]
fn hashes_lists_and_sets_send_what_they_say() {
    let r = &mut Recorder;
    is(r.hget("k", "f"), "HGET k f");
    is(r.hset("k", [("f", "v"), ("g", "w")]), "HSET k f v g w");
    is(r.hmget("k", ["f", "g"]), "HMGET k f g");
    is(r.hgetall("k"), "HGETALL k");
    is(r.hdel("k", ["f"]), "HDEL k f");
    is(r.hexists("k", "f"), "HEXISTS k f");
    is(r.hlen("k"), "HLEN k");
    is(r.hincrby("k", "f", -1), "HINCRBY k f -1");
    is(r.lpush("k", ["a", "b"]), "LPUSH k a b");
    is(r.rpush("k", [1, 2]), "RPUSH k 1 2");
    is(r.lpop("k"), "LPOP k");
    is(r.rpop("k"), "RPOP k");
    is(r.llen("k"), "LLEN k");
    is(r.lrange("k", 0, -1), "LRANGE k 0 -1");
    is(r.sadd("k", ["a", "b"]), "SADD k a b");
    is(r.srem("k", ["a"]), "SREM k a");
    is(r.smembers("k"), "SMEMBERS k");
    is(r.sismember("k", "a"), "SISMEMBER k a");
    is(r.scard("k"), "SCARD k");
}

#[test]
fn sorted_sets_send_what_they_say() {
    let r = &mut Recorder;
    is(r.zadd("k", [(1.0, "a"), (f64::NEG_INFINITY, "b")]), "ZADD k 1 a -inf b");
    is(r.zrem("k", ["a"]), "ZREM k a");
    is(r.zscore("k", "a"), "ZSCORE k a");
    is(r.zcard("k"), "ZCARD k");
    is(r.zrange("k", 0, 9), "ZRANGE k 0 9");
    is(r.zrange_with_scores("k", -3, -1), "ZRANGE k -3 -1 WITHSCORES");
    is(r.zincrby("k", 0.5, "a"), "ZINCRBY k 0.5 a");
}

#[test]
fn keyspace_and_server_send_what_they_say() {
    let r = &mut Recorder;
    is(r.del(["a", "b"]), "DEL a b");
    is(r.unlink(["a"]), "UNLINK a");
    is(r.exists(["a", "a"]), "EXISTS a a");
    is(r.touch(["a", "b"]), "TOUCH a b");
    is(r.expire("k", -1), "EXPIRE k -1");
    is(r.pexpire("k", 1500), "PEXPIRE k 1500");
    is(r.ttl("k"), "PTTL k");
    is(r.persist("k"), "PERSIST k");
    is(r.key_type("k"), "TYPE k");
    is(r.keys("a*"), "KEYS a*");
    is(r.ping(), "PING");
    is(r.echo("hello"), "ECHO hello");
    is(r.dbsize(), "DBSIZE");
    is(r.flushall(), "FLUSHALL");
    is(r.publish("c", "m"), "PUBLISH c m");
}

#[test]
fn per_node_forms_keep_nodes_apart() {
    let ping = Recorder.ping_all();
    assert_eq!((ping.text().as_str(), ping.merge), ("PING", Merge::PerNode));
    assert_eq!(ping.plan, Ok(Plan::Route(Route::AllNodes)));
    let dbsize = Recorder.dbsize_per_node();
    assert_eq!((dbsize.text().as_str(), dbsize.merge), ("DBSIZE", Merge::PerNode));
    assert_eq!(dbsize.plan, Ok(Plan::Route(Route::AllPrimaries)));
}

#[test]
fn an_empty_list_of_keys_is_refused() {
    let none: [&str; 0] = [];
    for sent in [Recorder.mget(none), Recorder.del(none), Recorder.mset([("", ""); 0])] {
        assert!(matches!(sent.plan.unwrap_err().kind(), ErrorKind::NoKey { .. }));
    }
}
