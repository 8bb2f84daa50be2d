//! Reads the reply of CLUSTER SLOTS.
//!
//! ```text
//! [[0, 5460, ["10.0.0.1", 7000, "07c3…", ["hostname", "a.example"]], ["10.0.0.4", 7003, "9fd7…", []]], …]
//!   start end  primary: preferred endpoint, port, id, other addresses      replicas, the same
//! ```
//!
//! Knows the shapes of <https://redis.io/docs/latest/commands/cluster-slots/> and the older ones: no other
//! addresses before 7.0, no id before 4.0. An entry without a usable primary and a replica that is none are
//! skipped, so that one broken entry does not hide the others.

use super::announced::{self, Host};
use super::build::{Builder, Mention};
use super::snapshot::{Snapshot, SnapshotError, VIEW_BYTES_MAX};
use crate::config::Endpoint;
use crate::resp::{ReplyKind, ReplyRef};

/// Reads a CLUSTER SLOTS reply that `asked` gave.
///
/// # Errors
///
/// Not an array, a view without slots, one that gives a slot to two nodes, one that is too large.
pub fn parse_slots(reply: ReplyRef<'_>, asked: &Endpoint) -> Result<Snapshot, SnapshotError> {
    if reply.frame().len() > VIEW_BYTES_MAX {
        return Err(SnapshotError::Malformed("the view is too long"));
    }
    if reply.kind() != ReplyKind::Array {
        return Err(SnapshotError::Malformed("CLUSTER SLOTS answers an array"));
    }
    let mut builder = Builder::default();
    for entry in reply.elements() {
        read_entry(entry, asked, &mut builder)?;
    }
    builder.finish()
}

fn read_entry(entry: ReplyRef<'_>, asked: &Endpoint, builder: &mut Builder) -> Result<(), SnapshotError> {
    let mut elements = entry.elements();
    let mut slot = || elements.next()?.as_i64().and_then(|number| u16::try_from(number).ok());
    let (Some(start), Some(end)) = (slot(), slot()) else { return Ok(()) };
    let Some(primary) = elements.next().and_then(|node| read_node(node, asked)) else { return Ok(()) };
    let Some(primary) = builder.primary(primary)? else { return Ok(()) };
    builder.range(start, end, primary);
    for replica in elements.filter_map(|node| read_node(node, asked)) {
        builder.replica(replica, primary)?;
    }
    Ok(())
}

/// `[host, port, id, other addresses]`, the last two missing in old servers.
fn read_node(node: ReplyRef<'_>, asked: &Endpoint) -> Option<Mention> {
    let mut elements = node.elements();
    let host = Host::of(elements.next()?);
    let port = announced::port(elements.next()?.as_i64()?, asked)?;
    let id = announced::node_id(elements.next().and_then(|id| id.as_bytes()));
    let others = elements.next().map(|others| others.pairs());
    let aliases = others
        .into_iter()
        .flatten()
        .filter(|(name, _)| matches!(name.as_bytes(), Some(b"ip" | b"hostname")))
        .filter_map(|(_, value)| Host::of(value).alias(port))
        .collect();
    let endpoint = host.endpoint(port, asked);
    Some(Mention { id, endpoint, aliases, health_ok: true, config_epoch: None })
}

#[cfg(test)]
mod tests;
