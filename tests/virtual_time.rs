//! The whole client against the model under virtual time: what takes seconds on a real cluster takes none here, and latencies are exact.
#![cfg(feature = "testkit")]

use std::time::Duration;

use panpipe::command::Route;
use panpipe::config::Endpoint;
use panpipe::config::{Config, Fanout};
use panpipe::engine::{ConnId, Engine, Timestamp};
use panpipe::prelude::*;
use panpipe::slot::slot_of;
use panpipe::testkit::{ClusterDown, Memory, ModelConfig, PreferredEndpoint};
use panpipe::transport::{Need, Transport, TransportStats};
use panpipe::{Client, ErrorKind, Outcome};

fn connect(config: ModelConfig) -> Client<Memory> {
    let memory = Memory::new(config);
    Client::with_transport(memory.client_config(), memory).expect("the model serves")
}

fn with_replicas() -> Client<Memory> {
    connect(ModelConfig { replicas_per_primary: 1, ..ModelConfig::default() })
}

/// A key of this primary's slots.
fn key_of(client: &Client<Memory>, node: usize) -> String {
    let owner = |key: &str| client.transport().cluster().owner(slot_of(key.as_bytes()));
    (0..).map(|n| format!("key:{n}")).find(|key| owner(key) == Some(node)).expect("a key of every node")
}

fn elapsed(client: &mut Client<Memory>, work: impl FnOnce(&mut Client<Memory>)) -> Duration {
    let before = client.transport().now();
    work(client);
    client.transport().now().since(before)
}

#[test]
fn a_parallel_flush_takes_as_long_as_the_slowest_node_and_a_sequential_one_the_sum() {
    let mut client = connect(ModelConfig { primaries: 4, ..ModelConfig::default() });
    let keys: Vec<String> = (0..4).map(|node| key_of(&client, node)).collect();
    for key in &keys {
        client.set(key, "warm").expect("set");
    }
    for (node, ms) in [1, 2, 3, 4].into_iter().enumerate() {
        client.transport_mut().set_latency(node, Duration::from_millis(ms));
    }
    for (fanout, expected_ms) in [(Fanout::Parallel, 8), (Fanout::Sequential, 2 + 4 + 6 + 8)] {
        let took = elapsed(&mut client, |client| {
            let mut pipe = client.pipeline();
            pipe.fanout(fanout).with_timeline();
            for key in &keys {
                pipe.set(key, "v");
            }
            let replies = pipe.flush().expect("flush");
            replies.all().expect("all are set");
            let timeline = replies.timeline().expect("recorded");
            assert_eq!(timeline.nodes.len(), 4);
            assert_eq!(timeline.total, Duration::from_millis(expected_ms));
            let slowest = timeline.slowest().expect("somebody is");
            assert_eq!((slowest.commands, slowest.last_back), (1, Some(Duration::from_millis(expected_ms))));
        });
        assert_eq!(took, Duration::from_millis(expected_ms), "{fanout:?}");
    }
}

#[test]
fn a_frozen_node_times_out_with_its_outcome_and_its_late_replies_reach_nobody() {
    let mut client = connect(ModelConfig::default());
    let (frozen, fine) = (key_of(&client, 0), key_of(&client, 1));
    client.set(&frozen, "0").expect("set");
    client.transport_mut().cluster_mut().freeze(0);
    let took = elapsed(&mut client, |client| {
        let mut pipe = client.pipeline();
        let stuck = pipe.incrby(&frozen, 1);
        let done = pipe.set(&fine, "v");
        let replies = pipe.flush().expect("flush");
        let error = replies.get(stuck).expect_err("frozen");
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown);
        replies.get(done).expect("the other node is fine");
    });
    assert!(took >= Duration::from_secs(5) && took < Duration::from_millis(5_100), "{took:?}");
    let now_ms = client.transport().now_ms();
    client.transport_mut().cluster_mut().thaw(0, now_ms);
    // The increment ran after all; its reply came late and was nobody's.
    assert_eq!(client.get(&frozen).expect("get").as_deref(), Some(b"1".as_slice()));
}

#[test]
fn a_dead_primary_is_replaced_and_waiting_commands_go_to_its_successor() {
    let mut client = with_replicas();
    let key = key_of(&client, 0);
    client.set(&key, "before").expect("set");
    client.transport_mut().cluster_mut().kill(0);
    // The connection's end is noticed when time passes.
    client.wait(Some(Duration::from_millis(1))).expect("wait");
    let token = client.submit(cmd("SET").key(&key).arg("after"), 7).expect("submit");
    client.flush();
    client.wait(Some(Duration::from_millis(300))).expect("wait");
    assert!(client.next_completion().is_none(), "nobody serves the slot");
    let replica = (0..6)
        .find(|&node| node != 0 && client.transport().cluster().primary_of(node) == Some(0))
        .expect("it has one");
    client.transport_mut().cluster_mut().failover(replica);
    assert_eq!(client.await_all(Duration::from_secs(5), &[token]).expect("wait"), 0);
    let done = client.next_completion().expect("done");
    assert_eq!(done.user_data, 7);
    done.result.expect("the successor took it");
    assert_eq!(client.get(&key).expect("get").as_deref(), Some(b"after".as_slice()));
}

