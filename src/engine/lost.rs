//! What becomes of the commands of a lost connection, one by one and never for a whole batch.
//!
//! ```text
//!   acked ─── sent whole, no reply ─── sent ─── begun to be sent ─── not begun ─── encoded
//!             in doubt: sent again          did not run: stays in the queue, and leaves
//!             where policy and order        on the next connection
//!             allow it, else Unknown
//! ```
//!
//! Order decides before policy does. A read that is sent again must not see a later write: it stays in doubt where a conflicting write was on
//! the wire behind it. A write that is sent again must not undo a later command: every conflicting one behind it is sent again too.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::RetryUnknown;
use crate::engine::connection::Runs;
use crate::engine::in_flight::InFlight;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind, Outcome};

/// Commands that were sent again although an earlier attempt may have run: by their place in the order of submission, how many attempts
/// that were. Empty nearly always.
#[derive(Debug, Default)]
pub(crate) struct Resent(BTreeMap<u64, u32>);

impl Resent {
    fn note(&mut self, sequence: u64) {
        *self.0.entry(sequence).or_default() += 1;
    }

    /// Earlier attempts of a command that has failed now; it is forgotten.
    pub(crate) fn take(&mut self, sequence: u64) -> u32 {
        if self.0.is_empty() { 0 } else { self.0.remove(&sequence).unwrap_or(0) }
    }
}

/// The later commands of the same connection that were sent: what a command would be sent again past. Keys are told apart by slot.
#[derive(Debug, Default)]
struct Behind {
    written: BTreeSet<u16>,
    stays: BTreeSet<u16>,
}

impl Behind {
    /// Whether the order among conflicting commands lets this one be sent again.
    fn lets_pass(&self, entry: &InFlight, keeps_reads: bool, keeps_writes: bool) -> bool {
        if entry.has(InFlight::READ_ONLY) {
            !keeps_reads || !self.written.contains(&entry.slot)
        } else {
            !keeps_writes || !self.stays.contains(&entry.slot)
        }
    }

    fn note(&mut self, entry: &InFlight, is_resent: bool) {
        if !entry.has(InFlight::READ_ONLY) {
            self.written.insert(entry.slot);
        }
        if !is_resent {
            self.stays.insert(entry.slot);
        }
    }
}

