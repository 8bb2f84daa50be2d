//! One node's view of the cluster, as plain data.
//!
//! Knows what makes a view consistent. Refuses to know which reply it came from and whether it is up to date.

use crate::config::Endpoint;
use crate::slot::SLOT_COUNT;

/// Nodes in one view: servers are tested to 1000; more than this is not a cluster but an attack.
pub const NODES_MAX: usize = 4096;

/// Bytes of one view. A cluster whose slots alternate between nodes with two replicas each needs 6 MiB of
/// CLUSTER SLOTS; nobody needs more than this.
pub const VIEW_BYTES_MAX: usize = 16 << 20;

/// The last hash slot.
const SLOT_MAX: u16 = SLOT_COUNT - 1;

/// What a node does in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Serves the shard's slots.
    Primary,
    /// Copies a primary.
    Replica,
}

/// A node as one view describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotNode {
    /// Node id (40 hexadecimal digits); empty where the reply tells none (servers before 4.0).
    pub id: String,
    /// Where the node says it is to be reached. `None`: it did not say (`?`), or nothing usable.
    pub endpoint: Option<Endpoint>,
    /// Other addresses of the same node: its IP, its host name. For recognising it, not for connecting.
    pub aliases: Vec<Endpoint>,
    /// Primary or replica.
    pub role: Role,
    /// Index in [`Snapshot::nodes`] of the primary of its shard; a primary's own index.
    pub shard: usize,
    /// Whether the asked node thinks that it is well. `true` where the reply does not tell (CLUSTER SLOTS).
    pub health_ok: bool,
    /// The epoch of its claim on its slots, where the reply tells (CLUSTER NODES): the higher one is right.
    pub config_epoch: Option<u64>,
}

/// Slots in a row that one primary serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRange {
    /// First slot.
    pub start: u16,
    /// Last slot, included.
    pub end: u16,
    /// Index of the primary in [`Snapshot::nodes`].
    pub primary: usize,
}

/// One node's view of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The nodes, each once.
    pub nodes: Vec<SnapshotNode>,
    /// The served slots, in order, without overlap.
    pub ranges: Vec<SlotRange>,
}

/// Why a view is not believed. The old view stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The reply is not what the command answers.
    #[error("not a view of a cluster: {0}")]
    Malformed(&'static str),
    /// No slot is served: a node that joins no cluster yet, or was reset.
    #[error("a view in which no slot is served")]
    NoSlots,
    /// Two nodes are said to serve the same slot.
    #[error("a view in which two nodes serve slot {slot}")]
    SlotClaimedTwice {
        /// The slot.
        slot: u16,
    },
    /// More nodes than [`NODES_MAX`].
    #[error("a view of more than {NODES_MAX} nodes")]
    TooManyNodes,
}

impl Snapshot {
    /// How many slots are served.
    pub fn covered(&self) -> u32 {
        self.ranges
            .iter()
            .map(|range| u32::from(range.end).saturating_sub(u32::from(range.start)).saturating_add(1))
            .fold(0, u32::saturating_add)
    }

    /// Ranges of slots that nobody serves, both ends included.
    pub fn holes(&self) -> Vec<(u16, u16)> {
        let mut holes = Vec::new();
        let mut next = 0;
        for range in &self.ranges {
            if range.start > next {
                holes.push((next, range.start.saturating_sub(1)));
            }
            next = range.end.saturating_add(1).max(next);
        }
        if next <= SLOT_MAX {
            holes.push((next, SLOT_MAX));
        }
        holes
    }

    /// Checks what every snapshot from a parser promises: bounded, at least one slot served, ranges in order
    /// without overlap, each of a primary; every shard index names a primary.
    ///
    /// # Errors
    ///
    /// The first promise that is broken.
    pub fn validate(&self) -> Result<(), SnapshotError> {
        if self.nodes.len() > NODES_MAX {
            return Err(SnapshotError::TooManyNodes);
        }
        let is_primary = |at: usize| self.nodes.get(at).is_some_and(|node| node.role == Role::Primary);
        if !self.nodes.iter().all(|node| is_primary(node.shard)) {
            return Err(SnapshotError::Malformed("a shard without a primary"));
        }
        if self.ranges.is_empty() {
            return Err(SnapshotError::NoSlots);
        }
        let mut next = 0;
        for range in &self.ranges {
            if range.start > range.end || range.end > SLOT_MAX || !is_primary(range.primary) {
                return Err(SnapshotError::Malformed("a slot range that is none, or not a primary's"));
            }
            if range.start < next {
                return Err(SnapshotError::SlotClaimedTwice { slot: range.start });
            }
            next = range.end.saturating_add(1);
        }
        Ok(())
    }
}
