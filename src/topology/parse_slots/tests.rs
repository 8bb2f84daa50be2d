use super::*;
use crate::topology::Role;
use crate::topology::samples::{self, A, B, C, D, E, F, aliases, node, ranges, read};

fn slots(text: &str) -> Result<Snapshot, SnapshotError> {
    read(text, parse_slots)
}

#[test]
fn reads_primaries_and_their_replicas() {
    let snapshot = slots(samples::SLOTS_RESP2).unwrap();
    assert_eq!(
        ranges(&snapshot),
        ["0-5460 127.0.0.1:31870", "5461-10922 127.0.0.1:31871", "10923-16383 127.0.0.1:31872"]
    );
    assert_eq!(snapshot.covered(), 16384);
    for (primary, replica) in [(A, F), (B, D), (C, E)] {
        assert_eq!(node(&snapshot, primary).role, Role::Primary);
        assert_eq!(node(&snapshot, replica).role, Role::Replica);
        assert_eq!(snapshot.nodes[node(&snapshot, replica).shard].id, primary);
        assert_eq!(snapshot.nodes[node(&snapshot, primary).shard].id, primary);
    }
    assert!(snapshot.nodes.iter().all(|node| node.health_ok && node.config_epoch.is_none()));
}

#[test]
fn other_addresses_are_aliases_in_both_protocols() {
    let resp3 = slots(samples::SLOTS_HOSTNAMES_RESP3).unwrap();
    assert_eq!(node(&resp3, A).endpoint.as_ref().unwrap().to_string(), "127.0.0.1:31870");
    assert_eq!(aliases(node(&resp3, A)), ["h31870.example:31870"]);
    let resp2 = slots(samples::SLOTS_QUESTION_MARK_RESP2).unwrap();
    assert_eq!(node(&resp2, A).endpoint.as_ref().unwrap().to_string(), "h31870.example:31870");
    assert_eq!(aliases(node(&resp2, A)), ["127.0.0.1:31870"]);
}

#[test]
fn null_host_is_the_host_that_was_asked() {
    let snapshot = slots(samples::SLOTS_UNKNOWN_ENDPOINT_RESP3).unwrap();
    let place = |id| node(&snapshot, id).endpoint.as_ref().unwrap().to_string();
    assert_eq!((place(A), place(E)), ("seed.example:31870".into(), "seed.example:31874".into()));
    assert_eq!(aliases(node(&snapshot, A)), ["127.0.0.1:31870", "h31870.example:31870"]);
}

#[test]
fn a_node_that_does_not_know_its_ip_is_where_it_was_asked() {
    let snapshot = slots(samples::SLOTS_LONE_RESP2).unwrap();
    assert_eq!(ranges(&snapshot), ["0-100 seed.example:31876", "200-16383 seed.example:31876"]);
    assert_eq!(snapshot.nodes.len(), 1, "one node, mentioned twice");
    assert_eq!(snapshot.holes(), [(101, 199)]);
}

#[test]
fn a_question_mark_leaves_the_node_without_address_and_its_slots_with_it() {
    let snapshot = slots("*1 *4 :0 :9 *4 '? :7000 '{A} *2 'ip '10.0.0.1 *4 '? :7001 '{F} *0").unwrap();
    assert_eq!(ranges(&snapshot), [format!("0-9 {A}")]);
    assert_eq!(node(&snapshot, A).endpoint, None);
    assert_eq!(aliases(node(&snapshot, A)), ["10.0.0.1:7000"], "known, should another view call it so");
    assert_eq!(node(&snapshot, F).endpoint, None);
}

#[test]
fn ipv6_addresses_need_no_brackets() {
    assert_eq!(ranges(&slots(samples::SLOTS_IPV6_RESP3).unwrap())[0], "0-100 [::1]:31876");
}

#[test]
fn port_zero_is_the_asked_port() {
    let snapshot = slots("*1 *3 :0 :9 *4 '10.0.0.1 :0 '{A} %1 'hostname 'a.example").unwrap();
    assert_eq!(ranges(&snapshot), ["0-9 10.0.0.1:31870"]);
    assert_eq!(aliases(&snapshot.nodes[0]), ["a.example:31870"]);
}

