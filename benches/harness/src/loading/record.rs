//! What is stored of a race of loaders: what was measured, and where and how. Nothing in it is computed.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::measured::Used;
use crate::report::{self, Machine};
use crate::target::Spec;

/// One round of one contender: of the whole process, but of the floor of its stream alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) records: u64,
    pub(super) wall_ns: u64,
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
    pub(super) peak_memory_bytes: u64,
    /// Error replies.
    pub(super) errors: u64,
    /// Keys on the servers after it, where they keep any and were empty before.
    pub(super) stored: Option<u64>,
}

impl Round {
    pub(super) fn of(used: &Used, records: u64) -> Round {
        Round {
            records,
            wall_ns: used.wall_ns,
            user_ns: used.user_ns,
            system_ns: used.system_ns,
            peak_memory_bytes: used.peak_memory_bytes,
            errors: 0,
            stored: None,
        }
    }

    /// Processor nanoseconds per record.
    pub(super) fn cpu(&self) -> f64 {
        (self.user_ns + self.system_ns) as f64 / self.records as f64
    }

    pub(super) fn user(&self) -> f64 {
        self.user_ns as f64 / self.records as f64
    }

    pub(super) fn per_s(&self) -> f64 {
        self.records as f64 / (self.wall_ns.max(1) as f64 / 1e9)
    }

    pub(super) fn peak_mib(&self) -> f64 {
        self.peak_memory_bytes as f64 / f64::from(1 << 20)
    }
}

/// One contender's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) about: String,
    /// As one would type it; empty where it is no program of its own.
    pub(super) command: String,
    /// In the order in which they were run: the first of all contenders met each other, then the second.
    pub(super) rounds: Vec<Round>,
    /// Why it has no rounds, or fewer.
    pub(super) failure: Option<String>,
}

/// One target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Race {
    pub(super) target: Spec,
    pub(super) contenders: Vec<Contender>,
    /// Of one, five and fifteen minutes.
    pub(super) load_before: Option<[f64; 3]>,
    pub(super) load_after: Option<[f64; 3]>,
}

impl Race {
    pub(super) fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }
}

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was complete: RFC 3339, UTC.
    pub(super) made_at: String,
    pub(super) machine: Machine,
    /// The command line.
    pub(super) command: String,
    /// What else the machine was doing, as far as somebody said so.
    pub(super) note: Option<String>,
    pub(super) records: u64,
    pub(super) races: Vec<Race>,
}

impl Record {
    /// Of what was measured just now.
    ///
    /// # Errors
    /// Where the clock is before 1970 or far after our time.
    pub(super) fn new(records: u64, note: Option<String>, races: Vec<Race>) -> Result<Record> {
        let made_at =
            jiff::Timestamp::now().round(jiff::Unit::Second).context("what time is it?")?.to_string();
        Ok(Record { made_at, machine: Machine::this(), command: report::own_command(), note, records, races })
    }

    /// One that was stored.
    ///
    /// # Errors
    /// Where the file cannot be read, or is something else.
    pub(super) fn read(path: &Path) -> Result<Record> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no record of a load", path.display()))
    }

    /// As it is stored.
    ///
    /// # Errors
    /// None that is known: everything in it has a form in JSON.
    pub(super) fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// What did not run, or not as it should.
    pub(super) fn failures(&self) -> Vec<String> {
        let of_race = |race: &Race| -> Vec<String> {
            let failed = race.contenders.iter().filter_map(|contender| {
                let failure = contender.failure.as_ref()?;
                Some(format!("{}, {}: {failure}", race.target, contender.name))
            });
            failed.collect()
        };
        self.races.iter().flat_map(of_race).collect()
    }
}
