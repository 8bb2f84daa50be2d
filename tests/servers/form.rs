//! Servers become a cluster, and how one sees that they are one.
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>)

use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::resp::Value;
use super::view::View;
use super::wait::{PATIENCE, wait_until};

const SLOTS: usize = 16_384;

/// A handshake that got no answer is given up by the server after its node timeout; then it takes another MEET.
const MEET_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// The first `primaries` nodes share the slots, the others follow them in turn.
pub(super) fn form(cluster: &Cluster, primaries: usize) {
    let nodes = 0..cluster.nodes().len();
    for node in nodes.clone() {
        // Distinct from the start: else the nodes would have to resolve collisions first.
        let epoch = (node + 1).to_string();
        ok(cluster, node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
    }
    for node in 0..primaries {
        let slots = SLOTS * node / primaries..SLOTS * (node + 1) / primaries;
        // One argument per slot: 6.2 has no ADDSLOTSRANGE.
        let words = ["CLUSTER", "ADDSLOTS"].map(str::to_owned).into_iter();
        ok(cluster, node, &words.chain(slots.map(|slot| slot.to_string())).collect::<Vec<_>>());
    }
    meet(cluster);
    for node in nodes.skip(primaries) {
        let primary = &cluster.nodes()[(node - primaries) % primaries];
        ok(cluster, node, &["CLUSTER", "REPLICATE", &primary.id]);
    }
    cluster.wait_healthy();
}

/// Introduces every two nodes to each other, which is faster than to wait for gossip, and waits until it is done.
pub(super) fn meet(cluster: &Cluster) {
    let mut last: Option<Instant> = None;
    wait_until("the nodes to know each other", PATIENCE, || {
        let missing = strangers(cluster);
        if missing.is_empty() {
            return Ok(());
        }
        if last.is_none_or(|last| last.elapsed() > MEET_AGAIN_AFTER) {
            for &(from, to) in &missing {
                let port = cluster.nodes()[to].server.port().to_string();
                ok(cluster, from, &["CLUSTER", "MEET", "127.0.0.1", &port]);
            }
            last = Some(Instant::now());
        }
        Err(format!("these pairs do not: {missing:?}"))
    });
}

/// Pairs of nodes, the lower index first, of which one does not know the other.
fn strangers(cluster: &Cluster) -> Vec<(usize, usize)> {
    let responsive = cluster.responsive();
    let views: Vec<(usize, View)> = responsive.iter().map(|&node| (node, cluster.view(node))).collect();
    let knows =
        |view: &View, other: usize| view.node(&cluster.nodes()[other].id).is_some_and(|node| node.is_well());
    let mut pairs = Vec::new();
    for (i, (from, from_view)) in views.iter().enumerate() {
        for (to, to_view) in &views[i + 1..] {
            if !knows(from_view, *to) || !knows(to_view, *from) {
                pairs.push((*from, *to));
            }
        }
    }
    pairs
}

/// All responsive nodes are up and see the same owners; their views are the answer.
pub(super) fn agreed(cluster: &Cluster) -> Result<Vec<(usize, View)>, String> {
    let mut views: Vec<(usize, View)> = Vec::new();
    for node in cluster.responsive() {
        let info = try_text(cluster, node, &["CLUSTER", "INFO"])?;
        if !info.contains("cluster_state:ok") {
            return Err(format!("node {node} says {info:?}"));
        }
        let view = View::parse(&try_text(cluster, node, &["CLUSTER", "NODES"])?);
        if let Some((first, first_view)) = views.first()
            && first_view.owners() != view.owners()
        {
            return Err(format!(
                "node {first} sees {:?}, node {node} {:?}",
                first_view.owners(),
                view.owners()
            ));
        }
        views.push((node, view));
    }
    Ok(views)
}

/// What `Cluster::wait_healthy` promises.
pub(super) fn healthy(cluster: &Cluster) -> Result<(), String> {
    let views = agreed(cluster)?;
    for (node, view) in &views {
        if view.covered() != SLOTS as u32 {
            return Err(format!("node {node} sees an owner for {} slots only", view.covered()));
        }
        for (other, other_view) in &views {
            let Some(seen) = view.node(&cluster.nodes()[*other].id) else {
                return Err(format!("node {node} does not know node {other}"));
            };
            if !seen.is_well() || seen.primary_id != other_view.myself().primary_id {
                return Err(format!("node {node} sees node {other} as {seen:?}"));
            }
        }
        if view.myself().primary_id.is_some() {
            let replication = try_text(cluster, *node, &["INFO", "replication"])?;
            if !replication.contains("master_link_status:up") {
                return Err(format!("node {node} is not in sync: {replication:?}"));
            }
        }
    }
    Ok(())
}

fn try_text(cluster: &Cluster, node: usize, args: &[&str]) -> Result<String, String> {
    let reply = cluster.try_call(node, args).map_err(|error| format!("node {node}: {error}"))?;
    reply.text().map(str::to_owned).ok_or_else(|| format!("node {node}: {reply:?}"))
}

#[track_caller]
fn ok<A: AsRef<[u8]>>(cluster: &Cluster, node: usize, args: &[A]) {
    let name: Vec<_> = args.iter().take(3).map(|arg| String::from_utf8_lossy(arg.as_ref())).collect();
    assert_eq!(cluster.call(node, args), Value::Status("OK".into()), "{name:?} at node {node}");
}
