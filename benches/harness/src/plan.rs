//! What a worker sends: flushes of commands over a set of keys, made before the clock starts, the same for every contender.
//!
//! It knows no client and no protocol. Invariant: a plan is a function of its workload and seed; every index in it is within `keys`.

use std::fmt::Write as _;

use crate::keys::Chooser;
use crate::workload::{Mix, Workload};

/// Bytes of every key.
pub(crate) const KEY_BYTES: usize = 16;

/// A command. Each takes one key; what else it takes is the same for all of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `SET key value`, answered `+OK`.
    Set,
    /// `GET key`, answered with a value (or null on a real server that has none).
    Get,
    /// `INCRBY key 1`, answered with an integer.
    IncrBy,
    /// `EXPIRE key 60`, answered with an integer.
    Expire,
}

impl Verb {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Set => "SET",
            Verb::Get => "GET",
            Verb::IncrBy => "INCRBY",
            Verb::Expire => "EXPIRE",
        }
    }
}

/// By how much INCRBY counts up.
pub(crate) const INCREMENT: i64 = 1;
/// For how long EXPIRE keeps a key.
pub(crate) const EXPIRE_S: i64 = 60;

/// One command of a flush.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) verb: Verb,
    /// Index into [`Plan::keys`].
    pub(crate) key: u32,
}

/// Everything that is sent, over and over.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) keys: Vec<[u8; KEY_BYTES]>,
    pub(crate) value: Vec<u8>,
    pub(crate) flushes: Vec<Vec<Op>>,
    /// How many flushes, one after the other, make a batch: 2 where a batch writes what it has read.
    pub(crate) flushes_per_batch: usize,
}

impl Plan {
    /// The plan of a workload.
    pub(crate) fn new(workload: &Workload, seed: u64) -> Plan {
        // Counters and values live under different names: INCRBY on a value of another workload would be an error.
        let prefix = if workload.mix == Mix::RateLimiter { 'n' } else { 'k' };
        let keys = (0..workload.keys).map(|number| key(prefix, number)).collect();
        let value = (0..workload.value_bytes).map(|at| b'a' + (at % 26) as u8).collect();
        let mut chooser = Chooser::new(workload.distribution, workload.keys, seed);
        let batches = workload.batches_prepared();
        let mut flushes = Vec::new();
        for _ in 0..batches {
            flushes.extend(batch(workload, &mut chooser));
        }
        Plan { keys, value, flushes, flushes_per_batch: workload.flushes_per_batch() }
    }

    /// The key of a command.
    pub(crate) fn key(&self, op: Op) -> &[u8; KEY_BYTES] {
        &self.keys[op.key as usize]
    }

    /// How many batches there are before they come again.
    pub(crate) fn batches(&self) -> usize {
        self.flushes.len() / self.flushes_per_batch
    }

    /// The flushes of a batch.
    pub(crate) fn batch(&self, number: usize) -> std::ops::Range<usize> {
        let first = number % self.batches() * self.flushes_per_batch;
        first..first + self.flushes_per_batch
    }
}

fn key(prefix: char, number: u32) -> [u8; KEY_BYTES] {
    let mut text = String::with_capacity(KEY_BYTES);
    // Writing into a string cannot fail.
    let _ = write!(text, "{prefix}:{number:014}");
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(text.as_bytes());
    key
}

fn batch(workload: &Workload, chooser: &mut Chooser) -> Vec<Vec<Op>> {
    let mut ops = |verbs: &[Verb], keys: usize| -> Vec<Op> {
        (0..keys)
            .flat_map(|_| {
                let key = chooser.next_key();
                verbs.iter().map(move |&verb| Op { verb, key })
            })
            .collect()
    };
    match workload.mix {
        Mix::Set => vec![ops(&[Verb::Set], workload.batch)],
        Mix::Get => vec![ops(&[Verb::Get], workload.batch)],
        Mix::RateLimiter => vec![ops(&[Verb::IncrBy, Verb::Expire], workload.batch / 2)],
        Mix::Ycsb { read_percent, read_modify_write } => {
            let mut first = ops(&[Verb::Get], workload.batch);
            let mut second = Vec::new();
            for op in &mut first {
                if chooser.percent() >= read_percent {
                    match read_modify_write {
                        true => second.push(Op { verb: Verb::Set, ..*op }),
                        false => op.verb = Verb::Set,
                    }
                }
            }
            if read_modify_write { vec![first, second] } else { vec![first] }
        }
    }
}
