//! The whole engine against a model of a cluster, under seeded faults, with an oracle.

mod coverage;
mod monitor;
pub mod mutants;
mod ops;
mod options;
mod oracle;
mod run;
pub mod runner;
mod slots;
mod storm;
mod trails;
mod workload;
mod world;

pub use options::Settings;
pub use world::Problem;
