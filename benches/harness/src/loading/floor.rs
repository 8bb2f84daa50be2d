//! The least work for the same stream: the contender `floor-full` of workload W5, with as many different keys as there are records.
//!
//! Its keys and values are in memory before the clock starts: it reads no file, keeps no record and remembers no command.

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

const CONTENDER: &str = "floor-full";

pub(super) struct Floor {
    worker: Worker,
    window: usize,
}

impl Floor {
    /// Starts it, with so many commands in flight at most.
    pub(super) fn start(records: u64, window: usize, ends: &Ends) -> Result<Floor> {
        let usual = Workload::named("W5")?;
        let workload =
            Workload { keys: u32::try_from(records)?, distribution: Distribution::InOrder, ..usual };
        let race = Race {
            workload,
            target: Spec { kind: Kind::Sink, url: None, nodes: 3, delay_us: 0, standalone: false },
            contenders: vec![CONTENDER.to_owned()],
            load: Load::Stream { commands: records, window },
            rounds: 1,
            warm_up_ms: 0,
            spin_us: 0,
            flush_policy: Flush::Explicit,
            seed: 1,
            count: false,
            programs: BTreeMap::new(),
        };
        let (worker, _settings) = Worker::start(CONTENDER, &race, &ends.setup())?;
        Ok(Floor { worker, window })
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
