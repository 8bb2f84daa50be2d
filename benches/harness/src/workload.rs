//! The named workloads.

use std::fmt;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::keys::Distribution;

/// Which commands a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mix {
    Set,
    Get,
    /// INCRBY and EXPIRE for each key.
    RateLimiter,
    /// Reads, and for the rest updates; or first all reads, then a write for each key that is to be changed.
    Ycsb {
        read_percent: u8,
        read_modify_write: bool,
    },
}

/// What one race sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) mix: Mix,
    /// Commands per batch.
    pub(crate) batch: usize,
    pub(crate) value_bytes: usize,
    pub(crate) keys: u32,
    pub(crate) distribution: Distribution,
    /// Commands in flight at most, where the workload is a stream; then `batch` is what a client without a window sends at a time.
    pub(crate) window: Option<usize>,
}

/// A workload as it is listed.
struct Named {
    name: &'static str,
    about: &'static str,
    mix: Mix,
    batch: usize,
    stream: bool,
}

const YCSB_BATCH: usize = 100;
const VALUE_BYTES: usize = 64;
const KEYS: u32 = 10_000;
/// Values that take this much in all, and no more, are written over and over.
const VALUES_BYTES_MAX: usize = 64 << 20;

const fn named(name: &'static str, about: &'static str, mix: Mix, batch: usize) -> Named {
    Named { name, about, mix, batch, stream: false }
}

const fn ycsb(name: &'static str, about: &'static str, read_percent: u8, read_modify_write: bool) -> Named {
    named(name, about, Mix::Ycsb { read_percent, read_modify_write }, YCSB_BATCH)
}

const WORKLOADS: [Named; 15] = [
    named("W1", "SET x 100 per flush", Mix::Set, 100),
    named("W2", "SET x 1000 per flush", Mix::Set, 1000),
    named(
        "W3",
        "mixed_10keys: INCRBY and EXPIRE for 10 keys per flush, the rate limiter",
        Mix::RateLimiter,
        20,
    ),
    named("W3-2keys", "mixed_2keys: INCRBY and EXPIRE for 2 keys per flush", Mix::RateLimiter, 4),
    named("W4", "GET x 100 per flush", Mix::Get, 100),
    named("W4-1000", "GET x 1000 per flush", Mix::Get, 1000),
    Named { stream: true, ..named("W5", "a stream of SETs, at most 1000 in flight", Mix::Set, 1000) },
    named("W6", "a lone GET at a time", Mix::Get, 1),
    named("W6-SET", "a lone SET at a time", Mix::Set, 1),
    named("W7", "SET x 33 per node and flush; for `sweep nodes`", Mix::Set, 99),
    named("W7-333", "SET x 333 per node and flush; for `sweep nodes`", Mix::Set, 999),
    ycsb("YCSB-A", "half reads, half updates, 100 per flush, zipf", 50, false),
    ycsb("YCSB-B", "95 % reads, 5 % updates, 100 per flush, zipf", 95, false),
    ycsb("YCSB-C", "reads only, 100 per flush, zipf", 100, false),
    ycsb("YCSB-F", "100 reads in a flush, then half of them written back in the next, zipf", 50, true),
];

/// Names and descriptions, for `list`.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORKLOADS.iter().map(|workload| (workload.name, workload.about))
}

impl Workload {
    /// The workload of this name, in any case.
    ///
    /// # Errors
    /// Where there is none; the message lists them.
    pub(crate) fn named(name: &str) -> Result<Workload> {
        let Some(found) = WORKLOADS.iter().find(|workload| workload.name.eq_ignore_ascii_case(name)) else {
            let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
            bail!("there is no workload {name:?}; there are {}", names.join(", "));
        };
        let zipf = matches!(found.mix, Mix::Ycsb { .. });
        Ok(Workload {
            name: found.name.to_owned(),
            mix: found.mix,
            batch: found.batch,
            value_bytes: VALUE_BYTES,
            keys: KEYS,
            distribution: if zipf { Distribution::Zipf } else { Distribution::Uniform },
            window: found.stream.then_some(found.batch),
        })
    }

    /// What each node gets with a flush, where the workload grows with the cluster.
    pub(crate) fn commands_per_node(&self) -> Option<usize> {
        match self.name.as_str() {
            "W7" => Some(33),
            "W7-333" => Some(333),
            _ => None,
        }
    }

    /// How many different batches are prepared: enough for variety, few enough for the cache; all there are where each key comes once.
    pub(crate) fn batches_prepared(&self) -> usize {
        if self.distribution == Distribution::InOrder {
            return (self.keys as usize).div_ceil(self.batch.max(1));
        }
        (20_000 / self.batch.max(1)).clamp(4, 200)
    }

    /// Flushes, one after the other, in a batch.
    pub(crate) fn flushes_per_batch(&self) -> usize {
        match self.mix {
            Mix::Ycsb { read_modify_write: true, .. } => 2,
            _ => 1,
        }
    }

    /// With values of another size; fewer keys where they would not fit into a server.
    pub(crate) fn with_value_bytes(mut self, value_bytes: usize) -> Workload {
        let fitting = (VALUES_BYTES_MAX / value_bytes.max(1)).clamp(16, KEYS as usize) as u32;
        self.value_bytes = value_bytes;
        self.keys = self.keys.min(fitting);
        self
    }

    /// With another number of commands per flush.
    ///
    /// # Errors
    /// Where the workload cannot have it.
    pub(crate) fn with_batch(mut self, batch: usize) -> Result<Workload> {
        if batch == 0 {
            bail!("a batch has one command at least");
        }
        if self.mix == Mix::RateLimiter && !batch.is_multiple_of(2) {
            bail!("{} has two commands per key: a batch of {batch} is not possible", self.name);
        }
        self.batch = batch;
        self.window = self.window.map(|_| batch);
        Ok(self)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}