#[test]
fn loading_and_cluster_down_are_waited_out() {
    let mut client = connect(ModelConfig::default());
    let key = key_of(&client, 0);
    for fault in [true, false] {
        let cluster = client.transport_mut().cluster_mut();
        if fault {
            cluster.set_loading(0, true)
        } else {
            cluster.set_cluster_down(0, Some(ClusterDown::Everything))
        }
        let token = client.submit(cmd("SET").key(&key).arg("v"), 1).expect("submit");
        assert_eq!(client.await_all(Duration::from_secs(2), &[token]).expect("wait"), 1, "not served yet");
        let cluster = client.transport_mut().cluster_mut();
        if fault {
            cluster.set_loading(0, false)
        } else {
            cluster.set_cluster_down(0, None)
        }
        assert_eq!(client.await_all(Duration::from_secs(2), &[token]).expect("wait"), 0);
        client.next_completion().expect("done").result.expect("set");
    }
}

#[test]
fn nodes_come_and_go_without_a_restart() {
    let mut client = connect(ModelConfig::default());
    let key = key_of(&client, 0);
    let slot = slot_of(key.as_bytes());
    client.set(&key, "v").expect("set");
    let added = client.transport_mut().cluster_mut().add_node();
    client.transport_mut().cluster_mut().move_slot(slot, added);
    assert_eq!(
        client.get(&key).expect("get").as_deref(),
        Some(b"v".as_slice()),
        "the redirect names a node never heard of"
    );
    assert!(client.refresh_topology(Duration::from_secs(1)).expect("refresh"));
    assert_eq!(client.nodes().len(), 4);
    client.transport_mut().cluster_mut().move_slot(slot, 1);
    client.transport_mut().cluster_mut().remove_node(added);
    assert_eq!(client.get(&key).expect("get").as_deref(), Some(b"v".as_slice()));
    assert!(client.refresh_topology(Duration::from_secs(1)).expect("refresh"));
    assert_eq!(client.nodes().len(), 3);
}

#[test]
fn s77_s79_s93_endpoints_that_servers_do_not_name_are_found() {
    for preferred in [PreferredEndpoint::Ip, PreferredEndpoint::Unknown] {
        let mut memory = Memory::new(ModelConfig::default());
        for node in 0..3 {
            memory.cluster_mut().set_preferred_endpoint(node, preferred);
        }
        let mut client = Client::with_transport(memory.client_config(), memory).expect("connect");
        for node in 0..3 {
            let key = key_of(&client, node);
            client.set(&key, "v").expect("set");
        }
        // A redirect without a host means the host of the connection.
        let key = key_of(&client, 0);
        client.transport_mut().cluster_mut().move_slot(slot_of(key.as_bytes()), 1);
        client.set(&key, "w").expect("set");
    }
}

#[test]
fn announced_addresses_are_mapped_to_reachable_ones() {
    // The servers announce a name that nobody here can reach; only the map knows where they are.
    let mut memory = Memory::new(ModelConfig::default());
    for node in 0..3 {
        memory.cluster_mut().set_hostname(node, Some("inside.example"));
        memory.cluster_mut().set_preferred_endpoint(node, PreferredEndpoint::Hostname);
    }
    let mut config: Config = memory.client_config();
    config.command_timeout_ms = 1_000;
    let unmapped = Client::with_transport(config.clone(), Memory::new(ModelConfig::default()));
    assert!(unmapped.is_ok(), "without names nothing needs a map");
    config.address_map = Some(std::sync::Arc::new(|announced| match announced.host.as_str() {
        "inside.example" => panpipe::Endpoint::new("127.0.0.1", announced.port),
        _ => announced.clone(),
    }));
    let mut client = Client::with_transport(config, memory).expect("connect");
    for node in 0..3 {
        let key = key_of(&client, node);
        client.set(key, "v").expect("set");
    }
    assert!(
        client
            .nodes()
            .iter()
            .all(|node| node.endpoint.as_ref().is_some_and(|at| at.host == "inside.example"))
    );
}

