//! Reads the reply of CLUSTER SHARDS.
//!
//! ```text
//! [{"slots": [0, 5460, 9000, 9000],
//!   "nodes": [{"id": "07c3…", "port": 7000, "ip": "10.0.0.1", "endpoint": "10.0.0.1", "hostname": "a.example",
//!              "role": "master", "replication-offset": 42, "health": "online"}, …]}, …]
//! ```
//!
//! Knows the shape of <https://redis.io/docs/latest/commands/cluster-shards/>: maps in RESP3, flat arrays of
//! names and values in RESP2; names that it does not know are skipped. So are a node that is malformed, and a
//! shard in which nobody is a primary.

use super::announced::{self, Host};
use super::build::{Builder, Mention};
use super::snapshot::{Role, Snapshot, SnapshotError, VIEW_BYTES_MAX};
use crate::config::Endpoint;
use crate::resp::{ReplyKind, ReplyRef};

/// Reads a CLUSTER SHARDS reply that `asked` gave.
///
/// # Errors
///
/// Not an array, a view without slots, one that gives a slot to two nodes, one that is too large.
pub fn parse_shards(reply: ReplyRef<'_>, asked: &Endpoint) -> Result<Snapshot, SnapshotError> {
    if reply.frame().len() > VIEW_BYTES_MAX {
        return Err(SnapshotError::Malformed("the view is too long"));
    }
    if reply.kind() != ReplyKind::Array {
        return Err(SnapshotError::Malformed("CLUSTER SHARDS answers an array"));
    }
    let mut builder = Builder::default();
    for shard in reply.elements() {
        read_shard(shard, asked, &mut builder)?;
    }
    builder.finish()
}

fn read_shard(shard: ReplyRef<'_>, asked: &Endpoint, builder: &mut Builder) -> Result<(), SnapshotError> {
    let (mut slots, mut nodes) = (None, None);
    for (name, value) in shard.pairs() {
        match name.as_bytes() {
            Some(b"slots") => slots = Some(value),
            Some(b"nodes") => nodes = Some(value),
            _ => {}
        }
    }
    let (Some(slots), Some(nodes)) = (slots, nodes) else { return Ok(()) };
    let mut nodes: Vec<_> = nodes.elements().filter_map(|node| read_node(node, asked)).collect();
    // While a replica takes over, the failed primary is still called one: the slots are those of the one that is
    // well.
    let is_primary = |(role, _): &(Role, Mention)| *role == Role::Primary;
    let serving = nodes
        .iter()
        .position(|node| is_primary(node) && node.1.health_ok)
        .or_else(|| nodes.iter().position(is_primary));
    let Some(serving) = serving else { return Ok(()) };
    let Some(primary) = builder.primary(nodes.remove(serving).1)? else { return Ok(()) };
    for (start, end) in slots.pairs() {
        let slot = |number: ReplyRef<'_>| number.as_i64().and_then(|number| u16::try_from(number).ok());
        if let (Some(start), Some(end)) = (slot(start), slot(end)) {
            builder.range(start, end, primary);
        }
    }
    for (role, mention) in nodes {
        match role {
            Role::Primary => drop(builder.primary(mention)?),
            Role::Replica => builder.replica(mention, primary)?,
        }
    }
    Ok(())
}

fn read_node(node: ReplyRef<'_>, asked: &Endpoint) -> Option<(Role, Mention)> {
    let mut id = String::new();
    let (mut plain_port, mut tls_port) = (0, 0);
    let (mut endpoint, mut ip, mut hostname) = (None, None, None);
    let (mut role, mut health_ok) = (None, true);
    for (name, value) in node.pairs() {
        match name.as_bytes()? {
            b"id" => id = announced::node_id(value.as_bytes()),
            b"port" => plain_port = value.as_i64()?,
            b"tls-port" => tls_port = value.as_i64()?,
            b"endpoint" => endpoint = Some(Host::of(value)),
            b"ip" => ip = Some(Host::of(value)),
            b"hostname" => hostname = Some(Host::of(value)),
            b"role" => role = read_role(value.as_bytes()?),
            // `loading` and `fail` (also `failed`) are not well.
            b"health" => health_ok = value.as_bytes() == Some(b"online"),
            _ => {}
        }
    }
    let port = announced::port(if plain_port == 0 { tls_port } else { plain_port }, asked)?;
    let aliases = [ip, hostname].into_iter().flatten().filter_map(|host| host.alias(port)).collect();
    let endpoint = endpoint.or(ip).unwrap_or(Host::Unknown).endpoint(port, asked);
    Some((role?, Mention { id, endpoint, aliases, health_ok, config_epoch: None }))
}

fn read_role(text: &[u8]) -> Option<Role> {
    match text {
        b"master" | b"primary" => Some(Role::Primary),
        b"replica" | b"slave" => Some(Role::Replica),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
