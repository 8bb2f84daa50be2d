use super::*;
use crate::topology::Role;
use crate::topology::samples::{self, A, B, C, D, E, F, aliases, asked, node, ranges, with_ids};

fn nodes(text: &str) -> Result<Snapshot, SnapshotError> {
    parse_nodes(with_ids(text).as_bytes(), &asked())
}

/// One line: a primary at this address, with these flags and slots.
fn lone(address: &str, flags: &str, slots: &str) -> Result<Snapshot, SnapshotError> {
    nodes(&format!("{{A}} {address} {flags} - 0 0 1 connected {slots}\n"))
}

#[test]
fn reads_primaries_replicas_and_epochs() {
    let snapshot = nodes(samples::NODES_MIGRATING).unwrap();
    for (primary, replica) in [(A, F), (B, D), (C, E)] {
        assert_eq!(node(&snapshot, replica).role, Role::Replica);
        assert_eq!(snapshot.nodes[node(&snapshot, replica).shard].id, primary);
    }
    let epochs: Vec<_> = [A, B, C].iter().map(|id| node(&snapshot, id).config_epoch).collect();
    assert_eq!(epochs, [Some(1), Some(2), Some(3)]);
    assert_eq!(aliases(node(&snapshot, A)), ["h31870.example:31870"]);
    assert_eq!(aliases(node(&snapshot, D)), Vec::<String>::new());
}

#[test]
fn slots_under_migration_belong_to_their_source() {
    assert_eq!(
        ranges(&nodes(samples::NODES_MIGRATING).unwrap()),
        ["0-5460 127.0.0.1:31870", "5461-10922 127.0.0.1:31871", "10923-16383 127.0.0.1:31872"]
    );
}

#[test]
fn failed_and_suspected_nodes_are_not_well() {
    let snapshot = nodes(samples::NODES_FAILED_OVER).unwrap();
    assert_eq!(ranges(&snapshot)[2], "10923-16383 127.0.0.1:31874");
    let health: Vec<_> = [A, C, E, F].iter().map(|id| node(&snapshot, id).health_ok).collect();
    assert_eq!(health, [true, false, true, false]);
}

#[test]
fn every_form_of_the_address_is_understood() {
    for (address, place, others) in [
        ("127.0.0.1:7000", "127.0.0.1:7000", ""),
        ("127.0.0.1:7000@17000", "127.0.0.1:7000", ""),
        ("127.0.0.1:7000@17000,", "127.0.0.1:7000", ""),
        ("127.0.0.1:7000@17000,a.example", "127.0.0.1:7000", "a.example:7000"),
        ("127.0.0.1:7000@17000,a.example,shard-id=69bc,tls-port=0", "127.0.0.1:7000", "a.example:7000"),
        ("127.0.0.1:7000@17000,,shard-id=69bc", "127.0.0.1:7000", ""),
        ("127.0.0.1:7000@17000,shard-id=69bc", "127.0.0.1:7000", ""),
        ("127.0.0.1:7000@17000,?", "127.0.0.1:7000", ""),
        ("::1:7000@17000", "[::1]:7000", ""),
        (":7000@17000", "seed.example:7000", ""),
        ("10.0.0.1:0@17000", "10.0.0.1:31870", ""),
    ] {
        let snapshot = lone(address, "myself,master", "0-9").unwrap();
        assert_eq!(ranges(&snapshot), [format!("0-9 {place}")], "{address}");
        assert_eq!(aliases(&snapshot.nodes[0]).join(" "), others, "{address}");
    }
}

#[test]
fn only_the_asked_node_is_at_the_asked_address() {
    assert_eq!(ranges(&lone(":7000@17000", "master", "0-9").unwrap()), [format!("0-9 {A}")]);
}

#[test]
fn a_node_without_address_keeps_its_slots() {
    for address in [":0@0", "127.0.0.1:7000@17000"] {
        let snapshot = lone(address, "master,fail,noaddr", "0-9").unwrap();
        assert_eq!((ranges(&snapshot), &snapshot.nodes[0].endpoint), (vec![format!("0-9 {A}")], &None));
    }
}

