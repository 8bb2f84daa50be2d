//! **RC3 late writes**: commands that ran late, and FencedReconnect, which is there to prevent it.
//!
//! A client that has given a connection up, with commands on it, makes another one to the same server; the server may read that one before it has
//! worked off the first. So what is in doubt there may run behind what was submitted later. That is counted (*ran late*), and is no violation
//! without FencedReconnect; with it, it is.

use std::time::{Duration, Instant};

use panpipe::Config;

use super::book::outage;
use super::load::Load;
use super::plan::{Bench, NO_FAILOVER_MS, close, config, load, remove_keys};
use super::proxy::Proxies;
use super::tally::Tally;
use crate::servers::Cluster;

/// A client that gives a node up before the fault is over; with FencedReconnect or without.
pub(crate) fn hasty(mut config: Config, proxies: &Proxies, fenced: bool) -> Load {
    proxies.apply(&mut config);
    config.fenced_reconnect = fenced;
    let mut load = load(config);
    load.book.expected = outage;
    load.book.tally.fenced = fenced;
    load
}

/// FencedReconnect was at work.
pub(crate) fn check_fence(load: &Load, cluster: &Cluster, tally: &mut Tally) {
    let total = load.client.stats().total;
    let ended = total.fenced_reconnects;
    if load.book.tally.fenced {
        tally.check(ended > 0, || "no connection was ended by CLIENT KILL".to_owned());
        let left = remove_keys(cluster);
        tally.check(left == 0, || format!("{left} keys were written after all had been removed"));
        tally.note(format!("{ended} of {} lost connections ended by CLIENT KILL", total.disconnects));
    } else {
        tally.check(ended == 0, || format!("{ended} connections were ended, and nobody asked for it"));
    }
}

/// **RC3**: a stopped node is given up and goes on later. The wires are such as carry no reset: by one, a server would notice at its first
/// reply that nobody is there, and not run the rest.
pub(crate) fn stopped(bench: &mut Bench, tally: &mut Tally) {
    late_writes(bench, tally, false);
}

/// The same with FencedReconnect.
pub(crate) fn stopped_fenced(bench: &mut Bench, tally: &mut Tally) {
    late_writes(bench, tally, true);
}

fn late_writes(bench: &mut Bench, tally: &mut Tally, fenced: bool) {
    let cycles = bench.cycles(1, 15);
    let cluster = bench.cluster(NO_FAILOVER_MS);
    let proxies = Proxies::start(cluster);
    let config = Config { node_silent_ms: 1_000, handshake_timeout_ms: 60_000, ..config(cluster) };
    let mut load = hasty(config, &proxies, fenced);
    load.pipelines = false;
    load.window = 60_000;
    load.batch = 2_000;
    for cycle in 0..cycles {
        let victim = cluster.primaries()[cycle % 3];
        load.rounds(2);
        load.settle();
        let before = load.client.stats().total.disconnects;
        cluster.stop(victim);
        let stopped = Instant::now();
        // More than the server reads at once; then what is queued behind, for the connection that follows.
        load.rounds(10);
        while load.client.stats().total.disconnects == before && stopped.elapsed() < Duration::from_secs(60) {
            load.client.wait(Some(Duration::from_millis(20))).expect("wait");
            load.collect();
        }
        load.rounds(5);
        cluster.cont(victim);
        load.rounds(3);
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    check_fence(&load, cluster, tally);
    close(load, tally);
}
