//! How a node describes the cluster: CLUSTER SLOTS, SHARDS, NODES, INFO.
//!
//! Knows the shapes in RESP2 and RESP3 and tells the node's own view, stale or not. The shapes are those of Redis 7.0.

use std::fmt::Write;

use super::SLOT_COUNT;
use super::cluster::ModelCluster;
use super::node::PreferredEndpoint;
use super::reply::Reply;
use super::view::Peer;

/// Ports of the cluster bus lie this much above those of the clients.
const BUS_PORT_OFFSET: u16 = 10_000;

/// CLUSTER SLOTS: <https://redis.io/docs/latest/commands/cluster-slots/>
pub(crate) fn slots(cluster: &ModelCluster, me: usize, reply: &mut Reply<'_>) {
    let view = &cluster.nodes[me].view;
    let ranges = view.ranges();
    reply.array(ranges.len());
    for (first, last, owner) in ranges {
        let replicas: Vec<usize> = available(view.replicas_of(owner)).collect();
        reply.array(3 + replicas.len());
        reply.integer(first.into());
        reply.integer(last.into());
        slots_node(cluster, me, owner, reply);
        replicas.into_iter().for_each(|replica| slots_node(cluster, me, replica, reply));
    }
}

fn available<'a>(replicas: impl Iterator<Item = (usize, &'a Peer)>) -> impl Iterator<Item = usize> {
    replicas.filter(|(_, peer)| !peer.has_failed).map(|(replica, _)| replica)
}

fn slots_node(cluster: &ModelCluster, me: usize, index: usize, reply: &mut Reply<'_>) {
    let node = &cluster.nodes[index];
    let preferred = cluster.nodes[me].preferred_endpoint;
    reply.array(4);
    reply.bulk_or_null(cluster.endpoint_seen_by(me, index).map(str::as_bytes));
    reply.integer(node.port.into());
    reply.bulk(node.id.as_bytes());
    let ip = (preferred != PreferredEndpoint::Ip).then(|| cluster.ip_seen_by(me, index));
    let hostname = node.hostname.as_deref().filter(|_| preferred != PreferredEndpoint::Hostname);
    reply.map(usize::from(ip.is_some()) + usize::from(hostname.is_some()));
    for (name, value) in [("ip", ip), ("hostname", hostname)] {
        if let Some(value) = value {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
    }
}

/// CLUSTER SHARDS: <https://redis.io/docs/latest/commands/cluster-shards/>
pub(crate) fn shards(cluster: &ModelCluster, me: usize, reply: &mut Reply<'_>) {
    let view = &cluster.nodes[me].view;
    let ranges = view.ranges();
    let primaries: Vec<usize> =
        view.members().filter(|(_, peer)| peer.primary.is_none()).map(|(index, _)| index).collect();
    reply.array(primaries.len());
    for primary in primaries {
        let own: Vec<_> = ranges.iter().filter(|(_, _, owner)| *owner == primary).collect();
        let replicas: Vec<usize> = view.replicas_of(primary).map(|(replica, _)| replica).collect();
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(own.len() * 2);
        for (first, last, _) in own {
            reply.integer((*first).into());
            reply.integer((*last).into());
        }
        reply.bulk(b"nodes");
        reply.array(1 + replicas.len());
        shards_node(cluster, me, primary, "master", reply);
        replicas.into_iter().for_each(|replica| shards_node(cluster, me, replica, "replica", reply));
    }
}

fn shards_node(cluster: &ModelCluster, me: usize, index: usize, role: &str, reply: &mut Reply<'_>) {
    let node = &cluster.nodes[index];
    let has_failed = cluster.nodes[me].view.peers[index].has_failed;
    let health = if has_failed {
        "fail"
    } else if node.refusals.loading {
        "loading"
    } else {
        "online"
    };
    reply.map(7 + usize::from(node.hostname.is_some()));
    reply.bulk(b"id");
    reply.bulk(node.id.as_bytes());
    reply.bulk(b"port");
    reply.integer(node.port.into());
    reply.bulk(b"ip");
    reply.bulk(cluster.ip_seen_by(me, index).as_bytes());
    reply.bulk(b"endpoint");
    // Empty where SLOTS says NULL.
    reply.bulk(cluster.endpoint_seen_by(me, index).unwrap_or_default().as_bytes());
    if let Some(hostname) = &node.hostname {
        reply.bulk(b"hostname");
        reply.bulk(hostname.as_bytes());
    }
    reply.bulk(b"role");
    reply.bulk(role.as_bytes());
    reply.bulk(b"replication-offset");
    reply.integer(0);
    reply.bulk(b"health");
    reply.bulk(health.as_bytes());
}

/// CLUSTER NODES: <https://redis.io/docs/latest/commands/cluster-nodes/>
pub(crate) fn nodes(cluster: &ModelCluster, me: usize, now_ms: u64) -> String {
    let view = &cluster.nodes[me].view;
    let ranges = view.ranges();
    let mut text = String::new();
    for (index, peer) in view.members() {
        let node = &cluster.nodes[index];
        let ip = cluster.ip_seen_by(me, index);
        // Writing to a string cannot fail.
        let _ = write!(text, "{} {ip}:{}@{}", node.id, node.port, bus_port(node.port));
        if let Some(hostname) = &node.hostname {
            let _ = write!(text, ",{hostname}");
        }
        let primary = peer.primary.map_or("-", |primary| cluster.nodes[primary].id.as_str());
        let link = if peer.has_failed { "disconnected" } else { "connected" };
        let flags = node_flags(index == me, peer);
        let _ = write!(text, " {flags} {primary} 0 {now_ms} {} {link}", peer.epoch);
        for (first, last, _) in ranges.iter().filter(|(_, _, owner)| *owner == index) {
            let _ = if first == last { write!(text, " {first}") } else { write!(text, " {first}-{last}") };
        }
        if index == me {
            for slot in 0..SLOT_COUNT {
                if let Some(target) = node.migrating.get(&slot) {
                    let _ = write!(text, " [{slot}->-{}]", cluster.nodes[*target].id);
                } else if let Some(source) = node.importing.get(&slot) {
                    let _ = write!(text, " [{slot}-<-{}]", cluster.nodes[*source].id);
                }
            }
        }
        text.push('\n');
    }
    text
}

fn bus_port(port: u16) -> u32 {
    u32::from(port) + u32::from(BUS_PORT_OFFSET)
}

fn node_flags(is_me: bool, peer: &Peer) -> String {
    let myself = if is_me { "myself," } else { "" };
    let role = if peer.primary.is_some() { "slave" } else { "master" };
    let failed = if peer.has_failed { ",fail" } else { "" };
    format!("{myself}{role}{failed}")
}

/// CLUSTER INFO: <https://redis.io/docs/latest/commands/cluster-info/>
pub(crate) fn info(cluster: &ModelCluster, me: usize) -> String {
    let view = &cluster.nodes[me].view;
    let state = if cluster.down_state(me).is_some() { "fail" } else { "ok" };
    let assigned = view.assigned();
    let known = view.members().count();
    let owners = view.ranges().into_iter().map(|(_, _, owner)| owner);
    let size = owners.collect::<std::collections::BTreeSet<_>>().len();
    let own_epoch = view.peers.get(me).map_or(0, |peer| peer.epoch);
    let epoch = cluster.epoch;
    format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{assigned}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{known}\r\n\
         cluster_size:{size}\r\ncluster_current_epoch:{epoch}\r\ncluster_my_epoch:{own_epoch}\r\n\
         cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n\
         total_cluster_links_buffer_limit_exceeded:0\r\n"
    )
}
