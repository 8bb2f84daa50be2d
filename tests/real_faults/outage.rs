//! Nodes that die, stop, sleep and change roles under the load.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use panpipe::Config;

use super::book::outage;
use super::check::Loss;
use super::latency::Latencies;
use super::load::Load;
use super::plan::{Bench, NO_FAILOVER_MS, close, config, load, pass};
use super::tally::Tally;
use crate::servers::{Cluster, PATIENCE, wait_until};

/// Long enough for gossip on a busy machine, short enough to wait for.
const FAILOVER_MS: u32 = 2_500;
/// Redis votes about one primary once in two node timeouts, and a replica that was denied its votes asks again only after four.
const BARRED: Duration = Duration::from_millis(2 * FAILOVER_MS as u64 + 500);
/// How long a promoted replica serves alone before the node that it replaced is back.
const UNHELPED: Duration = Duration::from_secs(4);

/// **RC2**: `kill -9` of a primary; its replica is promoted; the old one comes back empty and follows.
pub(crate) fn killed(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(2, 50);
    let cluster = bench.cluster(FAILOVER_MS);
    let mut load = load(config(cluster));
    load.book.expected = outage;
    let mut latencies = Latencies::default();
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        let victim = cluster.primaries()[cycle % 3];
        let replica = cluster.replicas_of(victim)[0];
        load.during(|| pass(Duration::from_millis(200)));
        let before = Loss::of_all(cluster);
        let (loss, promoted) = load.during(|| {
            let loss = Loss::of(cluster, victim);
            cluster.kill(victim);
            let promoted = promotion(cluster, replica, &loss);
            // The client must find the new primary by itself: the old one is not there to name it.
            pass(if cycle % 2 == 0 { UNHELPED } else { Duration::ZERO });
            cluster.restart(victim);
            cluster.wait_healthy();
            (loss, promoted)
        });
        load.rounds(3);
        load.settle();
        latencies.add(&load.book, &loss, promoted, !load.pipelines);
        verify_after(&mut load, cluster, &before, loss, tally);
        tally.cycles += 1;
    }
    latencies.tell(tally);
    close(load, tally);
}

/// From the fault until the replica takes itself for a primary; the answer comes when all nodes do.
fn promotion(cluster: &Cluster, replica: usize, loss: &Loss) -> Duration {
    let is_primary = || cluster.view(replica).myself().is_primary();
    wait_until("a promotion", PATIENCE, || is_primary().then_some(()).ok_or_else(|| "a replica".to_owned()));
    let promoted = loss.at.elapsed();
    cluster.wait_promoted(replica);
    promoted
}

fn verify_after(
    load: &mut Load,
    cluster: &Cluster,
    before: &[(usize, Loss)],
    planned: Loss,
    tally: &mut Tally,
) {
    let mut losses = Loss::of_others(cluster, before, &planned);
    if !losses.is_empty() {
        tally.note(format!("{} failovers that nobody asked for", losses.len()));
    }
    losses.push(planned);
    load.verify(cluster, &losses);
}

/// Pipelines wait for the node that is gone; without them, and with a wide window, commands for other nodes go on.
fn elsewhere_goes_on(load: &mut Load, goes_on: bool) {
    load.settle();
    load.pipelines = !goes_on;
    load.batch = 100;
    load.window = if goes_on { 200_000 } else { 1_000 };
    load.pause = Duration::from_millis(2);
}

/// **RC3**, a stop that nobody takes for a death: no error, no lost connection.
pub(crate) fn stopped_for_a_while(bench: &mut Bench, tally: &mut Tally) {
    let stops_ms: &[u64] = if bench.is_long() { &[1_000, 5_000] } else { &[1_000] };
    let cycles = bench.cycles(2, 10);
    let cluster = bench.cluster(NO_FAILOVER_MS);
    let mut load = load(config(cluster));
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        let victim = cluster.primaries()[cycle % 3];
        for &stop_ms in stops_ms {
            load.during(|| {
                cluster.stop(victim);
                pass(Duration::from_millis(stop_ms));
                cluster.cont(victim);
            });
        }
        load.rounds(3);
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    check_no_disconnect(&load, tally);
    close(load, tally);
}

fn check_no_disconnect(load: &Load, tally: &mut Tally) {
    let disconnects = load.client.stats().total.disconnects;
    tally.check(disconnects == 0, || format!("{disconnects} connections were closed"));
}

