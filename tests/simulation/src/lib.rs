//! The whole engine against a model of a cluster, under seeded faults, with an oracle.
//!
//! panpipe's engine owns no socket, no clock and no randomness. So a test can be its operating system: it hands over bytes and times, and
//! whatever happens in a run follows from one number, the seed. A million of them are a command:
//!
//! ```text
//! cargo run --profile simulation -p panpipe-simulation -- run --seeds 1000000
//! cargo run --profile simulation -p panpipe-simulation -- run --seed 4711 --trace
//! ```
//!
//! The second repeats one and tells everything: the settings that the seed drew, each command, each byte that counts, each fault, and
//! at the end what ran where. A failure prints the command that repeats it. `repeat` runs seeds twice and compares them; `mutants` tells
//! the engine to break one of its rules after the other, and shows which seed notices, by which check.
//!
//! # One run
//!
//! ```text
//!   callers ──▶ engine ──▶ network ──▶ model of a cluster ──▶ journal of what ran
//!   (workload)  (panpipe)  (panpipe::testkit)  (panpipe::testkit)       │
//!      │                      ▲                  ▲                      │
//!      │                    storm: connections, nodes, slots            │
//!      └────────── what callers were told ──────▶ oracle ◀──────────────┘
//! ```
//!
//! A seed draws the cluster, the network, the settings of the client, the callers' habits and the faults that this run knows ([`Settings`]
//! are the same for all). Then: warm up; storm; heal; come to rest; prove life; judge.
//!
//! The clock is virtual: the next thing that is due happens, whatever it is (`world`). So a deadline of a minute costs nothing, and
//! everything that depends on time is exact.
//!
//! # What is checked
//!
//! | check | says |
//! |---|---|
//! | `attribution` | a reply is that of an execution of the same command |
//! | `outcome`, `invention`, `repetition` | executed: it ran, once; not executed: never, not later either; unknown: at most once, or as often as `retry_unknown` allows |
//! | `order` | commands that share a key, and whose callers know that they ran, ran in the order of submission; a read ran behind what was written before, and ahead of what was written later |
//! | `completion`, `deadline`, `stall` | one result each, in time; and soon, once the cluster is healthy |
//! | `overtaken`, `doubt`, `surfaced`, `hops`, `hurry` | nobody is failed, or left in doubt, without need; redirects are bounded and paced |
//! | `wire` | ASKING stands in front of its command, nothing leaves before the handshake is verified, nothing goes back to a node that has named another |
//! | `fenced`, `transaction` | with `fenced_reconnect` nothing in doubt runs behind a later command; a unit runs as one, or not at all |
//! | `desync`, `dials` | an honest server is never taken for one that is out of step, and a reply too many ends its connection; attempts to connect are bounded |
//! | `busy`, `panic` | the engine neither spins nor panics |
//! | `questions` | several nodes are heard only where a view contradicts what was known when it was asked for |
//! | `books` | the engine's counters are sums of what it holds; one slot's commands are on one connection ([`panpipe::engine::Audit`]) |
//! | `life`, `identity`, `remains` | in the end every slot serves at the first attempt, its owner is known, and nothing is held any more |
//!
//! The truth is the model's journal: every command that a node ran, in the order of execution over the whole cluster. A write that a
//! failover throws away stands in it as well, since it did run: what a cluster loses is not the client's fault, and no check has to guess
//! what was lost. The model itself is held against real servers (`tests/model_differential.rs`).
//!
//! Every command carries its number, also a read: LRANGE and GETRANGE in an end that no value reaches, EXISTS in the order in which it
//! repeats two keys. So each execution, and each reply, can be told to be this command's or another's.
//!
//! # Where to add something
//!
//! A fault is a line in `faults` and what it does in `storm`; a check is a function in `oracle` (of results) or `trails` (of the way there); a command
//! is a `Kind` in `ops`. A check that cannot fail is worth nothing: break the rule it is for, and see.

mod coverage;
mod faults;
mod monitor;
pub mod mutants;
mod ops;
mod options;
mod oracle;
mod run;
pub mod runner;
mod slots;
mod storm;
#[cfg(test)]
mod tests;
mod trails;
mod views;
mod workload;
mod world;

pub use options::Settings;
pub use world::Problem;