#[test]
fn flags_that_say_too_little_and_handshakes_are_skipped() {
    let good = "{B} h:1@2 primary - 0 0 1 connected 0-9";
    for flags in ["handshake", "master,handshake", "noflags", "", "myself"] {
        let text = format!("{{A}} 10.0.0.1:7000@17000 {flags} - 0 0 1 connected 10-19\n{good}");
        assert_eq!(ranges(&nodes(&text).unwrap()), ["0-9 h:1"], "{flags}");
    }
}

#[test]
fn newer_flags_are_no_obstacle() {
    assert!(lone("h:1@2", "myself,master,nofailover,brand-new", "0-9").is_ok());
}

#[test]
fn a_replica_without_known_primary_is_skipped() {
    let text = "{A} h:1@2 master - 0 0 1 connected 0-9\n{D} h:3@4 slave - 0 0 1 connected\n\
                {E} h:5@6 slave {C} 0 0 1 connected\n{F} h:7@8 slave {E} 0 0 1 connected";
    assert_eq!(nodes(text).unwrap().nodes.len(), 1);
}

#[test]
fn slots_of_a_replica_are_nobodys() {
    let text = "{A} h:1@2 master - 0 0 1 connected 0-9\n{D} h:3@4 slave {A} 0 0 1 connected 10-19";
    assert_eq!(ranges(&nodes(text).unwrap()), ["0-9 h:1"]);
}

#[test]
fn broken_slots_are_skipped_and_the_others_kept() {
    for broken in ["x", "5-", "-5", "10-16384", "19-10", "1-2-3", "[93-", "[", "70000", "+"] {
        assert_eq!(
            ranges(&lone("h:1@2", "master", &format!("{broken} 7")).unwrap()),
            ["7-7 h:1"],
            "{broken}"
        );
    }
}

#[test]
fn broken_lines_are_skipped_and_the_others_kept() {
    let good = "{B} h:1@2 master - 0 0 1 connected 0-9";
    for broken in [
        "",
        " ",
        "vars currentEpoch 6 lastVoteEpoch 0",
        "{A} h:3@4 master - 0 0 1",
        "{A} h master - 0 0 1 connected 10-19",
        "{A} h:x@4 master - 0 0 1 connected 10-19",
        "{A} h:65536@4 master - 0 0 1 connected 10-19",
        "{A}! h:3@4 master - 0 0 1 connected 10-19",
        "{A}  h:3@4 master - 0 0 1 connected 10-19",
    ] {
        let snapshot = nodes(&format!("{broken}\r\n{good}\r\n")).unwrap();
        assert_eq!(ranges(&snapshot), ["0-9 h:1"], "{broken}");
    }
    let mut bytes = b"\xff\xfe h:1@2 master - 0 0 1 connected 10-19\n".to_vec();
    bytes.extend(with_ids(good).bytes());
    assert_eq!(ranges(&parse_nodes(&bytes, &asked()).unwrap()), ["0-9 h:1"]);
}

#[test]
fn an_epoch_that_is_none_is_left_out() {
    let snapshot = nodes("{A} h:1@2 master - 0 0 x connected 0-9").unwrap();
    assert_eq!(snapshot.nodes[0].config_epoch, None);
}

#[test]
fn an_empty_view_and_two_owners_are_refused() {
    assert_eq!(nodes(""), Err(SnapshotError::NoSlots));
    assert_eq!(lone(":31876@41876", "myself,master", ""), Err(SnapshotError::NoSlots));
    let twice = "{A} h:1@2 master - 0 0 1 connected 0-9\n{B} h:3@4 master - 0 0 2 connected 9";
    assert_eq!(nodes(twice), Err(SnapshotError::SlotClaimedTwice { slot: 9 }));
}

#[test]
fn the_number_of_nodes_and_bytes_is_bounded() {
    let line = |n| format!("node{n} h:1@2 master - 0 0 1 connected\n");
    let many: String = (0..5000).map(line).collect();
    assert_eq!(nodes(&many), Err(SnapshotError::TooManyNodes));
    let long = vec![b'\n'; VIEW_BYTES_MAX + 1];
    assert!(matches!(parse_nodes(&long, &asked()), Err(SnapshotError::Malformed(_))));
}
