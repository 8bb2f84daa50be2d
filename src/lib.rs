//! A Redis/Valkey Cluster client that drives every node at once from one thread.

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

pub use client::{Budget, Client};
pub use command::cmd;
pub use config::{Config, Endpoint, Fanout, FlushPolicy};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use pipeline::{Pipeline, Replies, Ticket};

/// What a program needs to name: `use panpipe::prelude::*;`.
pub mod prelude {
    pub use crate::client::{Budget, Client};
    pub use crate::command::{
        Cmd, Commands, Expiry, Hashes, KeyType, Keyspace, Lists, Merge, Route, Server, SetOptions, Sets,
        SortedSets, Strings, ToArg, Ttl, cmd,
    };
    pub use crate::config::{Config, Endpoint, Fanout, FlushPolicy};
    pub use crate::error::{Error, ErrorKind, Outcome};
    pub use crate::pipeline::{Pipeline, Replies, Ticket};
    pub use crate::resp::FromReply;
}