impl Engine {
    /// Settles everything that a lost connection owed; answers whether any of it may still run on the old one.
    pub(crate) fn settle_in_flight(&mut self, row: u16, failure: &ErrorKind, begun: Option<Outcome>) -> bool {
        self.forget_finished();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return false };
        let refused = link.refused;
        link.tombstones = 0;
        let entries: Vec<InFlight> = link.in_flight.take();
        let (acked, sent) = (link.queue.acked(), link.queue.sent());
        let flushed = link.queue.encoded() - link.queue.unflushed_bytes();
        let resend = self.resendable(row, &entries, (acked, sent), begun.is_some());
        let in_doubt = sent > acked;
        let mut at = acked;
        let mut runs = Runs::default();
        let mut kept = Vec::new();
        let mut ended = Vec::new();
        for (n, entry) in entries.into_iter().enumerate() {
            let start = at;
            at += u64::from(entry.len);
            let is_sent = n < resend.len();
            let may_be_sent = !is_sent || resend.get(n).copied().unwrap_or(false);
            if may_be_sent && !refused && self.is_wanted(&entry) {
                let asking = u64::from(entry.asking_len());
                runs.add(start + asking, u64::from(entry.len) - asking, at <= flushed);
                if is_sent {
                    self.note_resent(row, &entry);
                }
                kept.push(entry);
            } else {
                let outcome = if is_sent {
                    begun.filter(|_| n == 0).unwrap_or(Outcome::Unknown)
                } else {
                    Outcome::NotExecuted
                };
                ended.push((entry, outcome));
            }
        }
        for entry in &kept {
            self.uncount(entry, false);
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return in_doubt };
        let starts = link.queue.segment_starts();
        let runs = runs.share(&link.queue, &starts);
        link.queue.rebuild(runs);
        link.in_flight.extend(kept.into_iter().map(InFlight::unsent));
        self.queued_bytes = self.links.iter().map(|link| link.queue.held_bytes()).sum();
        for (entry, outcome) in ended {
            self.fail_lost(row, &entry, failure.clone(), outcome);
        }
        for entry in self.take_held_entries(row) {
            self.fail_lost(row, &entry, failure.clone(), Outcome::Unknown);
        }
        in_doubt
    }

    /// A failure as its caller should see it: earlier attempts count, and a command that was in doubt once stays in doubt.
    pub(crate) fn with_earlier_attempts(&mut self, entry: &InFlight, error: Error) -> Error {
        match self.sequence_of(entry) {
            Some(sequence) => self.with_attempts_of(sequence, error),
            None => error,
        }
    }

    /// As `with_earlier_attempts`, of a command known by its place in the order of submission.
    pub(crate) fn with_attempts_of(&mut self, sequence: u64, error: Error) -> Error {
        let earlier = self.resent.take(sequence);
        if earlier == 0 {
            return error;
        }
        let in_doubt = error.outcome() == Outcome::NotExecuted && keeps!(self.config, DoubtStays);
        let outcome = if in_doubt { Outcome::Unknown } else { error.outcome() };
        let (attempts, redirects) = (error.attempts() + earlier, error.redirects());
        error.with_outcome(outcome).with_counts(attempts, redirects)
    }

    fn fail_lost(&mut self, row: u16, entry: &InFlight, failure: ErrorKind, outcome: Outcome) {
        if self.is_wanted(entry) {
            let hops = u32::from(entry.hops);
            let attempts = if outcome == Outcome::NotExecuted { hops } else { hops + 1 };
            let error = Error::new(failure, outcome).at_node(self.node_name(row)).with_counts(attempts, hops);
            self.fail_entry(entry, error);
        }
        self.drop_entry(entry);
        self.uncount(entry, false);
    }

    fn note_resent(&mut self, row: u16, entry: &InFlight) {
        if let Some(sequence) = self.sequence_of(entry) {
            self.resent.note(sequence);
        }
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            link.stats.resent += 1;
        }
    }

    /// Commands that were sent again and have their result by now need not be remembered.
    fn forget_finished(&mut self) {
        if self.resent.0.is_empty() {
            return;
        }
        let mut live = BTreeSet::new();
        for entry in self.links.iter().flat_map(|link| link.in_flight.iter()) {
            live.extend(self.sequence_of(entry));
        }
        live.extend(self.fences.parked_sequences());
        self.resent.0.retain(|sequence, _| live.contains(sequence));
    }

    /// For each command that was sent whole, oldest first: whether it is sent again.
    fn resendable(
        &self,
        row: u16,
        entries: &[InFlight],
        (acked, sent): (u64, u64),
        has_begun: bool,
    ) -> Vec<bool> {
        // What had not been sent whole did not run. A build that breaks the rule is in doubt about all of it that was begun.
        let keeps_unsent = keeps!(self.config, NeverSent);
        let mut at = acked;
        let mut starts = Vec::new();
        for entry in entries {
            let end = at + u64::from(entry.len);
            if end > sent && (keeps_unsent || at >= sent) {
                break;
            }
            starts.push(at);
            at = end;
        }
        let keeps_reads = keeps!(self.config, ReadBehindWrite);
        let keeps_writes = keeps!(self.config, RetryTogether);
        let mut behind = Behind::default();
        let mut resend = vec![false; starts.len()];
        for (n, (entry, resend)) in entries.iter().zip(&mut resend).enumerate().rev() {
            if !entry.is_callers() {
                continue;
            }
            // A write whose reply had begun is not in doubt: it ran.
            let ran = n == 0 && has_begun && !entry.has(InFlight::READ_ONLY);
            let start = starts.get(n).copied().unwrap_or(acked);
            *resend = !ran
                && self.is_wanted(entry)
                && behind.lets_pass(entry, keeps_reads, keeps_writes)
                && self.policy_allows(row, entry, start);
            behind.note(entry, *resend);
        }
        resend
    }

    /// What `Config::retry_unknown`, or the caller of this one command, says of sending it again.
    fn policy_allows(&self, _row: u16, entry: &InFlight, _start: u64) -> bool {
        if !keeps!(self.config, UnknownIsFinal) {
            return true;
        }
        if entry.has(InFlight::RETRY_NEVER | InFlight::RETRY_ALWAYS) {
            return entry.has(InFlight::RETRY_ALWAYS);
        }
        match self.config.retry_unknown {
            RetryUnknown::Never => false,
            RetryUnknown::Always => true,
            RetryUnknown::ReadOnly | RetryUnknown::Idempotent => entry.has(InFlight::READ_ONLY),
        }
    }
}

/// What the beginning of a reply to the front command proves.
pub(crate) fn reply_begun(unread: &[u8]) -> Option<Outcome> {
    // An error may still turn out to be a rejection; a push or an attribute proves nothing.
    match unread.first() {
        None | Some(b'-' | b'!' | b'>' | b'|') => None,
        Some(_) => Some(Outcome::ExecutedReplyLost),
    }
}
