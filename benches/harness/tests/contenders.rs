//! The other clients do what they are said to do: every command of a plan is sent once, its reply is looked at, values arrive as they
//! were sent. Each is driven in its own process, by the orders that races give.

#![cfg(feature = "peers")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use panpipe::command::Strings as _;
use panpipe::testkit::EmbeddedCluster;
use panpipe::{Client, Config};
use serde_json::{Value, json};

#[path = "../../../tests/servers/mod.rs"]
mod servers;
mod worker;

use servers::{Cluster, ClusterOptions, Server, Version};
use worker::Worker;

const CLUSTERED: [&str; 4] = ["redis-rs", "redis-rs-async", "fred", "rustis"];
const STANDALONE: [&str; 3] = ["redis-rs-standalone", "fred", "rustis"];
const ASYNCHRONOUS: [&str; 3] = ["redis-rs-async", "fred", "rustis"];

const KEYS: u32 = 500;
const PASSWORD: &str = "a long one";

/// What is sent in these tests: few keys, so that each is met often.
fn workload(mix: &Value, batch: usize) -> Value {
    json!({
        "name": "test", "mix": mix, "batch": batch, "value_bytes": 64, "keys": KEYS, "distribution": "uniform", "window": null,
    })
}

fn value() -> Vec<u8> {
    (0..64).map(|at| b'a' + at % 26).collect()
}

fn setup(nodes: &[SocketAddr], cluster: bool) -> Value {
    json!({ "nodes": nodes, "credentials": null, "cluster": cluster, "spin_us": 0, "flush_policy": "explicit" })
}

fn batches(batches: usize) -> Value {
    json!({ "batches": { "batches": batches } })
}

/// All the mixes of the named workloads, in batches and alone.
fn workloads() -> Vec<Value> {
    let read_modify_write = json!({ "ycsb": { "read_percent": 50, "read_modify_write": true } });
    let half_reads = json!({ "ycsb": { "read_percent": 50, "read_modify_write": false } });
    vec![
        workload(&json!("set"), 100),
        workload(&json!("set"), 1000),
        workload(&json!("set"), 1),
        workload(&json!("get"), 100),
        workload(&json!("get"), 1),
        workload(&json!("rate_limiter"), 20),
        workload(&half_reads, 100),
        workload(&read_modify_write, 100),
    ]
}

/// Every workload, a few batches of each: no errors, and as many commands as the plan has.
fn all_workloads(contender: &str, setup: &Value) {
    for workload in workloads() {
        let mut worker = Worker::start(contender, setup, &workload);
        let figures = worker.round(&batches(5));
        assert_eq!(figures["errors"], 0, "{contender}, {workload}: {figures}");
        let least = 5 * workload["batch"].as_u64().unwrap();
        assert!(figures["commands"].as_u64().unwrap() >= least, "{contender}, {workload}: {figures}");
    }
}

#[test]
fn every_workload_runs_on_the_model() {
    let model = EmbeddedCluster::builder().primaries(3).start().unwrap();
    for contender in CLUSTERED {
        all_workloads(contender, &setup(&model.addresses(), true));
    }
    let model = EmbeddedCluster::builder().standalone().start().unwrap();
    for contender in STANDALONE {
        all_workloads(contender, &setup(&model.addresses(), false));
    }
    let one = EmbeddedCluster::builder().primaries(1).start().unwrap();
    all_workloads("redis-rs-standalone", &setup(&one.addresses(), true));
}

#[test]
fn each_increment_is_sent_once_whichever_way_it_is_sent() {
    for contender in CLUSTERED {
        let model = EmbeddedCluster::builder().primaries(3).start().unwrap();
        let mut client = Client::connect(&model.url()).unwrap();
        let mut worker =
            Worker::start(contender, &setup(&model.addresses(), true), &workload(&json!("rate_limiter"), 20));
        let mut sent = 0;
        let mut loads = vec![batches(30), json!({ "stream": { "commands": 3000, "window": 100 } })];
        if ASYNCHRONOUS.contains(&contender) {
            loads.push(json!({ "stress": { "lanes": 200, "time_ms": 100 } }));
        }
        for load in loads {
            let figures = worker.round(&load);
            assert_eq!(figures["errors"], 0, "{contender}, {load}: {figures}");
            let commands = figures["commands"].as_u64().unwrap();
            assert!(commands >= 600, "{contender}, {load}: {figures}");
            sent += commands;
        }
        // Half of the commands are EXPIREs.
        let counted: u64 = (0..KEYS)
            .filter_map(|number| client.get(format!("n:{number:014}")).unwrap())
            .map(|count| std::str::from_utf8(&count).unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, sent / 2, "{contender}");
    }
}

