//! Slots move while the load runs.

use std::time::Duration;

use super::book::{Book, overtaken_of_several_keys};
use super::load::Load;
use super::plan::{Bench, close, config, pass, tags_in};
use super::tally::Tally;
use crate::servers::Cluster;
use crate::transport;

const SLOTS: u16 = 16;
/// Cycles between two looks at everything.
const LOOK_EVERY: usize = 5;

/// **RC1**, by hand: MIGRATING and IMPORTING, half of the keys, the rest, SETSLOT. Sixteen slots to and fro.
pub(crate) fn by_hand(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(4, 200);
    let cluster = bench.cluster(30_000);
    to_and_fro(cluster, cycles, tally, |first, from, to| {
        let slots = first..first + SLOTS;
        for slot in slots.clone() {
            cluster.set_migrating(slot, from, to);
        }
        pass(Duration::from_millis(10));
        for slot in slots.clone() {
            cluster.migrate_keys(slot, 5);
        }
        // Half-migrated for a while: some keys here, some there.
        pass(Duration::from_millis(30));
        for slot in slots {
            cluster.finish(slot);
        }
    });
}

/// **RC1**, by the servers themselves, which show nothing of it but a MOVED.
pub(crate) fn atomic(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(4, 200);
    let cluster = bench.cluster(30_000);
    to_and_fro(cluster, cycles, tally, |first, from, to| {
        cluster.move_slots_atomically(first, first + SLOTS - 1, from, to);
    });
}

fn to_and_fro(cluster: &Cluster, cycles: usize, tally: &mut Tally, shift: impl Fn(u16, usize, usize) + Sync) {
    let [from, to] = cluster.primaries()[..2] else { panic!("two primaries at least") };
    let first = cluster.view(from).myself().slots[0].0;
    let mut tags = tags_in(first, first + SLOTS - 1, 16);
    tags.extend((0..8).map(|tag| format!("t{tag}")));
    let client = transport::connect_with(config(cluster)).expect("connect");
    let mut load = Load::new(client, Book::new(tags));
    load.pause = Duration::ZERO;
    load.book.expected = overtaken_of_several_keys;
    for cycle in 0..cycles {
        load.during(|| shift(first, from, to));
        load.rounds(2);
        load.during(|| shift(first, to, from));
        load.rounds(2);
        tally.cycles += 1;
        if cycle % LOOK_EVERY == LOOK_EVERY - 1 || cycle + 1 == cycles {
            cluster.wait_agreed();
            load.verify(cluster, &[]);
        }
    }
    let total = load.client.stats().total;
    load.book.tally.check(total.moved > 0, || "no slot moved under the client".to_owned());
    load.book.tally.check(total.disconnects == 0, || "a connection was lost".to_owned());
    close(load, tally);
}