#[test]
fn a_migrating_slot_serves_all_its_keys() {
    let mut client = connect(ModelConfig { records_writes: true, ..ModelConfig::default() });
    let tag = key_of(&client, 0);
    let keys: Vec<String> = (0..10).map(|n| format!("{{{tag}}}:{n}")).collect();
    for key in &keys {
        client.set(key, "0").expect("set");
    }
    let slot = slot_of(tag.as_bytes());
    let cluster = client.transport_mut().cluster_mut();
    cluster.begin_migration(slot, 1);
    for key in keys.iter().step_by(2) {
        assert!(cluster.migrate_key(key.as_bytes()));
    }
    let mut pipe = client.pipeline();
    let tickets: Vec<_> = keys.iter().chain(&keys).map(|key| pipe.incrby(key, 1)).collect();
    let replies = pipe.flush().expect("flush");
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(replies.get(ticket).expect("incremented"), if n < keys.len() { 1 } else { 2 });
    }
    drop(pipe);
    client.transport_mut().cluster_mut().finish_migration(slot);
    let values = client.mget(&keys).expect("mget");
    assert!(values.iter().all(|value| value.as_deref() == Some(b"2".as_slice())), "{values:?}");
    let stats = client.stats();
    assert!(stats.total.asks > 0 && stats.total.moved > 0);
    assert_eq!(stats.in_flight, 0);
}

#[test]
fn the_periodic_refresh_notices_what_no_command_does() {
    let mut client = connect(ModelConfig::default());
    client.transport_mut().cluster_mut().add_node();
    let before = client.stats().refreshes;
    let until = client.transport().now().after(Duration::from_secs(80));
    while client.transport().now() < until {
        client.wait(Some(Duration::from_secs(1))).expect("wait");
    }
    assert_eq!(client.stats().refreshes, before + 1);
}

#[test]
fn commands_without_keys_go_where_they_are_sent() {
    let mut client = with_replicas();
    for n in 0..100 {
        client.set(format!("key:{n}"), n).expect("set");
    }
    assert_eq!(client.dbsize().expect("dbsize"), 100);
    let node = client
        .nodes()
        .into_iter()
        .find_map(|node| node.endpoint.filter(|_| node.primary))
        .expect("a primary");
    let one: i64 = client.call(cmd("DBSIZE").route(Route::Node(node))).expect("dbsize");
    assert!((1..100).contains(&one));
    let pongs = client.ping_all().expect("ping");
    assert_eq!(pongs.len(), 6, "replicas too");
}

/// A transport that cannot wait any more once it is told so; what was handed to it arrives all the same.
struct Failing {
    memory: Memory,
    fails: bool,
}

impl Transport for Failing {
    fn now(&self) -> Timestamp {
        self.memory.now()
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, engine: &mut Engine) {
        self.memory.connect(conn, endpoint, engine)
    }

    fn close(&mut self, conn: ConnId) {
        self.memory.close(conn)
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        self.memory.submit(conn, engine)
    }

    fn wait(&mut self, timeout: Option<Duration>, need: Need, engine: &mut Engine) -> std::io::Result<usize> {
        if self.fails {
            Err(std::io::Error::other("no more"))
        } else {
            self.memory.wait(timeout, need, engine)
        }
    }

    fn stats(&self) -> TransportStats {
        self.memory.stats()
    }
}

#[test]
fn a_wait_that_fails_does_not_say_that_nothing_ran() {
    let memory = Memory::new(ModelConfig::default());
    let config = memory.client_config();
    let mut client = Client::with_transport(config, Failing { memory, fails: false }).expect("connect");
    client.set("k", "warm").expect("set");
    client.transport_mut().fails = true;
    let error = client.set("k", "sent").expect_err("it cannot wait");
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown, "it was handed over");
    let mut pipe = client.pipeline();
    pipe.set("k", "sent too");
    let Err(error) = pipe.flush() else { panic!("it cannot wait") };
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn a_start_without_some_slots_is_refused_only_where_all_are_required() {
    for required in [false, true] {
        let mut memory = Memory::new(ModelConfig::default());
        memory.cluster_mut().unassign_slot(7);
        let config = Config { require_full_coverage: required, ..memory.client_config() };
        match Client::with_transport(config, memory) {
            Ok(client) => {
                assert!(!required);
                assert_eq!(client.engine().uncovered_slots(), [(7, 7)]);
            }
            Err(error) => {
                assert!(required);
                assert!(error.to_string().contains("slots without a node: 7-7"), "{error}");
            }
        }
    }
}

#[test]
fn a_running_client_is_not_stopped_by_a_hole() {
    let memory = Memory::new(ModelConfig::default());
    let config = Config { require_full_coverage: true, fail_fast_uncovered: true, ..memory.client_config() };
    let mut client = Client::with_transport(config, memory).expect("all slots are served");
    let (lost, kept) = (key_of(&client, 0), key_of(&client, 1));
    client.transport_mut().cluster_mut().unassign_slot(slot_of(lost.as_bytes()));
    for _ in 0..5 {
        assert_eq!(client.set(&kept, "v").expect("its slot is served"), ());
        let error = client.set(&lost, "v").expect_err("nobody serves it");
        assert_eq!(error.outcome(), Outcome::NotExecuted, "{error}");
    }
    let error = client.set(&lost, "v").expect_err("nobody serves it");
    assert!(matches!(error.kind(), ErrorKind::SlotNotServed { .. }), "{error}");
    assert!(client.stats().refreshes_arbitrated > 0, "several nodes say so");
}
