//! Which views are believed: one that is bounded, consistent, and of the cluster that we know.
//!
//! Consistency (a slot served, no slot by two nodes) is the parsers' to check. A view that is not believed changes nothing, and another node
//! is asked.

use crate::engine::Engine;
use crate::resp::reply::ReplyRef;
use crate::topology::{self, Snapshot};

impl Engine {
    /// One node's view, if it can be believed at all.
    pub(crate) fn read_view(&mut self, row: u16, reply: ReplyRef<'_>) -> Result<Snapshot, String> {
        self.check_view_bytes(reply.frame().len())?;
        let asked = self.nodes.get(row).and_then(|node| node.endpoint().cloned());
        let asked = asked.or_else(|| self.links.get(usize::from(row))?.dialled.clone());
        let asked = asked.ok_or("its address is unknown")?;
        let snapshot = topology::parse_slots(reply, &asked).map_err(|error| {
            self.refresh.too_large += u64::from(error == topology::SnapshotError::TooManyNodes);
            error.to_string()
        })?;
        self.check_view_nodes(&snapshot)?;
        if self.is_of_another_cluster(row, &snapshot) {
            return Err("it shares no node with the cluster as known: another cluster's".to_owned());
        }
        Ok(snapshot)
    }

    pub(crate) fn check_view_bytes(&mut self, bytes: usize) -> Result<(), String> {
        let bytes_max = self.config.limits.view_bytes_max;
        if bytes <= bytes_max {
            return Ok(());
        }
        self.refresh.too_large += 1;
        Err(format!("a view of {bytes} bytes, and {bytes_max} are allowed"))
    }

    pub(crate) fn check_view_nodes(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let (nodes, nodes_max) = (snapshot.nodes.len(), self.config.limits.view_nodes_max);
        if nodes <= nodes_max {
            return Ok(());
        }
        self.refresh.too_large += 1;
        Err(format!("a view of {nodes} nodes, and {nodes_max} are allowed"))
    }

    /// Whether a view comes from a node that has left for another cluster, or never was in ours: it names none of our nodes, and the node
    /// that gave it is one of them, or one of them is still in service. Who is found at an address that is no seed's is not believed either:
    /// only the seeds are the caller's word for which cluster is meant.
    fn is_of_another_cluster(&self, row: u16, snapshot: &Snapshot) -> bool {
        let is_ours = |row: u16| {
            let known = self.nodes.get(row).is_some_and(|node| !node.id().is_empty());
            known && self.links.get(usize::from(row)).is_some_and(|link| link.in_view)
        };
        let named = |id: &str| self.nodes.by_id(id).is_some_and(is_ours);
        let mut others = (0..self.links.len() as u16).filter(|&row| is_ours(row) && self.can_be_asked(row));
        let vouched_for = !self.has_topology() || self.is_at_seed(row);
        !snapshot.nodes.iter().any(|node| named(&node.id))
            && (is_ours(row) || others.next().is_some() || !vouched_for)
    }
}