/// **RC3**, a stop that the cluster takes for a death: failover, and then the old primary goes on and works off what it had been sent.
pub(crate) fn stopped_until_replaced(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 10);
    let least = Duration::from_secs(if bench.is_long() { 30 } else { 0 });
    let silent_ms = if bench.is_long() { 12_000 } else { 1_500 };
    let cluster = bench.cluster(FAILOVER_MS);
    let mut load = load(Config { node_silent_ms: silent_ms, ..config(cluster) });
    load.book.expected = outage;
    let mut latencies = Latencies::default();
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        let victim = cluster.primaries()[cycle % 3];
        let replica = cluster.replicas_of(victim)[0];
        load.during(|| pass(Duration::from_millis(200)));
        let before = Loss::of_all(cluster);
        let (loss, promoted) = load.during(|| {
            let loss = Loss::of(cluster, victim);
            cluster.stop(victim);
            let promoted = promotion(cluster, replica, &loss);
            pass(least.saturating_sub(loss.at.elapsed()));
            cluster.cont(victim);
            cluster.wait_healthy();
            (loss, promoted)
        });
        load.rounds(3);
        load.settle();
        latencies.add(&load.book, &loss, promoted, !load.pipelines);
        verify_after(&mut load, cluster, &before, loss, tally);
        tally.cycles += 1;
    }
    tally.note(format!("a node is given up after {:.1} s of silence", silent_ms as f64 / 1e3));
    latencies.tell(tally);
    close(load, tally);
}

/// **RC4**: clients paused, all or those that write, and a server that sleeps. Nothing is closed, order is kept.
pub(crate) fn paused(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 10);
    let seconds = if bench.is_long() { 3.0 } else { 0.7 };
    let cluster = bench.cluster(NO_FAILOVER_MS);
    let mut load = load(config(cluster));
    let ms = format!("{}", seconds * 1_000.0);
    let seconds = seconds.to_string();
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        let node = cluster.primaries()[cycle % 3];
        let faults = [
            &["CLIENT", "PAUSE", &ms, "ALL"][..],
            &["CLIENT", "PAUSE", &ms, "WRITE"],
            &["DEBUG", "SLEEP", &seconds],
        ];
        for fault in faults {
            load.during(|| {
                cluster.call(node, fault).expect(&fault);
                // Answered when the pause is over, or at once where only writes wait.
                cluster.call(node, &["PING"]).expect(&"PING");
            });
            load.rounds(3);
        }
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    check_no_disconnect(&load, tally);
    close(load, tally);
}

/// **RC7**: CLUSTER FAILOVER under load. Every rejected command is sent to the new primary; none fails, none is lost.
pub(crate) fn failed_over(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(3, 100);
    let cluster = bench.cluster(FAILOVER_MS);
    let mut load = load(config(cluster));
    let mut replaced: BTreeMap<usize, Instant> = BTreeMap::new();
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        // The nodes of a shard are three apart. An old primary may take its time to follow; meanwhile it is another shard's turn.
        let (one, other) = (cycle % 3, cycle % 3 + 3);
        let (primary, replica) = if cluster.primaries().contains(&one) { (one, other) } else { (other, one) };
        let barred = replaced.get(&primary).map_or(Duration::ZERO, |at| BARRED.saturating_sub(at.elapsed()));
        load.during(|| {
            pass(barred);
            wait_in_sync(cluster, replica);
            cluster.failover(replica);
        });
        replaced.insert(primary, Instant::now());
        load.rounds(20);
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    check_no_disconnect(&load, tally);
    close(load, tally);
}

fn wait_in_sync(cluster: &Cluster, replica: usize) {
    wait_until("a replica to be in sync", PATIENCE, || {
        let replication = cluster.call(replica, &["INFO", "replication"]);
        let is_up = replication.text().is_some_and(|text| text.contains("master_link_status:up"));
        if is_up { Ok(()) } else { Err(format!("{replication:?}")) }
    });
}

/// **RC7**, as it is used: one node after the other is restarted, a primary after its replica has taken over. Nothing is lost.
pub(crate) fn rolled(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 20);
    let cluster = bench.new_cluster(NO_FAILOVER_MS);
    let mut load = load(config(cluster));
    load.book.expected = outage;
    for cycle in 0..cycles {
        elsewhere_goes_on(&mut load, cycle % 2 == 0);
        load.during(|| {
            for primary in cluster.primaries() {
                let replica = cluster.replicas_of(primary)[0];
                restart_replica(cluster, replica);
                cluster.failover(replica);
                cluster.wait_healthy();
                restart_replica(cluster, primary);
            }
        });
        load.rounds(3);
        load.verify(cluster, &[]);
        tally.cycles += 1;
    }
    close(load, tally);
}

fn restart_replica(cluster: &Cluster, replica: usize) {
    cluster.restart(replica);
    cluster.wait_healthy();
}
