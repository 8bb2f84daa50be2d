//! One cluster, files to load, and what must hold after each load.

use std::time::Instant;

use crate::servers::{Cluster, ClusterOptions, Version};
use crate::tool::{Run, Tool};

/// Resident memory that no load may exceed.
const MEMORY_MAX: u64 = 64 << 20;

/// Nobody is taken for dead while a case does not mean it.
const NODE_TIMEOUT_MS: u32 = 60_000;

/// Hash tags whose slots are moved.
pub(crate) const HOT: [&str; 4] = ["{hot0}", "{hot1}", "{hot2}", "{hot3}"];

pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    long: bool,
}

impl Bench {
    pub(crate) fn start(version: Version) -> Bench {
        let options = ClusterOptions { node_timeout_ms: NODE_TIMEOUT_MS, ..ClusterOptions::default() };
        let cluster = Cluster::start_with(version, 3, 3, options);
        Bench { cluster, long: std::env::var_os("PANPIPE_LONG").is_some() }
    }

    /// Runs a case on empty nodes.
    pub(crate) fn case(&self, name: &str, run: fn(&Bench, &Tool)) {
        let began = Instant::now();
        self.flush_all();
        run(self, &Tool::new(&self.cluster.url()));
        let server = self.cluster.nodes()[0].server.version().name();
        eprintln!("{server}: {name}: {:.1} s", began.elapsed().as_secs_f64());
    }

    pub(crate) fn flush_all(&self) {
        for node in self.cluster.primaries() {
            self.cluster.call(node, &["FLUSHALL"]).expect(&"FLUSHALL");
        }
    }

    /// The short form's number of records or seconds, or the long form's.
    pub(crate) fn either(&self, short: u64, long: u64) -> u64 {
        if self.long { long } else { short }
    }

    /// Keys of all primaries.
    pub(crate) fn keys(&self) -> u64 {
        let size = |node: usize| {
            let reply = self.cluster.call(node, &["DBSIZE"]);
            reply.integer().expect("DBSIZE is a number") as u64
        };
        self.cluster.primaries().into_iter().map(size).sum()
    }

    /// What holds after every load that came to its end: the sums, the values, the memory.
    #[track_caller]
    pub(crate) fn check(&self, run: &Run, all: u64, written: u64) {
        run.records(all, written, all - written);
        self.check_sums(run);
        assert_eq!(run.number("/verify/mismatches"), 0, "{}", run.stdout);
        assert_eq!(run.number("/verify/commands_compared"), written, "one command a record");
        assert_eq!(self.keys(), written, "each key is of one record");
    }

    /// The loader's counts and ours are about the same commands.
    #[track_caller]
    pub(crate) fn check_sums(&self, run: &Run) {
        let loader = |name: &str| run.number(&format!("/loader/{name}"));
        let ended = ["written", "executed_with_error", "not_executed", "unknown", "reply_lost"].map(loader);
        assert_eq!(loader("pushed"), ended.iter().sum::<u64>(), "each command has one outcome");
        let counted = run.number("/timing/commands_of_this_run") + run.number("/commands/left_for_resume");
        assert_eq!(loader("pushed") + run.number("/commands/never_sent"), counted, "and is counted once");
        let peak = run.number("/resources/memory_peak_bytes");
        assert!(peak < MEMORY_MAX, "{} MiB", peak >> 20);
    }
}

/// Lines `key:N<TAB>value N`; every fourth key has one of a few hash tags.
pub(crate) fn lines(records: u64) -> String {
    (1..=records).map(|number| format!("{}\tvalue {number}\n", key(number))).collect()
}

pub(crate) fn key(number: u64) -> String {
    match number % 4 {
        0 => format!("{}:{number}", HOT[(number / 4) as usize % HOT.len()]),
        _ => format!("key:{number}"),
    }
}
