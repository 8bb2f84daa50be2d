//! Keeps the checkpoint: when it is written, and with what.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::ledger::{Ledger, Position};
use crate::failure::Failure;

/// A resume repeats about so much work at most, and the window.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Log {
    path: Option<PathBuf>,
    /// What the input is, and how it is read.
    input: Value,
    reading: Value,
    next: Instant,
    /// What the file says.
    written: Option<Position>,
    /// Something of ours could not be written: what the file says stays.
    has_failed: bool,
}

impl Log {
    pub(super) fn new(path: Option<PathBuf>, input: Value, reading: Value) -> Log {
        Log { path, input, reading, next: Instant::now() + INTERVAL, written: None, has_failed: false }
    }

    /// Writes the first one, before anything else is written: where it cannot be, nothing has happened yet.
    pub(super) fn begin(&mut self, ledger: &mut Ledger) -> Result<(), Failure> {
        if self.path.is_some() { self.write(ledger, false) } else { Ok(()) }
    }

    /// Writes the checkpoint where that is due.
    pub(super) fn note(&mut self, ledger: &mut Ledger) -> Result<(), Failure> {
        if self.path.is_none() || self.has_failed {
            return Ok(());
        }
        let now = Instant::now();
        if now < self.next || self.written == Some(ledger.done()) {
            return Ok(());
        }
        self.next = now + INTERVAL;
        self.write(ledger, false)
    }

    /// Writes the last one.
    pub(super) fn end(&mut self, ledger: &mut Ledger, finished: bool) -> Result<(), Failure> {
        if self.has_failed { Ok(()) } else { self.write(ledger, finished) }
    }

    fn write(&mut self, ledger: &mut Ledger, finished: bool) -> Result<(), Failure> {
        // What the checkpoint says of the reject files must be there after a crash.
        let rejects_bytes = ledger.sync_rejects().inspect_err(|_| self.has_failed = true)?;
        let Some(path) = &self.path else { return Ok(()) };
        let done = ledger.done();
        let checkpoint = Checkpoint {
            panpipe_checkpoint: Checkpoint::VERSION,
            finished,
            input: self.input.clone(),
            reading: self.reading.clone(),
            done,
            counts: ledger.counts,
            rejects: ledger.rejects().base().map(str::to_owned),
            rejects_bytes,
            note: Checkpoint::NOTE.to_owned(),
        };
        checkpoint.write(path).inspect_err(|_| self.has_failed = true)?;
        self.written = Some(done);
        Ok(())
    }
}
