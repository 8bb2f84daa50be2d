use super::*;
use crate::topology::samples::{self, A, B, C, D, E, F, aliases, node, ranges, read};

fn shards(text: &str) -> Result<Snapshot, SnapshotError> {
    read(text, parse_shards)
}

#[test]
fn reads_flat_lists_of_resp2() {
    let snapshot = shards(samples::SHARDS_HOSTNAMES_RESP2).unwrap();
    assert_eq!(
        ranges(&snapshot),
        [
            "0-5460 h31870.example:31870",
            "5461-10922 h31871.example:31871",
            "12000-12000 h31871.example:31871"
        ]
    );
    assert_eq!(aliases(node(&snapshot, A)), ["127.0.0.1:31870"]);
    for (primary, replica) in [(A, F), (B, D)] {
        assert_eq!(snapshot.nodes[node(&snapshot, replica).shard].id, primary);
        assert_eq!(node(&snapshot, replica).role, Role::Replica);
    }
    assert!(node(&snapshot, F).health_ok);
    assert!(!node(&snapshot, D).health_ok, "a node that is loading is not well");
}

#[test]
fn reads_maps_of_resp3_and_empty_endpoints() {
    let snapshot = shards(samples::SHARDS_FAILED_OVER_RESP3).unwrap();
    assert_eq!(ranges(&snapshot), ["0-5460 seed.example:31870", "10923-16383 seed.example:31874"]);
    assert_eq!(aliases(node(&snapshot, A)), ["127.0.0.1:31870", "h31870.example:31870"]);
    let failed = node(&snapshot, C);
    assert_eq!((failed.role, failed.health_ok), (Role::Primary, false));
    assert_eq!(aliases(node(&snapshot, E)), ["127.0.0.1:31874"]);
}

/// A shard of one node with these properties, after `'role 'master`.
fn lone(properties: &str) -> Result<Snapshot, SnapshotError> {
    let count = properties.split_whitespace().count() + 2;
    shards(&format!("*1 *4 'slots *2 :0 :9 'nodes *1 *{count} 'role 'master {properties}"))
}

#[test]
fn the_tls_port_serves_where_there_is_no_plain_one() {
    for (ports, port) in [
        ("'port :7000 'tls-port :7443", 7000),
        ("'tls-port :7443", 7443),
        ("'port :0 'tls-port :7443", 7443),
        ("'port :0", 31870),
        ("'id '{A}", 31870),
    ] {
        assert_eq!(
            ranges(&lone(&format!("'endpoint 'h {ports}")).unwrap()),
            [format!("0-9 h:{port}")],
            "{ports}"
        );
    }
}

#[test]
fn without_endpoint_the_ip_serves() {
    assert_eq!(ranges(&lone("'ip '10.0.0.1 'port :1").unwrap()), ["0-9 10.0.0.1:1"]);
}

#[test]
fn a_question_mark_or_no_host_at_all_leaves_the_node_without_address() {
    for host in ["'endpoint '? 'ip '10.0.0.1", "'endpoint 'a/b", "'port :1"] {
        assert_eq!(ranges(&lone(&format!("'id '{{A}} {host}")).unwrap()), [format!("0-9 {A}")], "{host}");
    }
}

#[test]
fn of_two_primaries_the_one_that_is_well_has_the_slots() {
    let failed = "*8 'id '{C} 'endpoint 'h 'role 'master 'health 'fail";
    let well = "*8 'id '{E} 'endpoint 'g 'role 'master 'health 'online";
    for nodes in [[failed, well], [well, failed]] {
        let snapshot = shards(&format!("*1 *4 'slots *2 :0 :9 'nodes *2 {} {}", nodes[0], nodes[1])).unwrap();
        assert_eq!(ranges(&snapshot), ["0-9 g:31870"]);
        assert_eq!(node(&snapshot, C).role, Role::Primary);
    }
    let snapshot = shards(&format!("*1 *4 'slots *2 :0 :9 'nodes *1 {failed}")).unwrap();
    assert_eq!(ranges(&snapshot), ["0-9 h:31870"], "until somebody takes over");
}

#[test]
fn broken_shards_are_skipped_and_the_others_kept() {
    for broken in [
        "*0",
        "_",
        ":1",
        "*2 'slots *2 :10 :19",
        "*4 'slots *2 :10 :19 'nodes *0",
        "*3 'slots *2 :10 :19 'nodes",
        "*4 'slots *2 :10 :19 'nodes *1 *4 'id '{B} 'endpoint 'h", // no role
        "*4 'slots *2 :10 :19 'nodes *1 *4 'endpoint 'h 'role 'replica",
        "*4 'slots *2 :10 :19 'nodes *1 *6 'endpoint 'h 'role 'master 'port :65536",
        "*4 'slots *2 :10 :19 'nodes *1 *6 'endpoint 'h 'role 'master 'port 'x",
        "*4 'slots *2 :10 :19 'nodes *1 *4 'role 'master 'port :1", // nothing to tell it from others
        "*4 'slots *3 :10 :19 :20 'nodes *1 *4 'endpoint 'h 'role 'master",
        "*4 'slots *2 :10 :16384 'nodes *1 *4 'endpoint 'h 'role 'master",
        "*4 'slots *2 :19 :10 'nodes *1 *4 'endpoint 'h 'role 'master",
    ] {
        let good = "*4 'slots *2 :0 :9 'nodes *1 *6 'id '{A} 'endpoint 'good 'role 'master";
        let snapshot = shards(&format!("*2 {broken} {good}")).unwrap();
        assert_eq!(ranges(&snapshot), ["0-9 good:31870"], "{broken}");
    }
}

#[test]
fn an_empty_view_and_two_owners_are_refused() {
    let fresh = "*1 *4 'slots *0 'nodes *1 *6 'id '{A} 'endpoint ' 'role 'master";
    assert_eq!(shards(fresh), Err(SnapshotError::NoSlots));
    let shard = |id| format!("%2 'slots *2 :0 :9 'nodes *1 %3 'id '{id} 'endpoint 'h 'role 'master");
    let twice = shards(&format!("*2 {} {}", shard(A), shard(B)));
    assert_eq!(twice, Err(SnapshotError::SlotClaimedTwice { slot: 0 }));
    assert!(matches!(shards("-ERR"), Err(SnapshotError::Malformed(_))));
}

#[test]
fn the_number_of_nodes_is_bounded() {
    let nodes: String = (0..5000).map(|n| format!(" *4 'id 'node{n} 'role 'master")).collect();
    assert_eq!(
        shards(&format!("*1 *4 'slots *2 :0 :9 'nodes *5000{nodes}")),
        Err(SnapshotError::TooManyNodes)
    );
}
