//! The model cluster against a real one: redirects while a slot migrates, and how nodes describe the cluster.
//!
//! Redis 7.0 is the reference; while slots migrate, Redis 8.2 and Valkey 9.1 must answer alike too (the latter outside of transactions: it
//! judges what is queued at EXEC). The seed is fixed; `MODEL_SEED=n` tries another one.

#![cfg(feature = "testkit")]

mod model;
mod servers;

use panpipe::slot::slot_of;
use panpipe::testkit::{ClusterDown, PreferredEndpoint};

use model::cluster_pair::ClusterPair;
use model::traffic::Traffic;
use model::wire::{Frame, words};
use servers::{PATIENCE, Version, wait_until};

/// Migrations of one run.
const CYCLES: usize = 40;
#[test]
fn a_slot_that_migrates_is_answered_for_alike() {
    let seed = std::env::var("MODEL_SEED").map_or(1, |text| text.parse().expect("MODEL_SEED is a number"));
    println!("seed {seed}");
    for version in [Version::Redis70, Version::Redis82, Version::Valkey91] {
        let mut pair = ClusterPair::on(version, 2, 0);
        let mut traffic = Traffic::new(seed, &pair);
        for _ in 0..CYCLES {
            traffic.migrate(&mut pair);
        }
        println!("{}: {} commands compared", version.name(), pair.compared());
    }
}

/// Sorts what has no order, and blanks the replication offsets.
fn normalised(reply: &[u8]) -> Frame {
    let (mut frame, _) = Frame::parse(reply).expect("a whole reply");
    for shard in &mut frame.elements {
        if let Some(nodes) = shard.elements.get_mut(3) {
            nodes.elements.iter_mut().for_each(|node| node.forget_value_behind(b"replication-offset"));
        }
    }
    frame.sort_elements();
    frame
}

#[track_caller]
fn assert_described_alike(pair: &mut ClusterPair) {
    for node in 0..pair.model.nodes_len() {
        for resp in [2, 3] {
            pair.compare(node, &words(&format!("hello {resp}")));
            for asked in ["cluster slots", "cluster shards"] {
                let (real, model) = pair.ask(node, &words(asked));
                let (real, model) = (normalised(&real), normalised(&model));
                let shown = format!("{}\n{}", real.text(), model.text());
                assert!(real == model, "{shown}\n{asked} at node {node} in RESP{resp}");
            }
        }
        pair.compare(node, &words("hello 2"));
        let (real, model) = pair.nodes_lines(node);
        assert_eq!(real, model);
    }
}

#[test]
fn the_cluster_is_described_alike_in_every_endpoint_mode() {
    let mut pair = ClusterPair::new(2, 1);
    let nodes = pair.model.nodes_len();
    let foreign =
        (0..).map(|i| format!("k{i}")).find(|key| pair.model.owner(slot_of(key.as_bytes())) == Some(1));
    let get = words(&format!("get {}", foreign.expect("some key is the other node's")));
    // A replica is listed once it has replicated something.
    for (node, key) in [(0, "{t2}"), (1, "{t0}")] {
        pair.compare(node, &words(&format!("set {key} 1")));
    }
    wait_until("the replicas to be listed", PATIENCE, || {
        let lists_all = |node: usize| {
            let reply = pair.real.call(node, &["CLUSTER", "SLOTS"]);
            let shards = format!("{:?}", pair.real.call(node, &["CLUSTER", "SHARDS"]));
            reply.items().iter().all(|range| range.items().len() == 4) && !shards.contains("loading")
        };
        if (0..nodes).all(lists_all) { Ok(()) } else { Err("they are not".to_owned()) }
    });
    let modes = [
        ("ip", PreferredEndpoint::Ip),
        ("hostname", PreferredEndpoint::Hostname),
        ("unknown-endpoint", PreferredEndpoint::Unknown),
    ];
    for hostname in [None, Some("one.example.com")] {
        for (name, mode) in modes {
            for node in 0..nodes {
                pair.real
                    .call(node, &["CONFIG", "SET", "cluster-preferred-endpoint-type", name])
                    .expect(&name);
                pair.model.set_preferred_endpoint(node, mode);
            }
            if let Some(hostname) = hostname {
                // Node 1 has a name, the others have none.
                let set = ["CONFIG", "SET", "cluster-announce-hostname", hostname];
                pair.real.call(1, &set).expect(&set);
                pair.model.set_hostname(1, Some(hostname));
                wait_until("the name to spread", PATIENCE, || {
                    let knows = |node| {
                        let text = pair.real.call(node, &["CLUSTER", "NODES"]);
                        text.text().is_some_and(|text| text.contains(hostname))
                    };
                    if (0..nodes).all(knows) { Ok(()) } else { Err("it has not".to_owned()) }
                });
            }
            assert_described_alike(&mut pair);
            pair.compare(0, &get);
        }
    }
}