#[test]
fn batches_in_flight_have_latencies_of_their_own() {
    let model = EmbeddedCluster::builder().primaries(3).start().unwrap();
    for contender in CLUSTERED {
        let mut worker =
            Worker::start(contender, &setup(&model.addresses(), true), &workload(&json!("set"), 10));
        let answer = worker.ask_round(&json!({ "stress": { "lanes": 20, "time_ms": 50 } }));
        if ASYNCHRONOUS.contains(&contender) {
            let figures = &answer["round"];
            assert!(figures["flushes"].as_u64().unwrap() >= 20, "{contender}: {answer}");
            assert!(!figures["latencies"].as_str().unwrap().is_empty(), "{contender}: {answer}");
        } else {
            assert!(answer["failed"]["reason"].is_string(), "{contender}: {answer}");
        }
    }
}

#[test]
fn wrong_kinds_are_counted_and_end_nothing() {
    let model = EmbeddedCluster::builder().primaries(3).start().unwrap();
    let mut client = Client::connect(&model.url()).unwrap();
    for number in 0..KEYS {
        let pushed: i64 = client.call(panpipe::cmd("RPUSH").arg(format!("k:{number:014}")).arg("x")).unwrap();
        assert_eq!(pushed, 1);
    }
    for contender in CLUSTERED {
        for batch in [1, 50] {
            let workload = workload(&json!("get"), batch);
            let figures =
                Worker::start(contender, &setup(&model.addresses(), true), &workload).round(&batches(3));
            assert!(figures["errors"].as_u64().unwrap() >= 3, "{contender}, {batch}: {figures}");
        }
    }
}

#[test]
fn passwords_are_given() {
    let model = EmbeddedCluster::builder().primaries(3).password(PASSWORD).start().unwrap();
    for contender in CLUSTERED {
        let mut setup = setup(&model.addresses(), true);
        let workload = workload(&json!("set"), 100);
        let refused = Worker::try_start(contender, &setup, &workload).err();
        assert!(refused.is_some(), "{contender} is let in without a password");
        setup["credentials"] = json!([null, PASSWORD]);
        assert_eq!(
            Worker::start(contender, &setup, &workload).round(&batches(2))["errors"],
            0,
            "{contender}"
        );
    }
}

#[test]
fn who_cannot_talk_to_a_target_says_so() {
    let cluster = EmbeddedCluster::builder().primaries(3).start().unwrap();
    let workload = workload(&json!("set"), 100);
    let refused = Worker::try_start("redis-rs-standalone", &setup(&cluster.addresses(), true), &workload)
        .err()
        .unwrap();
    assert!(refused.contains("one connection"), "{refused}");
    for contender in ["redis-rs", "redis-rs-async"] {
        let refused =
            Worker::try_start(contender, &setup(&cluster.addresses(), false), &workload).err().unwrap();
        assert!(refused.contains("redis-rs-standalone"), "{refused}");
    }
}

#[test]
fn the_sink_satisfies_everyone() {
    let names = [&CLUSTERED[..], &["redis-rs-standalone"]].concat().join(",");
    for (target, contenders) in [("sink", names), ("model", CLUSTERED.join(","))] {
        for workload in ["W2", "W6", "YCSB-F"] {
            let args = ["run", "--target", target, "--workload", workload, "--contenders", &contenders];
            let output = Command::new(env!("CARGO_BIN_EXE_panpipe-bench"))
                .args(args)
                .args(["--rounds", "1", "--round-ms", "50", "--warm-up-ms", "20", "--no-count"])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{args:?}: {output:?}");
            assert!(contenders.split(',').all(|name| text.contains(name)), "{args:?}: {text}");
        }
    }
}

/// Commands and how often a server ran them, failed and rejected ones too.
type Calls = BTreeMap<String, u64>;

const NOT_TAKEN: &str = "not taken";

