//! Real servers for tests: one process, or a cluster of them, on loopback, gone when the value is dropped.
//!
//! What it knows: where `tests/servers/install` puts the servers, how to form a cluster and to break it, and
//! enough of RESP to talk to it. What it refuses to know: panpipe. It must not lean on the client under test, so
//! it has a small blocking client of its own.
//!
//! Invariant: no server outlives the test process. `Drop` ends it in every ordinary case, a panic among them; a
//! watcher process does where the test process was killed; the next run sweeps what even that missed.
//!
//! ```text
//! let cluster = Cluster::start(Version::Valkey91, 3, 3);     // 3 primaries, 3 replicas: nodes 0..3 and 3..6
//! let client = panpipe::Client::connect(&cluster.url())?;
//! cluster.set_migrating(866, 0, 1);                          // by hand: half of the keys, then the rest
//! cluster.migrate_keys(866, 10);
//! cluster.finish(866);
//! cluster.kill(2);
//! cluster.wait_promoted(5);
//! cluster.restart(2);
//! cluster.wait_healthy();
//! ```

#![allow(dead_code, unused_imports, reason = "each test crate uses its own part of this module")]

mod cluster;
mod form;
mod permit;
mod ports;
mod reshard;
mod resp;
mod run_dir;
mod server;
mod version;
mod view;
mod wait;

pub(crate) use cluster::{Cluster, ClusterOptions, Node};
pub(crate) use permit::{CLUSTERS_AT_ONCE_MAX, Permits, allow_one_more};
pub(crate) use resp::{Connection, Value};
pub(crate) use server::Server;
pub(crate) use version::Version;
pub(crate) use view::{View, ViewNode};
pub(crate) use wait::{PATIENCE, wait_until};
