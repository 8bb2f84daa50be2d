//! A Redis/Valkey Cluster client that drives every node at once from one thread: no runtime, no hidden threads.
//!
//! Commands for any slots are queued; one flush writes every node's bytes in one pass, readiness is multiplexed, and each command gets its
//! own result, in the order of submission.
//!
#![cfg_attr(feature = "testkit", doc = "```")]
#![cfg_attr(not(feature = "testkit"), doc = "```ignore")]
//! use panpipe::prelude::*;
//! use panpipe::testkit::EmbeddedCluster; // a cluster in this process; yours has a URL of its own
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = EmbeddedCluster::builder().primaries(3).start()?;
//! let mut client = Client::connect(&cluster.url())?;
//! client.set("user:1", "ada")?;
//!
//! let mut pipe = client.pipeline();
//! let name = pipe.get("user:1"); // a ticket: nothing is sent yet
//! let visits = pipe.incrby("visits:1", 3);
//! let both = pipe.mget(["user:1", "user:2"]); // keys of several slots: split, sent, joined
//! let replies = pipe.flush()?; // every node at once
//! assert_eq!(replies.get(name)?.as_deref(), Some(b"ada".as_slice()));
//! assert_eq!(replies.get(visits)?, 3);
//! assert_eq!(replies.get(both)?.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * Each command has one result. Each failure says whether the command ran ([`Outcome`]): executed, not executed, unknown, or executed with its
//!   reply lost. What is unknown is sent again only where [`RetryUnknown`](config::RetryUnknown) allows it; the default repeats reads alone.
//! * Two commands of one client that share a key, and do not both read, ran in the order of submission if both end as executed, whatever
//!   redirects, migrations, failovers and reconnects came between ([`Order`](config::Order)). One that lost its place fails as
//!   [`Overtaken`](ErrorKind::Overtaken) and did not run.
//! * Not promised: an order between different keys, among commands without keys, or against a command whose outcome is unknown; that a write
//!   survives a failover; anything about commands that are routed to a node by name.
//!
//! `ARCHITECTURE.md` has the rules and what proves them.
//!
//! # Layers
//!
//! [`client`], [`pipeline`] and [`bulk`] wait, and own the clock; [`transport`] moves bytes; [`engine`] decides and remembers, without sockets, clock or
//! threads; [`command`] and [`topology`] say where a command belongs; [`resp`] and [`slot`] read and write bytes; [`error`] and [`config`] are
//! plain data. Imports point down that list only. `ARCHITECTURE.md` tells the rest.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `testkit` | a model of a cluster: in memory under virtual time, or behind loopback sockets |
//! | `io-uring` | a second transport, for Linux 6.1 and later |
//! | `cli` | the `panpipe` program (with `testkit` and `io-uring`) |

pub mod bulk;
pub mod client;
pub mod command;
pub mod config;
pub mod engine;
pub mod error;
pub mod pipeline;
pub mod resp;
pub mod slot;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod topology;
pub mod transport;

pub use bulk::{LoadOptions, Loader};
/// Shared bytes, as large values are given and taken.
pub use bytes::Bytes;
pub use client::{Budget, Client};
pub use command::cmd;
pub use config::{Config, Endpoint, Fanout, FlushPolicy, Transport};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use pipeline::{Pipeline, Replies, Ticket};

/// What a program needs to name: `use panpipe::prelude::*;`.
pub mod prelude {
    pub use bytes::Bytes;

    pub use crate::bulk::{Full, LoadOptions, Loader, OnError, PushError, RawKeys, Until};
    pub use crate::client::{Budget, Client};
    pub use crate::command::{
        Cmd, Commands, Expiry, Hashes, KeyType, Keyspace, Lists, Merge, Route, Server, SetOptions, Sets,
        SortedSets, Strings, ToArg, Ttl, cmd,
    };
    pub use crate::config::{Config, Endpoint, Fanout, FlushPolicy, Transport};
    pub use crate::error::{Error, ErrorKind, Outcome};
    pub use crate::pipeline::{Pipeline, Replies, Ticket};
    pub use crate::resp::FromReply;
}