#[test]
fn nodes_without_id_are_told_apart_by_address() {
    let snapshot = slots("*2 *4 :0 :9 *2 '10.0.0.1 :1 *2 '10.0.0.1 :3 *3 :20 :29 *2 '10.0.0.1 :1").unwrap();
    assert_eq!(snapshot.nodes.len(), 2);
    assert!(snapshot.nodes.iter().all(|node| node.id.is_empty()));
    assert_eq!(ranges(&snapshot), ["0-9 10.0.0.1:1", "20-29 10.0.0.1:1"]);
}

#[test]
fn integers_may_come_as_text() {
    assert_eq!(ranges(&slots("*1 *3 '0 '9 *3 '10.0.0.1 '7000 '{A}").unwrap()), ["0-9 10.0.0.1:7000"]);
}

#[test]
fn broken_entries_are_skipped_and_the_others_kept() {
    for broken in [
        "*2 :10 :19",                          // no node at all
        "*0",                                  //
        ":5",                                  // not an array
        "_",                                   //
        "*3 :10 :19 *0",                       // a node without anything
        "*3 :10 :19 '10.0.0.1",                // a node that is no array
        "*3 :10 :19 *3 '10.0.0.1 :65536 '{B}", // no port
        "*3 :10 :19 *3 '10.0.0.1 'x '{B}",     //
        "*3 :10 :19 *1 '10.0.0.1",             //
        "*3 :10 :19 *2 '? :7000",              // neither address nor id
        "*3 :10 :16384 *3 '10.0.0.1 :1 '{B}",  // no slot
        "*3 :-1 :19 *3 '10.0.0.1 :1 '{B}",     //
        "*3 :19 :10 *3 '10.0.0.1 :1 '{B}",     // backwards
        "*3 'x :19 *3 '10.0.0.1 :1 '{B}",      //
    ] {
        let snapshot = slots(&format!("*2 {broken} *3 :0 :9 *3 '10.0.0.9 :1 '{{A}}")).unwrap();
        assert_eq!(ranges(&snapshot), ["0-9 10.0.0.9:1"], "{broken}");
    }
}

#[test]
fn a_broken_replica_is_skipped_and_its_shard_kept() {
    let snapshot = slots("*1 *6 :0 :9 *3 'h :1 '{A} *0 _ *3 'h :2 '{B}").unwrap();
    assert_eq!((snapshot.nodes.len(), ranges(&snapshot)), (2, vec!["0-9 h:1".to_owned()]));
}

#[test]
fn a_host_that_is_none_is_as_good_as_unknown() {
    for host in ["'a/b", ":7", "*0", "'user@h"] {
        let snapshot = slots(&format!("*1 *3 :0 :9 *3 {host} :1 '{{A}}")).unwrap();
        assert_eq!(ranges(&snapshot), [format!("0-9 {A}")], "{host}");
    }
}

#[test]
fn an_empty_view_is_refused() {
    for empty in ["*0", "*1 *2 :0 :1", "*1 _"] {
        assert_eq!(slots(empty), Err(SnapshotError::NoSlots), "{empty}");
    }
}

#[test]
fn a_view_with_two_owners_of_a_slot_is_refused() {
    let claims = "*2 *3 :0 :9 *3 'h :1 '{A} *3 :9 :12 *3 'h :2 '{B}";
    assert_eq!(slots(claims), Err(SnapshotError::SlotClaimedTwice { slot: 9 }));
}

#[test]
fn what_is_no_list_is_refused() {
    for reply in ["-ERR", "+OK", ":1", "'x", "_", "%0", "*-1"] {
        assert!(matches!(slots(reply), Err(SnapshotError::Malformed(_))), "{reply}");
    }
}

#[test]
fn a_million_nodes_cost_no_more_than_the_limit() {
    let nodes: String = (0..5000).map(|n| format!(" *3 'h :1 'node{n}")).collect();
    assert_eq!(slots(&format!("*1 *5002 :0 :9{nodes}")), Err(SnapshotError::TooManyNodes));
}

#[test]
fn a_view_of_more_bytes_than_the_limit_is_refused_unread() {
    let mut bytes = b"*1\r\n".to_vec();
    bytes.resize(VIEW_BYTES_MAX + 1, b'x');
    let refused = parse_slots(ReplyRef::new(&bytes), &samples::asked());
    assert!(matches!(refused, Err(SnapshotError::Malformed(_))));
}
