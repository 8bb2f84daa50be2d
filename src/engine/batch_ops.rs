//! What a pipeline asks of its batch besides submitting: deadline, timeline, taking back, and cancelling single commands.

use crate::engine::connection::{Link, LinkState};
use crate::engine::event::Action;
use crate::engine::in_flight::{InFlight, STREAM};
use crate::engine::submit::BatchId;
use crate::engine::time::Timestamp;
use crate::engine::timeline::{NodeTrace, Timeline};
use crate::engine::{Batch, Engine, Token};
use crate::error::{Error, ErrorKind, Outcome};

impl Engine {
    /// The batch's time runs from now; so does that of dials that the driver has not picked up: a caller may fill a batch for as long as
    /// it likes.
    pub fn start_deadline(&mut self, batch: BatchId, now: Timestamp) {
        if let Some(batch) = self.batch_mut(batch) {
            batch.deadline = now.after_ms(batch.options.timeout_ms);
        }
        self.restart_dials(now);
    }

    /// Dials that the driver has not picked up count from now.
    #[inline]
    pub(crate) fn restart_dials(&mut self, now: Timestamp) {
        if !self.actions.is_empty() {
            self.restart_each_dial(now);
        }
    }

    #[cold]
    fn restart_each_dial(&mut self, now: Timestamp) {
        for action in &self.actions {
            let Action::Connect { conn, .. } = action else { continue };
            let deadline = now.after_ms(self.config.connect_timeout_ms);
            if let Some(link) =
                self.links.get_mut(conn.row()).filter(|link| link.generation == conn.generation)
                && matches!(link.state, LinkState::Connecting { .. })
            {
                link.state = LinkState::Connecting { deadline };
            }
        }
    }

    /// Joins the parts of split commands; the batch must be complete.
    pub(crate) fn merge_splits(&mut self, batch: BatchId) {
        if let Some(batch) = self.batch_mut(batch) {
            batch.merge_splits();
        }
    }

    /// Nobody reads the batch any more: what was not sent never runs, what was sent is read and discarded.
    pub fn abandon(&mut self, batch: BatchId) {
        let id = batch.0;
        let Some(row) = self.batches.row_mut(id) else { return };
        row.abandoned = true;
        if row.referenced > 0 {
            self.take_back(|entry| entry.owner() == id);
            for row in 0..self.links.len() as u16 {
                self.bury(row, |entry| entry.owner() == id);
            }
        }
        self.batches.release_if_unused(id);
    }

    /// Takes unsent and parked commands out of the engine; nobody hears of them.
    fn take_back(&mut self, wanted: impl Fn(&InFlight) -> bool) {
        for row in 0..self.links.len() as u16 {
            for entry in self.remove_unsent(row, &wanted) {
                self.drop_entry(&entry);
            }
        }
        for slot in self.fences.slots() {
            for parked in self.fences.take_all(slot, |parked| wanted(&parked.entry)) {
                self.drop_entry(&parked.entry);
            }
            self.fences.wake(slot);
        }
    }

    /// Gives a command of the event-driven use up. Answers false where it had a result already.
    pub fn cancel(&mut self, token: Token) -> bool {
        let Some(op) = self.stream.op(token.row).filter(|op| op.sequence == token.sequence && !op.tombstone)
        else {
            return false;
        };
        let slot = op.slot;
        if let Some(batch) = op.batch {
            let outcome =
                if self.has_begun(BatchId(batch)) { Outcome::Unknown } else { Outcome::NotExecuted };
            self.fail_token(token, Error::new(ErrorKind::Cancelled, outcome));
            self.stream.close(token.row);
            self.abandon(BatchId(batch));
            return true;
        }
        let is_it = |entry: &InFlight| entry.batch == STREAM && entry.index == token.row;
        if let Some(parked) = self.fences.take_one(slot, token.sequence) {
            self.fail_token(token, Error::not_executed(ErrorKind::Cancelled));
            self.drop_entry(&parked.entry);
            self.fences.wake(slot);
            return true;
        }
        let outcome = if self.take_one_unsent(slot, is_it) { Outcome::NotExecuted } else { Outcome::Unknown };
        self.fail_token(token, Error::new(ErrorKind::Cancelled, outcome));
        if outcome == Outcome::NotExecuted {
            self.stream.close(token.row);
        } else {
            self.note_cancelled();
        }
        true
    }

    fn fail_token(&mut self, token: Token, error: Error) {
        let error = self.with_attempts_of(token.sequence, error);
        self.stream.fail(token.row, error);
    }

    /// Whether any part of a batch has been answered, or has been begun to be sent, on this connection or an earlier one.
    pub(crate) fn has_begun(&self, BatchId(id): BatchId) -> bool {
        let parts_left = self.batches.row(id).is_some_and(|batch| batch.unanswered == batch.leaves());
        let begun = |link: &Link| {
            let mut at = link.queue.acked();
            link.in_flight.iter().any(|entry| {
                let sent = at < link.queue.sent();
                at += u64::from(entry.len);
                sent && entry.owner() == id
            })
        };
        let held = |link: &Link| link.guard.held().any(|entry| entry.owner() == id);
        let again = |batch: &Batch| batch.pending_sequences().any(|sequence| self.resent.contains(sequence));
        !parts_left
            || self.batches.row(id).is_some_and(again)
            || self.links.iter().any(|link| begun(link) || held(link))
    }

    /// Takes one unsent command back. It is nearly always on the owner of its slot.
    fn take_one_unsent(&mut self, slot: u16, is_it: impl Fn(&InFlight) -> bool) -> bool {
        let owner = self.slots.owner(slot);
        let others = (0..self.links.len() as u16).filter(|&row| Some(row) != owner);
        let rows: Vec<u16> = owner.into_iter().chain(others).collect();
        rows.into_iter().any(|row| !self.remove_unsent(row, &is_it).is_empty())
    }

    /// A window was full.
    pub(crate) fn count_refusal(&mut self, error: &Error) {
        self.windows_full += u64::from(matches!(error.kind(), ErrorKind::Full { .. }));
    }

    /// Whether a command of the event-driven use has no result yet.
    pub fn is_pending(&self, token: Token) -> bool {
        self.stream.op(token.row).is_some_and(|op| op.sequence == token.sequence && !op.tombstone)
    }

    /// Records per-node times from now on.
    pub(crate) fn start_timeline(&mut self, now: Timestamp) {
        self.tracing = Some(now);
        for link in &mut self.links {
            link.trace = NodeTrace::default();
        }
    }

    /// Ends the recording.
    pub(crate) fn take_timeline(&mut self, now: Timestamp) -> Timeline {
        let began = self.tracing.take().unwrap_or(now);
        let nodes = self.links.iter().filter_map(|link| link.trace.to_line(link.name(), began)).collect();
        Timeline { nodes, total: now.since(began) }
    }
}
