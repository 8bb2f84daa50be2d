//! A Redis/Valkey Cluster client that drives every node at once from one thread.

pub mod command;
pub mod config;
pub mod engine;
pub mod error;
pub mod resp;
pub mod slot;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod topology;
pub mod transport;
