//! The loader over real sockets and over the model in memory.
#![cfg(feature = "testkit")]

#[path = "bulk/basics.rs"]
mod basics;
#[path = "support/transport.rs"]
mod transport;
