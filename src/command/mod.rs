//! Commands: what the caller wants, how it is routed, and how a command over many slots is split and joined again.
//!
//! A [`Request`] borrows its arguments from the caller's stack and is encoded straight into a node's buffer: that copy is the
//! encoding, there is no other. [`Cmd`] is the raw door, an owned builder that yields a `Request`. The typed commands
//! ([`Strings`], [`Hashes`], [`Lists`], [`Sets`], [`SortedSets`], [`Keyspace`], [`Server`]) are plain methods over it,
//! written once for everything that takes [`Commands`].
//!
//! ```text
//! Cmd ── spec (table) ── locate (where are the keys?) ─┐
//! typed commands ──────────────────────────────────────┴─ Request ── plan: one slot | parts by slot | a route
//!                                                                    write, write_part ──→ a node's buffer
//!                                                                    merge: the parts' replies ──→ one reply
//! ```
//!
//! This module knows nothing of nodes or connections. Keys are where the table or the caller says they are; "the first
//! argument is the key" is never guessed. Invariants: a plan names slots below 16384 only, every argument of a split
//! command is in exactly one part, and what is written is as long as announced.

pub mod arg;
pub mod cmd;
mod commands;
pub mod expiry;
mod hashes;
mod idempotency;
mod inspect;
mod keys;
mod keyspace;
mod list;
mod lists;
mod locate;
pub mod merge;
mod plan;
mod replies;
mod request;
pub(crate) mod retry;
mod row;
mod server;
mod sets;
mod sorted_sets;
pub mod spec;
mod strings;
mod table;

#[cfg(test)]
mod testing;

use crate::config::Endpoint;

pub use arg::{Arg, ToArg};
pub use cmd::{Cmd, cmd, keys_of};
pub use commands::{Commands, ToRequest};
pub use expiry::{Expiry, SetOptions};
pub use hashes::Hashes;
pub use idempotency::Idempotency;
pub use keys::Keys;
pub use keyspace::Keyspace;
pub use lists::Lists;
pub use merge::Merge;
pub use replies::{KeyType, Ttl};
pub use request::Request;
pub use server::Server;
pub use sets::Sets;
pub use sorted_sets::SortedSets;
pub use spec::{Spec, known_commands};
pub use strings::Strings;

pub(crate) use inspect::inspect;
pub(crate) use plan::{Part, Plan};

/// Where a command without keys goes, or where the caller wants a command to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Any primary; the client picks one.
    AnyPrimary,
    /// Every primary; the replies are joined.
    AllPrimaries,
    /// Every node, replicas included; the replies are joined.
    AllNodes,
    /// The primary of this slot (0..16383).
    Slot(u16),
    /// The primary that this key belongs to.
    Key(Vec<u8>),
    /// This node, named as the topology names it.
    Node(Endpoint),
}