fn calls(info: &str, into: &mut Calls) {
    for line in info.lines() {
        let Some((name, fields)) = line.strip_prefix("cmdstat_").and_then(|line| line.split_once(':')) else {
            continue;
        };
        for field in fields.split(',') {
            let (field, count) = field.split_once('=').unwrap();
            match (field, count.parse::<u64>()) {
                ("calls", Ok(count)) => *into.entry(name.to_owned()).or_default() += count,
                ("failed_calls" | "rejected_calls", Ok(count)) => {
                    *into.entry(NOT_TAKEN.to_owned()).or_default() += count;
                }
                _ => {}
            }
        }
    }
}

fn counted_by(servers: &Cluster) -> Calls {
    let mut counted = Calls::new();
    for node in 0..servers.nodes().len() {
        let info = servers.call(node, &["INFO", "commandstats"]);
        calls(info.text().unwrap(), &mut counted);
    }
    counted
}

/// What the servers count is what was said to have been sent.
fn servers_count_what_was_sent(version: Version) {
    let options = ClusterOptions {
        args: ["--save", "", "--appendonly", "no"].map(str::to_owned).to_vec(),
        ..ClusterOptions::default()
    };
    let servers = Cluster::start_with(version, 3, 0, options);
    let nodes: Vec<SocketAddr> = servers.nodes().iter().map(|node| node.server.address()).collect();
    let seeds = nodes.iter().map(|node| panpipe::config::Endpoint::new(node.ip().to_string(), node.port()));
    let mut client = Client::connect_with(Config::from_seeds(seeds)).unwrap();
    for contender in CLUSTERED {
        for (mix, batch) in [("set", 100), ("set", 1), ("get", 100), ("get", 1), ("rate_limiter", 20)] {
            let mut worker = Worker::start(contender, &setup(&nodes, true), &workload(&json!(mix), batch));
            let before = counted_by(&servers);
            let figures = worker.round(&batches(20));
            let after = counted_by(&servers);
            let ran = |name: &str| {
                let count = |calls: &Calls| calls.get(name).copied().unwrap_or(0);
                count(&after) - count(&before)
            };
            let sent = figures["commands"].as_u64().unwrap();
            assert_eq!(figures["errors"], 0, "{contender}, {mix}: {figures}");
            match mix {
                "rate_limiter" => {
                    assert_eq!((ran("incrby"), ran("expire")), (sent / 2, sent / 2), "{contender}")
                }
                mix => assert_eq!(ran(mix), sent, "{contender}, {mix}"),
            }
            assert_eq!(ran(NOT_TAKEN), 0, "{contender}, {mix}");
        }
        let mut found = 0;
        for number in 0..KEYS {
            let key = format!("k:{number:014}");
            if let Some(text) = client.get(&key).unwrap() {
                assert_eq!(text, value(), "{contender}, {key}");
                found += 1;
                let _there: i64 = client.call(panpipe::cmd("DEL").arg(&key)).unwrap();
            }
        }
        assert!(found > KEYS / 2, "{contender} wrote {found} keys");
    }
}

/// The same of one server, which is asked for the counts of each contender alone.
fn a_server_counts_what_was_sent(version: Version) {
    let server = Server::start(version, &["--save", "", "--appendonly", "no"]);
    for contender in STANDALONE {
        server.call(&["CONFIG", "RESETSTAT"]);
        all_workloads(contender, &setup(&[server.address()], false));
        let mut counted = Calls::new();
        calls(server.call(&["INFO", "commandstats"]).text().unwrap(), &mut counted);
        // Those of the mixes that have nothing else; the others have some too.
        assert!(counted["set"] > 5 * (100 + 1000 + 1), "{contender}: {counted:?}");
        assert!(counted["get"] > 5 * (100 + 1), "{contender}: {counted:?}");
        assert_eq!((counted["incrby"], counted["expire"]), (5 * 10, 5 * 10), "{contender}: {counted:?}");
        assert_eq!(counted[NOT_TAKEN], 0, "{contender}: {counted:?}");
    }
}

fn installed() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/install");
    assert!(Command::new("python3").arg(script).status().unwrap().success());
}

#[test]
fn redis_7_0_counts_what_was_sent() {
    installed();
    servers_count_what_was_sent(Version::Redis70);
    a_server_counts_what_was_sent(Version::Redis70);
}

#[test]
fn redis_8_2_counts_what_was_sent() {
    installed();
    servers_count_what_was_sent(Version::Redis82);
    a_server_counts_what_was_sent(Version::Redis82);
}

#[test]
fn valkey_9_1_counts_what_was_sent() {
    installed();
    servers_count_what_was_sent(Version::Valkey91);
    a_server_counts_what_was_sent(Version::Valkey91);
}
