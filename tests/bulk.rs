//! The loader over real sockets and over the model in memory.
#![cfg(feature = "testkit")]

#[path = "bulk/basics.rs"]
mod basics;
#[path = "bulk/faults.rs"]
mod faults;
#[path = "bulk/pause.rs"]
mod pause;
#[path = "bulk/random.rs"]
mod random;
#[path = "support/transport.rs"]
mod transport;
#[path = "bulk/units.rs"]
mod units;
#[path = "bulk/windows.rs"]
mod windows;
#[path = "bulk/world.rs"]
mod world;
