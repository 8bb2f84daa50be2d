//! Typed commands against real clusters, the oldest in RESP2 and the newest in RESP3, through the client and through a
//! pipeline: each reply has the shape that its method promises.

mod servers;
#[path = "support/transport.rs"]
mod transport;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use panpipe::config::Protocol;
use panpipe::prelude::*;
use servers::{Cluster, Version};

fn some(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

fn list(words: &[&str]) -> Vec<Bytes> {
    words.iter().filter_map(|word| some(word)).collect()
}

fn sorted(mut list: Vec<Bytes>) -> Vec<Bytes> {
    list.sort();
    list
}

fn strings(c: &mut Client) -> panpipe::Result<()> {
    assert_eq!(c.get("s")?, None);
    c.set("s", "ada")?;
    assert_eq!(c.get("s")?, some("ada"));
    let lock = SetOptions::new().if_absent().expiry(Expiry::AfterMs(60_000));
    assert!(!c.set_with("s", "x", lock)?);
    assert!(c.set_with("lock", "x", lock)?);
    assert!(matches!(c.ttl("lock")?, Ttl::Left(left) if left <= Duration::from_secs(60)));
    assert!(c.set_with("lock", "y", SetOptions::new().if_present().expiry(Expiry::Keep))?);
    assert!(matches!(c.ttl("lock")?, Ttl::Left(_)));
    assert_eq!(c.getex("lock", Expiry::Never)?, some("y"));
    assert_eq!(c.ttl("lock")?, Ttl::NoExpiry);
    assert_eq!(c.getex("lock", Expiry::AtSeconds(4_000_000_000))?, some("y"));
    assert_eq!(c.getex("none", Expiry::Keep)?, None);
    c.setex("soon", 60, 1)?;
    assert!(!c.setnx("soon", 2)?);
    assert!(c.setnx("new", 2)?);
    assert_eq!((c.getset("new", 3)?, c.getset("newer", 3)?), (some("2"), None));
    assert_eq!((c.getdel("new")?, c.getdel("new")?), (some("3"), None));
    assert_eq!((c.append("s", "!")?, c.strlen("s")?, c.strlen("none")?), (4, 4, 0));
    assert_eq!((c.incr("n")?, c.incrby("n", 10)?, c.decr("n")?, c.decrby("n", 20)?), (1, 11, 10, -10));
    assert_eq!(c.incrbyfloat("f", 0.5)?, 0.5);
    assert_eq!(c.incrbyfloat("f", 1e20)?, 1e20);
    c.mset([("a", "1"), ("b", "2"), ("c", "3")])?;
    assert_eq!(c.mget(["c", "none", "a", "c", "b"])?, [some("3"), None, some("1"), some("3"), some("2")]);
    assert!(matches!(c.incr("s").unwrap_err().kind(), ErrorKind::Server(_)));
    Ok(())
}

fn hashes(c: &mut Client) -> panpipe::Result<()> {
    assert_eq!(c.hgetall("h")?, HashMap::new());
    assert_eq!(c.hset("h", [("f", "1"), ("g", "2")])?, 2);
    assert_eq!(c.hset("h", HashMap::from([("f", 3)]))?, 0);
    assert_eq!((c.hget("h", "f")?, c.hget("h", "none")?), (some("3"), None));
    assert_eq!(c.hmget("h", ["g", "none", "f"])?, [some("2"), None, some("3")]);
    let all = c.hgetall("h")?;
    assert_eq!((all.len(), all[b"g".as_slice()].as_ref()), (2, b"2".as_slice()));
    assert_eq!((c.hexists("h", "f")?, c.hexists("h", "x")?, c.hlen("h")?), (true, false, 2));
    assert_eq!(c.hincrby("h", "f", -5)?, -2);
    assert_eq!(c.hdel("h", ["f", "x"])?, 1);
    Ok(())
}

fn lists_and_sets(c: &mut Client) -> panpipe::Result<()> {
    assert_eq!((c.rpush("l", ["b", "c"])?, c.lpush("l", ["a"])?, c.llen("l")?), (2, 3, 3));
    assert_eq!(c.lrange("l", 0, -1)?, list(&["a", "b", "c"]));
    assert_eq!((c.lpop("l")?, c.rpop("l")?, c.lpop("none")?), (some("a"), some("c"), None));
    assert!(c.lrange("none", 0, 5)?.is_empty());
    assert_eq!((c.sadd("t", ["a", "b", "a"])?, c.scard("t")?), (2, 2));
    assert_eq!(sorted(c.smembers("t")?), list(&["a", "b"]));
    assert_eq!((c.sismember("t", "a")?, c.sismember("t", "z")?, c.srem("t", ["a", "z"])?), (true, false, 1));
    assert_eq!(c.zadd("z", [(1.5, "a"), (f64::INFINITY, "b"), (-0.1, "c")])?, 3);
    assert_eq!(c.zrange("z", 0, -1)?, list(&["c", "a", "b"]));
    let scores: Vec<f64> = c.zrange_with_scores("z", 0, -1)?.into_iter().map(|(_, score)| score).collect();
    assert_eq!(scores, [-0.1, 1.5, f64::INFINITY]);
    assert!(c.zrange_with_scores("none", 0, -1)?.is_empty());
    assert_eq!(
        (c.zscore("z", "a")?, c.zscore("z", "x")?, c.zscore("z", "b")?),
        (Some(1.5), None, Some(f64::INFINITY))
    );
    assert_eq!((c.zincrby("z", 0.25, "a")?, c.zcard("z")?, c.zrem("z", ["a", "x"])?), (1.75, 3, 1));
    assert!(
        matches!(c.get("z").unwrap_err().kind(), ErrorKind::Server(error) if error.code() == "WRONGTYPE")
    );
    Ok(())
}

fn keyspace_and_servers(c: &mut Client) -> panpipe::Result<()> {
    c.flushall()?;
    assert_eq!((c.dbsize()?, c.keys("*")?), (0, Vec::new()));
    let names: Vec<String> = (0..100).map(|n| format!("key:{n}")).collect();
    c.mset(names.iter().map(|name| (name, 1)))?;
    assert_eq!((c.dbsize()?, c.keys("key:?")?.len(), c.keys("*")?.len()), (100, 10, 100));
    let per_node = c.dbsize_per_node()?;
    assert_eq!((per_node.len(), per_node.iter().map(|(_, keys)| keys).sum()), (3, 100u64));
    assert!(per_node.iter().all(|(node, keys)| node.contains(':') && *keys > 10), "{per_node:?}");
    assert_eq!(c.exists(&names)?, 100);
    assert_eq!(c.exists(["key:1", "key:1", "none"])?, 2);
    assert_eq!((c.touch(&names)?, c.del(&names[..40])?, c.unlink(&names)?), (100, 40, 60));
    c.set("k", 1)?;
    assert_eq!(
        (c.expire("k", 100)?, c.pexpire("none", 100)?, c.persist("k")?, c.persist("k")?),
        (true, false, true, false)
    );
    assert_eq!(
        (c.ttl("k")?, c.ttl("none")?, c.pexpire("k", 0)?, c.ttl("k")?),
        (Ttl::NoExpiry, Ttl::NoKey, true, Ttl::NoKey)
    );
    c.sadd("t", [1])?;
    c.zadd("z", [(1.0, "m")])?;
    assert_eq!(
        (c.key_type("t")?, c.key_type("z")?, c.key_type("k")?),
        (KeyType::Set, KeyType::SortedSet, KeyType::NoKey)
    );
    assert_eq!((c.ping()?.as_str(), c.echo(b"\r\n")?.as_ref()), ("PONG", b"\r\n".as_slice()));
    let pongs = c.ping_all()?;
    assert!(pongs.len() == 3 && pongs.iter().all(|(_, pong)| pong == "PONG"), "{pongs:?}");
    assert_eq!(c.publish("channel", "nobody listens")?, 0);
    Ok(())
}

fn by_name(c: &mut Client) -> panpipe::Result<()> {
    c.set("k", "v")?;
    assert_eq!(c.call::<String>(cmd("OBJECT ENCODING").arg("k"))?, "embstr");
    assert_eq!(c.call::<i64>(cmd("EVAL").arg("return #ARGV").arg(0).args(["a", "b"]))?, 2);
    let hash: String = c.call(cmd("SCRIPT LOAD").arg("return redis.call('GET', KEYS[1])"))?;
    let exists = cmd("SCRIPT EXISTS").arg(&hash).arg("0".repeat(40));
    assert_eq!(c.call::<Vec<bool>>(exists)?, [true, false]);
    assert_eq!(c.call::<String>(cmd("EVALSHA").arg(&hash).arg(1).arg("k"))?, "v");
    c.call::<()>(cmd("CONFIG SET").args(["slowlog-log-slower-than", "12345"]))?;
    let settings: Vec<(String, HashMap<String, i64>)> =
        c.call(cmd("CONFIG GET").arg("slowlog-log-slower-than"))?;
    assert!(settings.iter().all(|(_, found)| found["slowlog-log-slower-than"] == 12345), "{settings:?}");
    assert_eq!(settings.len(), 3);
    assert_eq!(c.call::<Vec<(String, String)>>(cmd("INFO").arg("server"))?.len(), 3);
    let slot = panpipe::slot::slot_of(b"k");
    assert_eq!(c.call::<u64>(cmd("CLUSTER COUNTKEYSINSLOT").arg(slot))?, 1);
    let apart: Vec<(String, u64)> = c.call(cmd("DBSIZE").merge(Merge::PerNode))?;
    assert_eq!(
        (apart.len() as u64, apart.iter().map(|(_, keys)| keys).sum()),
        (3, c.call::<u64>(cmd("DBSIZE"))?)
    );
    Ok(())
}

/// The same methods on a pipeline.
fn pipelined(client: &mut Client) -> panpipe::Result<()> {
    client.del(["k"])?;
    let mut pipe = client.pipeline();
    let set = pipe.set("k", "v");
    let lock = pipe.set_with("k", "w", SetOptions::new().if_absent());
    let names = pipe.mset([("a", 1), ("b", 2), ("c", 3)]);
    let values = pipe.mget(["a", "k", "b", "none", "c"]);
    let wrong = pipe.lpush("k", ["x"]);
    let empty = pipe.mget([""; 0]);
    let deleted = pipe.del(["a", "b", "c", "none"]);
    let sizes = pipe.dbsize_per_node();
    let scan: Ticket<Vec<String>> = pipe.call(cmd("SCAN").arg(0));
    assert_eq!(pipe.len(), 9);
    let replies = pipe.flush()?;
    assert_eq!((replies.get(set), replies.get(names)), (Ok(()), Ok(())));
    assert_eq!(replies.get(lock), Ok(false));
    assert_eq!(replies.get(values), Ok(vec![some("1"), some("v"), some("2"), None, some("3")]));
    assert!(matches!(replies.get(wrong).unwrap_err().kind(), ErrorKind::Server(_)));
    assert!(matches!(replies.get(empty).unwrap_err().kind(), ErrorKind::NoKey { .. }));
    assert_eq!(replies.get(deleted), Ok(3));
    assert_eq!(replies.get(sizes).expect("sizes").len(), 3);
    assert!(matches!(replies.get(scan).unwrap_err().kind(), ErrorKind::NotAllowed { .. }));
    Ok(())
}

/// What is split, or sent to every node, completes as one.
fn event_driven(client: &mut Client) -> panpipe::Result<()> {
    client.mset([("a", 1), ("b", 2), ("c", 3)])?;
    client.submit(cmd("MGET").args(["c", "none", "a", "b"]), 7)?;
    client.submit(cmd("PING").route(Route::AllNodes), 8)?;
    let mut results = HashMap::new();
    while results.len() < 2 {
        client.wait(Some(Duration::from_secs(5)))?;
        while let Some(done) = client.next_completion() {
            let reply = done.result?;
            results.insert(done.user_data, Vec::<Option<String>>::from_reply(reply)?);
        }
    }
    assert_eq!(results[&7], [Some("3".into()), None, Some("1".into()), Some("2".into())]);
    assert_eq!(results[&8].len(), 6);
    Ok(())
}

/// A reply that its command cannot have may be another command's: the next flush finds out.
fn odd_shapes(c: &mut Client) -> panpipe::Result<()> {
    c.set("odd", "no number")?;
    let sentinels = |c: &Client| c.stats().total.sentinels;
    let before = sentinels(c);
    assert!(matches!(c.call::<i64>(cmd("GET").key("odd")).unwrap_err().kind(), ErrorKind::Decode { .. }));
    c.get("odd")?;
    assert_eq!(sentinels(c), before + 1, "after a call");
    let mut pipe = c.pipeline();
    let odd = pipe.call::<i64>(cmd("GET").key("odd"));
    let replies = pipe.flush()?;
    assert!(matches!(replies.get(odd).unwrap_err().kind(), ErrorKind::Decode { .. }));
    let even = pipe.call::<Bytes>(cmd("GET").key("odd"));
    assert_eq!(pipe.flush()?.get(even)?, "no number");
    drop(pipe);
    c.get("odd")?;
    assert_eq!(sentinels(c), before + 2, "after a pipeline, once");
    Ok(())
}

#[test]
fn replies_have_the_shapes_that_the_methods_promise() {
    for (version, protocol) in [(Version::Redis62, Protocol::Resp2), (Version::Valkey91, Protocol::Resp3)] {
        let cluster = Cluster::start(version, 3, 0);
        let mut config = Config::from_url(&cluster.url()).expect("an address");
        config.protocol = protocol;
        let mut client = transport::connect_with(config).expect("a client");
        let parts: [fn(&mut Client) -> panpipe::Result<()>; 8] = [
            strings,
            hashes,
            lists_and_sets,
            keyspace_and_servers,
            by_name,
            pipelined,
            event_driven,
            odd_shapes,
        ];
        for part in parts {
            part(&mut client).expect("every command to succeed");
        }
    }
}
