//! Whether a node serves a command's keys, or who does: the server's `getNodeByQuery`.
//!
//! Knows slots, views and open slots; refuses to know commands. The order of the checks is the server's, and the
//! differential test holds it against a real one.
//!
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding>

use super::cluster::ModelCluster;
use super::node::ClusterDown;
use super::reply::{CommandError, Done};
use super::slot_of;

const CROSSSLOT: CommandError = CommandError::new("CROSSSLOT Keys in request don't hash to the same slot");
const TRYAGAIN: CommandError = CommandError::new("TRYAGAIN Multiple keys request during rehashing of slot");
const NOT_SERVED: CommandError = CommandError::new("CLUSTERDOWN Hash slot not served");
const DOWN: CommandError = CommandError::new("CLUSTERDOWN The cluster is down");
const DOWN_FOR_WRITES: CommandError =
    CommandError::new("CLUSTERDOWN The cluster is down and only accepts read commands");

/// What the decision depends on. There is at least one key.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) is_write: bool,
    pub(crate) is_migrate: bool,
    pub(crate) asking: bool,
    pub(crate) reads_replica: bool,
}

/// Nothing when this node executes the command, else the error that the client gets.
pub(crate) fn check(cluster: &mut ModelCluster, me: usize, query: &Query<'_>, now_ms: u64) -> Done {
    let slot = slot_of(query.keys[0]);
    let owner = cluster.nodes[me].view.owner(slot).ok_or(NOT_SERVED)?;
    if query.keys.iter().any(|key| slot_of(key) != slot) {
        return Err(CROSSSLOT);
    }
    match cluster.down_state(me) {
        Some(ClusterDown::Everything) => return Err(DOWN),
        Some(ClusterDown::Writes) if query.is_write => return Err(DOWN_FOR_WRITES),
        _ => {}
    }
    let node = &mut cluster.nodes[me];
    let leaving_to = node.migrating.get(&slot).copied().filter(|_| owner == me);
    let arriving = leaving_to.is_none() && node.importing.contains_key(&slot);
    if leaving_to.is_some() || arriving {
        if query.is_migrate {
            return Ok(());
        }
        node.keyspace.set_time(now_ms);
        let present = query.keys.iter().filter(|key| node.keyspace.contains(key)).count();
        let missing = query.keys.len() - present;
        match leaving_to {
            Some(_) if missing > 0 && present > 0 => return Err(TRYAGAIN),
            Some(target) if missing > 0 => return Err(redirect_text(cluster, me, "ASK", slot, target)),
            _ => {}
        }
        if arriving && query.asking {
            let several = query.keys.iter().any(|key| *key != query.keys[0]);
            return if several && missing > 0 { Err(TRYAGAIN) } else { Ok(()) };
        }
    }
    let replicates_owner = cluster.nodes[me].view.primary_of(me) == Some(owner);
    if owner == me || (query.reads_replica && replicates_owner && !query.is_write) {
        return Ok(());
    }
    Err(redirect_text(cluster, me, "MOVED", slot, owner))
}

fn redirect_text(cluster: &ModelCluster, me: usize, word: &str, slot: u16, target: usize) -> CommandError {
    let host = cluster.endpoint_seen_by(me, target).unwrap_or_default();
    format!("{word} {slot} {host}:{}", cluster.nodes[target].port).into()
}
