//! The scenarios: what redirects, wires, servers and topologies do to a client, and what its user notices. One small script each, named by its
//! number.
//!
//! A scenario is data (`script.rs`): a cluster, a configuration, and steps that change the cluster, send commands, and say what comes back,
//! what was counted and what the servers executed. One interpreter runs them all (`world.rs`), over sockets, or under virtual time where a
//! scenario is about waits that nobody wants to sit out. `coverage.rs` holds the list of all numbers: each is run here, or is listed with
//! the test that runs it elsewhere, or with the reason why nothing runs it yet.
#![cfg(feature = "testkit")]

#[path = "scenarios/coverage.rs"]
mod coverage;
#[path = "scenarios/handshakes.rs"]
mod handshakes;
#[path = "scenarios/names.rs"]
mod names;
#[path = "scenarios/nodes.rs"]
mod nodes;
#[path = "scenarios/order.rs"]
mod order;
#[path = "scenarios/redirects.rs"]
mod redirects;
#[path = "scenarios/results.rs"]
mod results;
#[path = "scenarios/script.rs"]
mod script;
#[path = "scenarios/seeds.rs"]
mod seeds;
#[path = "scenarios/states.rs"]
mod states;
#[path = "scenarios/topologies.rs"]
mod topologies;
#[path = "support/transport.rs"]
mod transport;
#[path = "scenarios/units.rs"]
mod units;
#[path = "scenarios/wires.rs"]
mod wires;
#[path = "scenarios/world.rs"]
mod world;
