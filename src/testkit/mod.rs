//! A model of a cluster, for tests and demonstrations.
//!
//! [`ModelCluster`] is a whole Redis/Valkey cluster in memory: bytes in, bytes out, time as an argument. It answers
//! like a real server, byte for byte where a client can see it, and does on command what real clusters do by accident:
//! slots migrate, nodes freeze, die, lag behind and fail over. [`EmbeddedCluster`] puts the same model behind real
//! loopback sockets.
//!
//! The model knows servers; it refuses to know the client of this crate, so that both can be wrong independently.
//! Its commands are tested against a real server with random traces (`tests/model_differential.rs`). What it leaves
//! out: permissions, scripts, blocking commands, publish/subscribe, streams, persistence.
//!
//! ```
//! use panpipe::testkit::{ModelCluster, ModelConfig};
//!
//! let mut cluster = ModelCluster::new(ModelConfig { primaries: 2, ..ModelConfig::default() });
//! let session = cluster.open(0, 0).expect("the node is up");
//! cluster.feed(session, b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n", 0);
//! let mut answer = Vec::new();
//! cluster.take_output(session, &mut answer);
//! assert_eq!(answer, b"-MOVED 12182 127.0.0.1:7001\r\n");
//! ```

use crate::slot::{SLOT_COUNT, slot_of};

mod cluster;
mod cluster_commands;
mod cluster_report;
mod config;
mod connection;
mod counters;
mod dice;
mod dispatch;
mod expiry;
mod extended;
mod faults;
mod glob;
mod hashes;
mod journal;
mod keys;
mod keyspace;
mod lists;
mod memory;
mod migrate;
mod network;
mod node;
mod number;
mod operations;
mod quirks;
mod redirect;
mod reply;
mod request;
mod server;
mod session;
mod sets;
mod sorted_set;
mod sorted_set_ranges;
mod sorted_sets;
mod strings;
mod table;
mod tcp;
mod tcp_connection;
mod transaction;
mod view;

pub use cluster::{ExecutedWrite, ModelCluster};
pub use config::{HelloSupport, ModelConfig};
pub use dice::Dice;
pub use journal::Execution;
pub use memory::Memory;
pub use network::{Ending, Network, NetworkOptions, Tap, Way};
pub use node::{ClusterDown, ModelNode, PreferredEndpoint, Refusals};
pub use quirks::Quirk;
pub use session::SessionId;
pub use tcp::{EmbeddedCluster, EmbeddedClusterBuilder};
