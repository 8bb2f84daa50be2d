//! Clusters that grow, shrink and move house.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use panpipe::command::cmd;
use panpipe::{Config, Endpoint};

use super::book::{Op, overtaken_of_several_keys};
use super::check::{owner_of, owners};
use super::load::Load;
use super::plan::{Bench, close, config, load};
use super::tally::{Tally, median_and_worst};
use crate::servers::{Cluster, ClusterOptions, PATIENCE, wait_until};

const NAME: &str = "scaled";

/// **RC8**: three primaries become six and three again, the new ones are shut down and forgotten. No command is lost, no connection is left.
pub(crate) fn scaled(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 5);
    let mut cluster = Cluster::start_with(bench.version, 3, 0, patient());
    let mut load = load(Config { client_name: Some(NAME.to_owned()), ..config(&cluster) });
    load.book.expected = overtaken_of_several_keys;
    load.rounds(3);
    for _ in 0..cycles {
        let joined: Vec<usize> = (0..3).map(|_| load.during(|| cluster.add_node())).collect();
        load.during(|| joined.iter().for_each(|&node| wait_ready(&cluster, node)));
        let moves: Vec<(u16, usize, usize)> = chosen(&cluster, &load)
            .into_iter()
            .enumerate()
            .map(|(n, (slot, from))| (slot, from, joined[n % joined.len()]))
            .collect();
        load.during(|| moves.iter().for_each(|&(slot, from, to)| shift(&cluster, slot, from, to)));
        cluster.wait_agreed();
        load.rounds(3);
        load.verify(&cluster, &[]);
        load.during(|| moves.iter().for_each(|&(slot, from, to)| shift(&cluster, slot, to, from)));
        cluster.wait_agreed();
        load.rounds(3);
        load.verify(&cluster, &[]);
        load.during(|| joined.iter().for_each(|&node| cluster.forget(node)));
        load.rounds(3);
        load.verify(&cluster, &[]);
        tally.cycles += 1;
    }
    load.client.refresh_topology(Duration::from_secs(60)).expect("refresh");
    let primaries = load.client.nodes().into_iter().filter(|node| node.primary).count();
    tally.check(primaries == 3, || format!("the client knows {primaries} primaries"));
    for node in cluster.responsive() {
        let connections = connections(&cluster, node);
        tally.check(connections <= 1, || format!("{connections} connections to node {node}"));
    }
    close(load, tally);
}

/// Nobody is to be taken for dead.
fn patient() -> ClusterOptions {
    ClusterOptions { node_timeout_ms: 30_000, require_full_coverage: false, ..ClusterOptions::default() }
}

/// Until a new node knows an owner for every slot, and takes the cluster for up: it serves nothing, and takes no keys, before.
fn wait_ready(cluster: &Cluster, node: usize) {
    wait_until("a new node to find its place", PATIENCE, || {
        let covered = cluster.view(node).covered();
        let info = cluster.call(node, &["CLUSTER", "INFO"]);
        let is_up = info.text().is_some_and(|info| info.contains("cluster_state:ok"));
        if covered == 16_384 && is_up {
            return Ok(());
        }
        Err(format!("it knows owners for {covered} slots, and is up: {is_up}"))
    });
}

/// Half of the slots that the load uses, and their owners.
fn chosen(cluster: &Cluster, load: &Load) -> Vec<(u16, usize)> {
    let owners = owners(cluster);
    let slots = load.book.tags.iter().step_by(2).map(|tag| tag.slot);
    slots.map(|slot| (slot, owner_of(&owners, slot))).collect()
}

fn shift(cluster: &Cluster, slot: u16, from: usize, to: usize) {
    if cluster.nodes()[from].server.version().moves_slots_atomically() {
        cluster.move_slots_atomically(slot, slot, from, to);
    } else {
        cluster.move_slot(slot, from, to);
    }
}

fn connections(cluster: &Cluster, node: usize) -> usize {
    let list = cluster.call(node, &["CLIENT", "LIST"]);
    let name = format!(" name={NAME} ");
    list.text().unwrap_or_default().lines().filter(|line| line.contains(&name)).count()
}

/// **RC11**: all nodes are restarted at other ports. No address that the client ever saw is right any more; what leads it back is the name that
/// it was given as a seed.
pub(crate) fn moved_house(bench: &mut Bench, tally: &mut Tally) {
    let cycles = bench.cycles(1, 5);
    let mut cluster = Cluster::start_with(bench.version, 3, 3, patient());
    let found: Arc<Mutex<Vec<SocketAddr>>> = Arc::new(Mutex::new(addresses(&cluster)));
    let resolved = Arc::clone(&found);
    let mut config = Config { reconnect_max_ms: 500, ..config(&cluster) };
    config.seeds = vec![Endpoint::new("seed.example", 6379)];
    config.resolver = Some(Arc::new(move |host, _| {
        assert_eq!(host, "seed.example", "nodes announce addresses");
        Ok(resolved.lock().expect("no panic while resolving").clone())
    }));
    let mut load = load(config);
    let mut seconds = Vec::new();
    for _ in 0..cycles {
        load.rounds(5);
        load.verify(&cluster, &[]);
        load.pipelines = false;
        load.book.expected = anything;
        load.during(|| {
            cluster.restart_elsewhere();
            *found.lock().expect("no panic while resolving") = addresses(&cluster);
        });
        let set = || cmd("SET").key("t0").arg("here again");
        let up = Instant::now();
        let back = load.eventually::<()>(set, PATIENCE);
        seconds.push(up.elapsed().as_secs_f64());
        tally.check(back.is_ok(), || format!("{back:?}"));
        load.settle();
        // The servers kept nothing: what ran before has nothing to be compared with.
        load.book.renew();
        (load.pipelines, load.book.expected) = (true, super::book::none);
        load.rounds(5);
        load.verify(&cluster, &[]);
        tally.cycles += 1;
    }
    tally.recovery = format!("{} behind the nodes", median_and_worst(&mut seconds));
    close(load, tally);
}

fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster.nodes().iter().map(|node| node.server.address()).collect()
}

/// Everything is gone for a while.
fn anything(_: &Op, _: &panpipe::Error) -> bool {
    true
}
