//! Targets for a fuzzer: each takes bytes that nobody foresaw, uses a part of panpipe with them, and panics where a promise is broken.
//!
//! | target | the bytes are |
//! |---|---|
//! | [`scanner`] | what a server sends, in pieces of any size |
//! | [`error_line`] | the text of an error |
//! | [`topology`] | replies that describe a cluster, one after the other |
//! | [`engine`] | what happens: a program for a caller, a network and servers |
//!
//! A target knows the public interface of panpipe and no fuzzer. The fuzzer calls it from a program of `src/bin`, the ordinary tests call it
//! with the inputs of `corpus`, and `panpipe-fuzz` turns the corpus into files and back.

use std::path::{Path, PathBuf};

#[path = "../../../benches/peer/alloc.rs"]
#[allow(dead_code, reason = "shared with the library's tests; each uses its part")]
mod alloc;
pub mod corpus;
pub mod engine;
pub mod error_line;
mod input;
pub mod scanner;
pub mod seeds;
pub mod topology;

/// So that targets see what is allocated for which bytes.
#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// One thing to be fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As the corpus and the programs are named.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// Inputs written by hand or recorded, for a corpus to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target { name: "scanner", run: scanner::run, seeds: seeds::scanner },
    Target { name: "error_line", run: error_line::run, seeds: seeds::error_line },
    Target { name: "topology", run: topology::run, seeds: seeds::topology },
    Target { name: "engine", run: engine::run, seeds: seeds::engine },
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<Target> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Where its corpus is committed.
    pub fn corpus_file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.txt", self.name))
    }
}
