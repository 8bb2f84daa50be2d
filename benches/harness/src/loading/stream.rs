//! The same stream by contenders of the harness: workload W5, with as many different keys as there are records.
//!
//! Keys and values are in memory before the clock starts: no file is read. Of the floor, the least work there is, nothing else happens either:
//! no record is kept, no command remembered.

use std::collections::BTreeMap;

use anyhow::Result;

use super::ends::Ends;
use super::record::Round;
use crate::contender::Flush;
use crate::keys::Distribution;
use crate::load::Load;
use crate::race::{Race, Worker};
use crate::target::{Kind, Spec};
use crate::workload::Workload;

pub(super) struct Stream {
    worker: Worker,
    window: usize,
}

impl Stream {
    /// Starts a contender, with so many commands in flight at most.
    pub(super) fn start(contender: &str, window: usize, records: u64, ends: &Ends) -> Result<Stream> {
        let usual = Workload::named("W5")?;
        let workload =
            Workload { keys: u32::try_from(records)?, distribution: Distribution::InOrder, ..usual };
        let race = Race {
            workload,
            target: Spec { kind: Kind::Sink, url: None, nodes: 3, delay_us: 0, standalone: false },
            contenders: vec![contender.to_owned()],
            load: Load::Stream { commands: records, window },
            rounds: 1,
            warm_up_ms: 0,
            spin_us: 0,
            flush_policy: Flush::Explicit,
            seed: 1,
            count: false,
            programs: BTreeMap::new(),
        };
        let (worker, _settings) = Worker::start(contender, &race, &ends.setup())?;
        Ok(Stream { worker, window })
    }

    /// Sends all records once.
    pub(super) fn round(&mut self, records: u64) -> Result<Round> {
        let load = Load::Stream { commands: records, window: self.window };
        let figures = self.worker.round(load, 1, false)?;
        Ok(Round {
            // The last part of a stream is sent whole.
            records: figures.commands,
            wall_ns: figures.wall_ns,
            user_ns: figures.user_ns,
            system_ns: figures.system_ns,
            peak_memory_bytes: figures.peak_memory_bytes,
            errors: figures.errors,
            stored: None,
        })
    }
}