#[test]
fn a_replica_reads_after_readonly_and_nothing_else() {
    let mut pair = ClusterPair::new(1, 1);
    let script = [
        "get k",
        "set k v",
        "readonly",
        "get k",
        "mget k k",
        "set k v",
        "multi",
        "get k",
        "exec",
        "multi",
        "set k v",
        "exec",
        "readwrite",
        "get k",
        "multi",
        "get k",
        "exec",
        "dbsize",
        "ping",
        "asking",
        "get k",
        "flushall",
        "wait 0 0",
        "cluster setslot 1 stable",
        "client no-evict on",
        "watch k",
        "readonly",
        "watch k",
        "unwatch",
    ];
    for line in script {
        pair.compare(1, &words(line));
    }
}

/// Commands of every kind that a state of the server may refuse, plain and in transactions.
fn probe(pair: &mut ClusterPair, node: usize) {
    let script = [
        "ping",
        "get {t2}",
        "set {t2} 1",
        "del {t2}",
        "incr {t2}",
        "mget {t2} {t2}1",
        "foo",
        "get",
        "dbsize",
        "echo a",
        "flushall x",
        "select 0",
        "client getname",
        "cluster keyslot a",
        "config get maxmemory",
        "multi",
        "get {t2}",
        "set {t2} 1",
        "exec",
        "multi",
        "get {t2}",
        "exec",
        "multi",
        "ping",
        "exec",
        "watch {t2}",
        "unwatch",
        "discard",
        "wait 0 0",
        "asking",
        "readonly",
        "readwrite",
        "cluster myid",
        "auth x",
        "hello 7",
        "migrate h 1 {t2} 0 1",
        "rename {t2} {t2}1",
        "randomkey x",
        "multi",
        "exec",
        "exec x",
    ];
    for line in script {
        pair.compare(node, &words(line));
    }
}

#[test]
fn states_that_refuse_commands_refuse_the_same_ones() {
    let mut pair = ClusterPair::new(1, 0);
    probe(&mut pair, 0);
    let set = |pair: &ClusterPair, name: &str, value: &str| {
        let set = ["CONFIG", "SET", name, value];
        pair.real.call(0, &set).expect(&set);
    };

    set(&pair, "maxmemory", "1");
    set(&pair, "min-replicas-to-write", "1");
    pair.model.refusals_mut(0).out_of_memory = true;
    pair.model.refusals_mut(0).no_replicas = true;
    let script =
        ["get {t2}", "set {t2} 1", "del {t2}", "multi", "set {t2} 1", "del {t2}", "exec", "foo", "dbsize"];
    script.iter().for_each(|line| drop(pair.compare(0, &words(line))));

    set(&pair, "maxmemory", "0");
    pair.model.refusals_mut(0).out_of_memory = false;
    let script =
        ["get {t2}", "set {t2} 1", "del {t2}", "multi", "ping", "set {t2} 1", "exec", "flushall", "mget a b"];
    script.iter().for_each(|line| drop(pair.compare(0, &words(line))));

    // Queued while the server is well, refused by the time of EXEC.
    set(&pair, "min-replicas-to-write", "0");
    pair.model.refusals_mut(0).no_replicas = false;
    pair.compare(0, &words("multi"));
    pair.compare(0, &words("set {t2} 1"));
    set(&pair, "min-replicas-to-write", "1");
    pair.model.refusals_mut(0).no_replicas = true;
    pair.compare(0, &words("exec"));
    pair.compare(0, &words("get {t2}"));
    set(&pair, "min-replicas-to-write", "0");
    pair.model.refusals_mut(0).no_replicas = false;
}

#[test]
fn a_cluster_with_a_hole_is_down_alike() {
    let mut pair = ClusterPair::new(1, 0);
    let hole = slot_of(b"{t2}");
    for (node, reads_allowed) in [("no", false), ("yes", true)] {
        let set = ["CONFIG", "SET", "cluster-allow-reads-when-down", node];
        pair.real.call(0, &set).expect(&set);
        let delete = ["CLUSTER", "DELSLOTS", &hole.to_string()];
        pair.real.call(0, &delete);
        pair.model.unassign_slot(hole);
        wait_until("the cluster to be down", PATIENCE, || {
            let info = pair.real.call(0, &["CLUSTER", "INFO"]);
            let is_down = info.text().is_some_and(|text| text.contains("cluster_state:fail"));
            if is_down { Ok(()) } else { Err("it is not".to_owned()) }
        });
        let down = if reads_allowed { ClusterDown::Writes } else { ClusterDown::Everything };
        pair.model.set_cluster_down(0, Some(down));
        probe(&mut pair, 0);
        for line in [
            "get {t3}",
            "set {t3} 1",
            "multi",
            "get {t3}",
            "set {t3} 1",
            "exec",
            "mget {t2} {t3}",
            "mget {t3} {t2}",
        ] {
            pair.compare(0, &words(line));
        }
    }
}
