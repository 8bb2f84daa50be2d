//! A slot moved by hand while pipelines run: MIGRATING and IMPORTING, MIGRATE, SETSLOT.

use std::time::Duration;

use panpipe::command::cmd;
use panpipe::slot::slot_of;
use panpipe::{Client, Ticket};

use crate::servers::{Cluster, PATIENCE, Version, wait_until};
use crate::transport;

const LISTS: usize = 20;
const MOVES: usize = 6;

/// Every list of the moving slot gets 1, 2, 3, … : a lost, doubled or overtaken push shows in the list itself.
pub(crate) fn a_slot_moves_back_and_forth_under_a_pipeline(version: Version) {
    let cluster = Cluster::start(version, 3, 0);
    let mut client = transport::connect(&cluster.url()).expect("connect");
    let slot = slot_of(b"moving");
    let mut pushed = [0i64; LISTS];
    push_while(&mut client, &mut pushed, || move_around(&cluster, slot));
    push_round(&mut client, &mut pushed);
    for (list, pushed) in pushed.iter().enumerate() {
        let values: Vec<i64> = client.call(cmd("LRANGE").key(name(list)).arg(0).arg(-1)).expect("LRANGE");
        let expected: Vec<i64> = (1..=*pushed).collect();
        assert_eq!(values, expected, "{}", name(list));
    }
    let total = client.stats().total;
    assert!(total.moved > 0 && total.asks > 0, "the slot moved under the client: {total:?}");
    assert_eq!(total.errors, 0);
}

/// A node that no seed knew takes a slot, gives it back and leaves for good.
pub(crate) fn nodes_join_and_leave_under_a_pipeline(version: Version) {
    let mut cluster = Cluster::start(version, 3, 0);
    let mut client = transport::connect(&cluster.url()).expect("connect");
    let slot = slot_of(b"moving");
    let owner = cluster.owner_of(slot);
    let mut pushed = [0i64; LISTS];
    push_round(&mut client, &mut pushed);
    let joined = cluster.add_node();
    wait_until("the new node to find its place", PATIENCE, || {
        let info = cluster.call(joined, &["CLUSTER", "INFO"]);
        let text = info.text().unwrap_or_default();
        if text.contains("cluster_state:ok") { Ok(()) } else { Err(text.to_owned()) }
    });
    for (from, to) in [(owner, joined), (joined, owner)] {
        push_while(&mut client, &mut pushed, || cluster.move_slot(slot, from, to));
        cluster.wait_agreed();
        push_round(&mut client, &mut pushed);
        assert!(client.refresh_topology(Duration::from_secs(2)).expect("refresh"));
        // Redis before 7 makes a replica of a primary that has lost its last slot; later ones leave it out of their views.
        let primaries = client.nodes().into_iter().filter(|node| node.primary).count();
        assert_eq!(primaries, if to == joined { 4 } else { 3 });
    }
    cluster.forget(joined);
    push_round(&mut client, &mut pushed);
    for (list, pushed) in pushed.iter().enumerate() {
        let length: i64 = client.call(cmd("LLEN").key(name(list))).expect("LLEN");
        assert_eq!(length, *pushed, "{}", name(list));
    }
}

/// Pushes until `work`, on a thread of its own, is done or has failed.
fn push_while(client: &mut Client, pushed: &mut [i64; LISTS], work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        while !worker.is_finished() {
            push_round(client, pushed);
        }
    });
}

fn name(list: usize) -> String {
    format!("{{moving}}:{list}")
}

fn move_around(cluster: &Cluster, slot: u16) {
    let first = cluster.owner_of(slot);
    for step in 0..MOVES {
        let from = (first + step) % 3;
        let to = (first + step + 1) % 3;
        cluster.set_migrating(slot, from, to);
        std::thread::sleep(Duration::from_millis(30));
        // Half-migrated for a while: some keys here, some there.
        cluster.migrate_keys(slot, LISTS / 2);
        std::thread::sleep(Duration::from_millis(60));
        cluster.finish(slot);
        std::thread::sleep(Duration::from_millis(60));
    }
}

/// One flush: ten pushes to each list, with commands for other slots between them. Every reply is the list's new length.
fn push_round(client: &mut Client, pushed: &mut [i64; LISTS]) {
    let mut pipe = client.pipeline();
    let mut expected: Vec<(Ticket<i64>, i64)> = Vec::new();
    for _ in 0..10 {
        for (list, pushed) in pushed.iter_mut().enumerate() {
            *pushed += 1;
            expected.push((pipe.call(cmd("RPUSH").key(name(list)).arg(*pushed)), *pushed));
            pipe.call::<()>(cmd("SET").key(format!("other:{list}")).arg(*pushed));
        }
    }
    let replies = pipe.flush().expect("flush");
    for (ticket, expected) in expected {
        assert_eq!(replies.get(ticket).unwrap_or_else(|error| panic!("push {expected}: {error}")), expected);
    }
    replies.all().expect("commands of other slots are not disturbed");
}
