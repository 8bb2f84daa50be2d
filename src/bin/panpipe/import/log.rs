//! Keeps the checkpoint and the reject files up to date: when they are written, and the checkpoint with what.
//!
//! Invariant: what a checkpoint counts as rejected was in the reject files before the checkpoint was written.

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

    /// Writes them where that is due.
    pub(super) fn note(&mut self, ledger: &mut Ledger) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + INTERVAL;
        if self.path.is_none() || self.has_failed {
            // Somebody may be reading along.
            return ledger.write_rejects();
        }
        if self.written == Some(ledger.done()) { Ok(()) } else { self.write(ledger, false) }
    }

    /// Writes the last of them.
    pub(super) fn end(&mut self, ledger: &mut Ledger, finished: bool) -> Result<(), Failure> {
        if self.has_failed { ledger.write_rejects() } else { self.write(ledger, finished) }
    }

    fn write(&mut self, ledger: &mut Ledger, finished: bool) -> Result<(), Failure> {
        // Where they cannot be written, the ledger is what it was before them, and that is worth a checkpoint all the same.
        let rejected = ledger.write_rejects();
        // What the checkpoint says of the reject files must be there after a crash.
        let rejects_bytes = ledger.sync_rejects().inspect_err(|_| self.has_failed = true)?;
        let Some(path) = &self.path else { return rejected };
        let done = ledger.done();
        let checkpoint = Checkpoint {
            panpipe_checkpoint: Checkpoint::VERSION,
            finished: finished && rejected.is_ok(),
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
        rejected
    }
}
