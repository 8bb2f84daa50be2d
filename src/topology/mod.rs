//! Who owns which slot, and who is who.
//!
//! ```text
//! CLUSTER SLOTS  ─ parse_slots ─┐
//! CLUSTER SHARDS ─ parse_shards ┼─► Snapshot ─ NodeTable::resolve_all ─► View ─ merge ─► slot changes
//! CLUSTER NODES  ─ parse_nodes ─┘   (one node's     (ids and addresses      (newer facts win,
//!                                    view, checked)   become indices)         holes keep their owner)
//! ```
//!
//! Knows the three replies that describe a cluster, which of them are to be believed, and how an answer is
//! merged into what is known already. Refuses to know connections, commands in flight, clocks (a time is a
//! number that the caller gives) and when to ask whom: that is the engine's.
//!
//! Invariant: a [`Snapshot`] that a parser hands out is consistent (see [`Snapshot::validate`]), bounded (at most
//! [`NODES_MAX`] nodes), and serves at least one slot. No bytes from a server make anything here panic.
//!
//! The shapes follow <https://redis.io/docs/latest/commands/cluster-slots/>,
//! <https://redis.io/docs/latest/commands/cluster-shards/> and
//! <https://redis.io/docs/latest/commands/cluster-nodes/>.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod announced;
mod build;
mod identity;
mod knowledge;
mod merge;
#[cfg(test)]
mod mutations;
mod parse_nodes;
mod parse_shards;
mod parse_slots;
#[cfg(test)]
mod samples;
mod slot_table;
mod snapshot;
mod testimony;

pub use identity::{NODE_TABLE_MAX, Node, NodeTable};
pub use knowledge::SlotKnowledge;
pub use merge::{Doubt, MergeSummary, SlotChange, View, merge};
pub use parse_nodes::parse_nodes;
pub use parse_shards::parse_shards;
pub use parse_slots::parse_slots;
pub use slot_table::{NodeIndex, SlotTable};
pub use snapshot::{NODES_MAX, Role, SlotRange, Snapshot, SnapshotError, SnapshotNode, VIEW_BYTES_MAX};
pub use testimony::{Testimony, join, state_ok, trusted};
