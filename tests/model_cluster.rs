//! What can be done to a model cluster, seen as bytes by its clients.

#![cfg(feature = "testkit")]

use panpipe::slot::slot_of;
use panpipe::testkit::{ClusterDown, HelloSupport, ModelCluster, ModelConfig, PreferredEndpoint, SessionId};

/// Of node 0 where three primaries share the slots.
const KEY: &str = "bar";
/// Of node 2.
const FAR_KEY: &str = "foo";

struct Scene {
    cluster: ModelCluster,
    now_ms: u64,
}

impl Scene {
    fn new(change: impl FnOnce(&mut ModelConfig)) -> Scene {
        let mut config =
            ModelConfig { replicas_per_primary: 1, records_writes: true, ..ModelConfig::default() };
        change(&mut config);
        Scene { cluster: ModelCluster::new(config), now_ms: 1000 }
    }

    fn open(&mut self, node: usize) -> SessionId {
        self.cluster.open(node, self.now_ms).expect("the node is up")
    }

    fn feed(&mut self, session: SessionId, line: &str) {
        let bytes = request(line);
        self.cluster.feed(session, &bytes, self.now_ms);
    }

    fn output(&mut self, session: SessionId) -> String {
        let mut out = Vec::new();
        self.cluster.take_output(session, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn ask(&mut self, session: SessionId, line: &str) -> String {
        self.feed(session, line);
        self.output(session)
    }

    /// Asks on a connection of its own.
    fn ask_node(&mut self, node: usize, line: &str) -> String {
        let session = self.open(node);
        let answer = self.ask(session, line);
        self.cluster.close(session);
        answer
    }
}

fn request(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let bulks: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{bulks}", words.len()).into_bytes()
}

#[test]
fn a_replica_takes_over_with_all_data_and_the_former_primary_follows_it() {
    let mut scene = Scene::new(|_| {});
    let session = scene.open(0);
    assert_eq!(scene.ask(session, "SET bar 1"), "+OK\r\n");
    scene.cluster.failover(3);
    assert_eq!(scene.ask(session, "GET bar"), "-MOVED 5061 127.0.0.1:7003\r\n");
    assert_eq!(scene.ask_node(3, "INCR bar"), ":2\r\n");
    assert_eq!(scene.ask(session, "READONLY"), "+OK\r\n");
    assert_eq!(scene.ask(session, "GET bar"), "$1\r\n2\r\n");
    assert_eq!(scene.cluster.primary_of(0), Some(3));
}

#[test]
fn writes_that_a_replica_missed_are_lost_at_its_promotion() {
    let mut scene = Scene::new(|_| {});
    scene.ask_node(0, "SET bar 1");
    scene.cluster.hold_replication(3);
    scene.ask_node(0, "SET bar 2");
    scene.cluster.failover(3);
    assert_eq!(scene.ask_node(3, "GET bar"), "$1\r\n1\r\n");
    // The log still knows: the loss is the servers', not the client's.
    assert_eq!(scene.cluster.writes(KEY.as_bytes()).len(), 2);
}

#[test]
fn a_dead_node_loses_its_connections_and_keeps_its_data() {
    let mut scene = Scene::new(|_| {});
    let session = scene.open(0);
    scene.feed(session, "SET bar 1");
    scene.cluster.kill(0);
    assert_eq!(scene.output(session), "");
    assert!(scene.cluster.session_closed_by_server(session));
    assert_eq!(scene.cluster.take_closed(), [session]);
    assert_eq!(scene.cluster.open(0, 0), None);
    scene.cluster.restart(0);
    assert_eq!(scene.ask_node(0, "GET bar"), "$1\r\n1\r\n");
}

#[test]
fn a_primary_that_was_replaced_while_dead_comes_back_as_a_replica() {
    let mut scene = Scene::new(|_| {});
    scene.cluster.kill(0);
    scene.cluster.failover(3);
    assert!(scene.ask_node(1, "CLUSTER NODES").contains("master,fail"));
    scene.ask_node(3, "SET bar 2");
    scene.cluster.restart(0);
    assert_eq!(scene.ask_node(0, "GET bar"), "-MOVED 5061 127.0.0.1:7003\r\n");
    let session = scene.open(0);
    scene.ask(session, "READONLY");
    assert_eq!(scene.ask(session, "GET bar"), "$1\r\n2\r\n");
    assert!(!scene.ask_node(1, "CLUSTER NODES").contains("fail"));
}

#[test]
fn a_frozen_node_executes_what_it_was_sent_when_it_thaws_with_the_view_it_had() {
    let mut scene = Scene::new(|_| {});
    let (session, gone) = (scene.open(0), scene.open(0));
    scene.cluster.freeze(0);
    scene.feed(session, "SET bar zombie");
    scene.feed(gone, "RPUSH {bar}l 1");
    scene.cluster.close(gone);
    assert_eq!(scene.output(session), "");
    scene.cluster.failover(3);
    scene.ask_node(3, "SET bar new");
    scene.cluster.thaw(0, 2000);
    assert_eq!(scene.output(session), "+OK\r\n");
    // The client that had closed was still heard; then the node learned that it is a replica.
    assert_eq!(scene.cluster.writes(b"{bar}l").len(), 1);
    assert_eq!(scene.ask(session, "GET bar"), "-MOVED 5061 127.0.0.1:7003\r\n");
    assert_eq!(scene.ask_node(3, "GET bar"), "$3\r\nnew\r\n");
    assert_eq!(scene.cluster.node(0).clients(), 1);
}

#[test]
fn two_nodes_with_different_views_send_a_client_to_and_fro() {
    let mut scene = Scene::new(|_| {});
    scene.cluster.hold_gossip(1);
    scene.cluster.move_slot(slot_of(KEY.as_bytes()), 1);
    assert_eq!(scene.ask_node(0, "GET bar"), "-MOVED 5061 127.0.0.1:7001\r\n");
    assert_eq!(scene.ask_node(1, "GET bar"), "-MOVED 5061 127.0.0.1:7000\r\n");
    scene.cluster.release_gossip(1);
    assert_eq!(scene.ask_node(1, "GET bar"), "$-1\r\n");
}

#[test]
fn a_migration_answers_ask_then_moved_and_takes_replicas_along() {
    let mut scene = Scene::new(|_| {});
    let slot = slot_of(KEY.as_bytes());
    scene.ask_node(0, "MSET bar 1 {bar}2 2");
    scene.cluster.begin_migration(slot, 1);
    assert!(scene.cluster.migrate_key(KEY.as_bytes()));
    assert!(!scene.cluster.migrate_key(KEY.as_bytes()));
    assert_eq!(scene.ask_node(0, "GET bar"), "-ASK 5061 127.0.0.1:7001\r\n");
    assert_eq!(scene.ask_node(0, "GET {bar}2"), "$1\r\n2\r\n");
    assert!(scene.ask_node(0, "MGET bar {bar}2").starts_with("-TRYAGAIN "));
    let target = scene.open(1);
    assert_eq!(scene.ask(target, "GET bar"), "-MOVED 5061 127.0.0.1:7000\r\n");
    scene.ask(target, "ASKING");
    assert_eq!(scene.ask(target, "GET bar"), "$1\r\n1\r\n");
    assert_eq!(scene.ask(target, "GET bar"), "-MOVED 5061 127.0.0.1:7000\r\n");
    scene.cluster.finish_migration(slot);
    assert_eq!(scene.ask(target, "MGET bar {bar}2"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(scene.ask_node(0, "GET {bar}2"), "-MOVED 5061 127.0.0.1:7001\r\n");
    assert_eq!(scene.cluster.node(4).keys_len(), 2);
    assert_eq!(scene.cluster.node(3).keys_len(), 0);
}

#[test]
fn a_cancelled_migration_brings_the_keys_back() {
    let mut scene = Scene::new(|_| {});
    let slot = slot_of(KEY.as_bytes());
    scene.ask_node(0, "SET bar 1");
    scene.cluster.begin_migration(slot, 1);
    scene.cluster.migrate_key(KEY.as_bytes());
    scene.cluster.cancel_migration(slot);
    assert_eq!(scene.ask_node(0, "GET bar"), "$1\r\n1\r\n");
}

#[test]
fn one_asking_covers_a_transaction() {
    let mut scene = Scene::new(|_| {});
    scene.cluster.begin_migration(slot_of(KEY.as_bytes()), 1);
    let target = scene.open(1);
    for (line, answer) in [
        ("ASKING", "+OK\r\n"),
        ("MULTI", "+OK\r\n"),
        ("SET bar 1", "+QUEUED\r\n"),
        ("GET bar", "+QUEUED\r\n"),
        ("EXEC", "*2\r\n+OK\r\n$1\r\n1\r\n"),
        ("GET bar", "-MOVED 5061 127.0.0.1:7000\r\n"),
    ] {
        assert_eq!(scene.ask(target, line), answer, "{line}");
    }
}

#[test]
fn refusals_come_in_the_order_of_the_server() {
    let mut scene = Scene::new(|config| config.password = Some("secret".into()));
    let session = scene.open(0);
    let refusals = scene.cluster.refusals_mut(0);
    refusals.busy = true;
    refusals.loading = true;
    refusals.no_replicas = true;
    refusals.misconfigured = true;
    refusals.out_of_memory = true;
    refusals.cluster_down = Some(ClusterDown::Everything);
    let mut next = |line: &str, starts: &str, change: fn(&mut ModelCluster)| {
        let answer = scene.ask(session, line);
        assert!(answer.starts_with(starts), "{line}: {answer} is not {starts}");
        change(&mut scene.cluster);
    };
    next("NOSUCH", "-ERR unknown command", |_| {});
    next("GET", "-ERR wrong number of arguments", |_| {});
    next("SET bar 1", "-NOAUTH ", |_| {});
    next("AUTH secret", "+OK", |_| {});
    next("SET bar 1", "-CLUSTERDOWN The cluster is down\r\n", |model| model.set_cluster_down(0, None));
    next("SET foo 1", "-MOVED ", |_| {});
    next("SET bar 1", "-OOM ", |model| model.refusals_mut(0).out_of_memory = false);
    next("SET bar 1", "-MISCONF ", |model| model.refusals_mut(0).misconfigured = false);
    next("SET bar 1", "-NOREPLICAS ", |model| model.refusals_mut(0).no_replicas = false);
    next("SET bar 1", "-LOADING ", |model| model.set_loading(0, false));
    next("SET bar 1", "-BUSY ", |model| model.refusals_mut(0).busy = false);
    next("SET bar 1", "+OK", |_| {});
}

#[test]
fn a_replica_whose_link_is_down_says_so() {
    let mut scene = Scene::new(|_| {});
    scene.cluster.refusals_mut(3).primary_link_down = true;
    let session = scene.open(3);
    assert_eq!(scene.ask(session, "READONLY"), "+OK\r\n");
    assert!(scene.ask(session, "GET bar").starts_with("-MASTERDOWN "));
    assert_eq!(scene.ask_node(0, "GET bar"), "$-1\r\n");
}

#[test]
fn redirects_name_nodes_as_the_node_is_told_to() {
    let mut scene = Scene::new(|_| {});
    scene.cluster.set_hostname(2, Some("far.example.com"));
    let get = format!("GET {FAR_KEY}");
    for (mode, host) in [
        (PreferredEndpoint::Ip, "127.0.0.1"),
        (PreferredEndpoint::Hostname, "far.example.com"),
        (PreferredEndpoint::Unknown, ""),
    ] {
        scene.cluster.set_preferred_endpoint(0, mode);
        assert_eq!(scene.ask_node(0, &get), format!("-MOVED 12182 {host}:7002\r\n"));
    }
    assert!(scene.ask_node(0, "CLUSTER SLOTS").contains("$-1\r\n:7002"));
    scene.cluster.set_preferred_endpoint(0, PreferredEndpoint::Hostname);
    scene.cluster.set_hostname(2, None);
    assert_eq!(scene.ask_node(0, &get), "-MOVED 12182 ?:7002\r\n");
    scene.cluster.set_preferred_endpoint(0, PreferredEndpoint::Ip);
    scene.cluster.set_knows_own_ip(0, false);
    assert!(scene.ask_node(0, "CLUSTER SLOTS").contains("$0\r\n\r\n:7000"));
}

#[test]
fn servers_without_resp3_or_without_hello_say_so() {
    let mut scene = Scene::new(|config| config.hello = HelloSupport::Resp2);
    assert_eq!(scene.ask_node(0, "HELLO 3"), "-NOPROTO unsupported protocol version\r\n");
    assert!(scene.ask_node(0, "HELLO 2").starts_with("*14\r\n"));
    let mut scene = Scene::new(|config| config.hello = HelloSupport::Unknown);
    let unknown = "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n";
    assert_eq!(scene.ask_node(0, "HELLO 3"), unknown);
}

#[test]
fn a_full_node_refuses_the_next_client_and_only_that() {
    let mut scene = Scene::new(|config| config.clients_max = 1);
    let first = scene.open(0);
    let second = scene.open(0);
    assert_eq!(scene.output(second), "-ERR max number of clients reached\r\n");
    assert!(scene.cluster.session_closed_by_server(second));
    assert_eq!(scene.ask(second, "PING"), "");
    scene.cluster.close(second);
    assert_eq!(scene.ask(first, "PING"), "+PONG\r\n");
    scene.cluster.close(first);
    let third = scene.open(0);
    assert_eq!(scene.ask(third, "PING"), "+PONG\r\n");
}

#[test]
fn the_log_holds_executed_writes_in_order_and_nothing_else() {
    let mut scene = Scene::new(|_| {});
    let session = scene.open(0);
    for line in
        ["RPUSH bar 1", "GET bar", "INCR bar", "RPUSH bar 2", "RPUSH foo 3", "DEL bar {bar}x", "DEL bar"]
    {
        scene.feed(session, line);
    }
    let writes = scene.cluster.writes(KEY.as_bytes());
    let lines: Vec<String> = writes.iter().map(|write| line_of(&write.words)).collect();
    assert_eq!(lines, ["RPUSH bar 1", "RPUSH bar 2", "DEL bar {bar}x", "DEL bar"]);
    assert_eq!(writes.iter().map(|write| write.changed).collect::<Vec<_>>(), [true, true, true, false]);
    assert!(writes.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert!(writes.iter().all(|write| write.session == session && write.node == 0));
    assert_eq!(scene.cluster.writes(b"{bar}x").len(), 1);
    assert!(scene.cluster.writes(FAR_KEY.as_bytes()).is_empty());
}

fn line_of(words: &[Vec<u8>]) -> String {
    words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn time_is_what_the_caller_says() {
    let mut scene = Scene::new(|_| {});
    let session = scene.open(0);
    scene.feed(session, "SET bar 1 PX 500");
    scene.now_ms += 499;
    assert_eq!(scene.ask(session, "PTTL bar"), "+OK\r\n:1\r\n");
    scene.now_ms += 1;
    assert_eq!(scene.ask(session, "GET bar"), "$-1\r\n");
    assert_eq!(scene.ask(session, "TIME"), "*2\r\n$1\r\n1\r\n$6\r\n500000\r\n");
}

#[test]
fn a_scan_returns_every_key_once() {
    let mut scene = Scene::new(|config| (config.primaries, config.replicas_per_primary) = (1, 0));
    let session = scene.open(0);
    (0..500).for_each(|i| scene.feed(session, &format!("SET key:{i} {i}")));
    scene.output(session);
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let answer = scene.ask(session, &format!("SCAN {cursor} COUNT 20"));
        let words: Vec<&str> = answer.split("\r\n").collect();
        found.extend(words.iter().filter(|word| word.starts_with("key:")).map(|word| (*word).to_owned()));
        cursor = words[2].to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found.len(), 500);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 500);
}

#[test]
fn a_watched_key_that_another_session_writes_stops_the_transaction() {
    let mut scene = Scene::new(|_| {});
    let (watcher, writer) = (scene.open(0), scene.open(0));
    scene.ask(watcher, "WATCH bar");
    scene.ask(writer, "SET bar 2");
    scene.ask(watcher, "MULTI");
    scene.ask(watcher, "SET bar 3");
    assert_eq!(scene.ask(watcher, "EXEC"), "*-1\r\n");
    scene.ask(watcher, "MULTI");
    scene.ask(watcher, "SET bar 3");
    assert_eq!(scene.ask(watcher, "EXEC"), "*1\r\n+OK\r\n");
}

#[test]
fn bytes_in_any_pieces_give_the_same_answers() {
    let lines =
        ["SET bar 1", "GET bar", "MULTI", "INCR bar", "EXEC", "GET foo", "HELLO 3", "MGET bar {bar}x"];
    let bytes: Vec<u8> = lines.iter().flat_map(|line| request(line)).collect();
    let answers = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scene = Scene::new(|_| {});
        let session = scene.open(0);
        pieces.for_each(|piece| scene.cluster.feed(session, piece, 0));
        scene.output(session)
    };
    let whole = answers(&mut std::iter::once(&bytes[..]));
    assert_eq!(answers(&mut bytes.chunks(1)), whole);
    for split in 0..bytes.len() {
        let (first, second) = bytes.split_at(split);
        assert_eq!(answers(&mut [first, second].into_iter()), whole, "split at {split}");
    }
}

#[test]
fn nodes_come_and_go() {
    let mut scene = Scene::new(|_| {});
    let node = scene.cluster.add_node();
    scene.cluster.move_slot(slot_of(KEY.as_bytes()), node);
    assert_eq!(scene.ask_node(0, "GET bar"), "-MOVED 5061 127.0.0.1:7006\r\n");
    assert_eq!(scene.ask_node(node, "SET bar 1"), "+OK\r\n");
    scene.cluster.remove_node(node);
    assert_eq!(scene.cluster.open(node, 0), None);
    assert_eq!(scene.ask_node(0, "GET bar"), "-CLUSTERDOWN Hash slot not served\r\n");
    assert!(!scene.ask_node(0, "CLUSTER NODES").contains(":7006@"));
}

#[test]
fn a_cluster_that_wants_full_coverage_is_down_with_a_hole() {
    let mut scene = Scene::new(|config| config.full_coverage_required = true);
    scene.cluster.unassign_slot(0);
    assert_eq!(scene.ask_node(0, "GET bar"), "-CLUSTERDOWN The cluster is down\r\n");
    assert!(scene.ask_node(0, "CLUSTER INFO").contains("cluster_state:fail"));
    scene.cluster.assign_slot(0, 1);
    assert_eq!(scene.ask_node(0, "GET bar"), "$-1\r\n");
}

#[test]
fn a_session_can_be_reset_or_fed_strange_bytes() {
    let mut scene = Scene::new(|_| {});
    let session = scene.open(0);
    scene.feed(session, "SET bar 1");
    scene.cluster.inject_output(session, b"+STRAY\r\n");
    assert_eq!(scene.output(session), "+OK\r\n+STRAY\r\n");
    scene.feed(session, "SET bar 2");
    scene.cluster.disconnect(session);
    assert_eq!(scene.output(session), "");
    assert!(scene.cluster.session_closed_by_server(session));
    assert_eq!(scene.ask_node(0, "GET bar"), "$1\r\n2\r\n");
}

#[test]
fn equal_histories_give_equal_clusters() {
    let run = || {
        let mut scene = Scene::new(|config| config.seed = 7);
        let session = scene.open(0);
        (0..50).for_each(|i| scene.feed(session, &format!("SADD {{bar}}{} {i}", i % 3)));
        scene.feed(session, "SPOP {bar}1 3");
        scene.feed(session, "KEYS *");
        scene.feed(session, "CLUSTER NODES");
        scene.output(session)
    };
    assert_eq!(run(), run());
}
