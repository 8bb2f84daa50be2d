//! Bursts: commands of the event-driven use that share one look at the clock.
//!
//! Looking at the clock costs a fifth of a command. A driver looks once, opens a burst with that time, submits any number of commands with it,
//! and ends a burst of more than one with a fresh look before it flushes or waits. Invariant: no deadline passes early. The time of a command
//! runs from the beginning of its burst, plus `BURST_MS`; that is not before it was submitted unless the burst took longer, and then its end
//! moves the deadlines of all its commands on. A look at deadlines ends the burst first.

use crate::engine::Engine;
use crate::engine::time::Timestamp;

/// What deadlines are given on top, so that the commands of a burst that is no longer than this need not be visited at its end.
const BURST_MS: u64 = 4;

/// An open burst.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    began: Timestamp,
    /// The first command's place in the order of submission.
    first: u64,
}

impl Burst {
    /// What the deadlines of its commands are given on top.
    pub(crate) const SLACK_MS: u64 = BURST_MS;
}

impl Engine {
    /// Commands are submitted with this time from now on, until the burst ends.
    pub(crate) fn begin_burst(&mut self, now: Timestamp) {
        self.stream.burst = Some(Burst { began: now, first: self.sequence + 1 });
    }

    /// The time that the commands of the open burst are submitted with.
    #[inline]
    pub(crate) fn burst_began(&self) -> Option<Timestamp> {
        self.stream.burst.map(|burst| burst.began)
    }

    /// How many commands the open burst has had.
    pub(crate) fn burst_commands(&self) -> u64 {
        self.stream.burst.map_or(0, |burst| self.sequence + 1 - burst.first)
    }

    /// All commands of the burst were submitted at `now` or before.
    pub(crate) fn end_burst(&mut self, now: Timestamp) {
        let Some(burst) = self.stream.burst.take() else { return };
        if now > burst.began.after_ms(BURST_MS) {
            self.move_deadlines(burst, now);
        }
        if now > burst.began {
            self.restart_dials(now);
        }
    }

    #[cold]
    fn move_deadlines(&mut self, burst: Burst, now: Timestamp) {
        // Not rounded once more: those of one burst stay together, and none is more than two steps late.
        let late = now.since(burst.began);
        for op in self.stream.live_mut().filter(|op| op.sequence >= burst.first) {
            op.submitted = now;
            if let Some(batch) = op.batch.and_then(|id| self.batches.row_mut(id)) {
                batch.deadline = batch.deadline.after(late);
            } else {
                op.deadline = op.deadline.after(late);
            }
        }
    }
}
