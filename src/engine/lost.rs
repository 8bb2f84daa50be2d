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

use crate::command::{Idempotency, inspect};
use crate::config::{Order, RetryUnknown};
use crate::engine::conflict::{Footprints, words_of};
use crate::engine::connection::Runs;
use crate::engine::in_flight::{InFlight, MULTI_WIRE};
use crate::engine::leg::footprint;
use crate::engine::send_queue::CommandBytes;
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

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.0.contains_key(&sequence)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Earlier attempts of a command that has failed now; it is forgotten.
    pub(crate) fn take(&mut self, sequence: u64) -> u32 {
        if self.0.is_empty() { 0 } else { self.0.remove(&sequence).unwrap_or(0) }
    }
}

/// The later commands of one slot that were sent on the same connection: what a command would be sent again past.
#[derive(Debug, Default)]
struct Behind {
    writes: Footprints,
    /// Those, reads too, that are not sent again.
    stays: Footprints,
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
        let resend = self.resendable(row, &entries, acked, sent, begun);
        let in_doubt = sent > acked;
        let mut at = acked;
        let mut runs = Runs::default();
        let mut kept = Vec::new();
        let mut ended = Vec::new();
        let mut overtakers = BTreeSet::new();
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
                // A read that is sent again has left nothing behind, and nobody has seen what it read.
                let may_have_left = is_sent && !entry.has(InFlight::READ_ONLY);
                if may_have_left && entry.has(InFlight::FENCED) && entry.is_callers() {
                    self.note_lost(row, &entry, start);
                    overtakers.insert(entry.slot);
                }
                kept.push(entry);
            } else {
                let outcome = if is_sent {
                    begun.filter(|_| n == 0).unwrap_or(Outcome::Unknown)
                } else {
                    Outcome::NotExecuted
                };
                if is_sent && entry.has(InFlight::FENCED) && entry.is_callers() {
                    self.note_lost(row, &entry, start);
                }
                ended.push((entry, outcome));
            }
        }
        for entry in &kept {
            self.uncount(entry, false);
        }
        // Now, while those that were refused are held and no others: what is sent again keeps its own order.
        for slot in overtakers {
            self.fail_overtaken_so_far(slot);
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
        for entry in self.links.iter().flat_map(|link| link.in_flight.iter().chain(link.guard.held())) {
            live.extend(self.sequence_of(entry));
        }
        live.extend(self.fences.parked_sequences());
        self.resent.0.retain(|sequence, _| live.contains(sequence));
    }

    /// How many of the commands at the front were sent whole. The front one counts where it `ran_in_part`. So does a unit of which
    /// more than MULTI was sent to a server that may have forbidden MULTI and run the rest.
    fn sent_whole(&self, row: u16, entries: &[InFlight], acked: u64, sent: u64, ran_in_part: bool) -> usize {
        // A build that breaks the rule is in doubt about what had only been begun.
        let keeps_unsent = keeps!(self.config, NeverSent);
        let allows_multi = self.links.get(usize::from(row)).is_some_and(|link| link.allows_multi);
        let mut at = acked;
        let is_sent = |entry: &&InFlight| {
            let begun = at < sent;
            let alone = u64::from(entry.asking_len()) + MULTI_WIRE.len() as u64;
            let may_have_run = entry.is_unit() && !allows_multi && at + alone < sent;
            at += u64::from(entry.len);
            at <= sent || may_have_run || (begun && !keeps_unsent)
        };
        let count = entries.iter().take_while(is_sent).count();
        if ran_in_part { count.max(1).min(entries.len()) } else { count }
    }

    /// For each command that was sent whole, oldest first: whether it is sent again.
    fn resendable(
        &mut self,
        row: u16,
        entries: &[InFlight],
        acked: u64,
        sent: u64,
        begun: Option<Outcome>,
    ) -> Vec<bool> {
        // Of a unit that runs one by one a part is enough; any other reply cannot begin before its command has left.
        let count = self.sent_whole(row, entries, acked, sent, begun == Some(Outcome::Unknown));
        let entries = entries.get(..count).unwrap_or_default();
        let mut resend = vec![false; count];
        let Some(link) = self.links.get_mut(usize::from(row)) else { return resend };
        let starts = link.queue.segment_starts();
        let Some(link) = self.links.get(usize::from(row)) else { return resend };
        let bytes_of = |entry: &InFlight, at: u64| {
            let asking = u64::from(entry.asking_len());
            link.queue.share_from(&starts, at + asking, u64::from(entry.len) - asking)
        };
        let mut at = acked;
        let mut concerned = BTreeSet::new();
        for (n, (entry, resend)) in entries.iter().zip(&mut resend).enumerate() {
            // A write whose reply had begun is not in doubt: it ran.
            let ran = n == 0 && begun.is_some() && !entry.has(InFlight::READ_ONLY);
            *resend = !ran && self.is_wanted(entry) && self.policy_allows(entry, || bytes_of(entry, at));
            if *resend {
                concerned.insert(entry.slot);
            }
            at += u64::from(entry.len);
        }
        let order = self.config.order;
        if order == Order::Relaxed {
            return resend;
        }
        let keeps_reads = keeps!(self.config, ReadBehindWrite);
        let keeps_writes = keeps!(self.config, RetryTogether);
        let mut behind: BTreeMap<u16, Behind> = BTreeMap::new();
        for (entry, resend) in entries.iter().zip(&mut resend).rev() {
            at -= u64::from(entry.len);
            if !entry.is_callers() || !concerned.contains(&entry.slot) {
                continue;
            }
            let footprint = footprint(&self.config, entry, &bytes_of(entry, at));
            let behind = behind.entry(entry.slot).or_default();
            *resend &= if entry.has(InFlight::READ_ONLY) {
                !keeps_reads || !behind.writes.conflicts(&footprint)
            } else {
                !keeps_writes || !behind.stays.conflicts(&footprint)
            };
            if !entry.has(InFlight::READ_ONLY) {
                behind.writes.add(&footprint);
            }
            if !*resend {
                behind.stays.add(&footprint);
            }
        }
        resend
    }

    /// What `Config::retry_unknown`, or the caller of this one command, says of sending it again.
    fn policy_allows(&self, entry: &InFlight, bytes: impl Fn() -> CommandBytes) -> bool {
        if !keeps!(self.config, UnknownIsFinal) {
            return true;
        }
        if entry.has(InFlight::RETRY_NEVER | InFlight::RETRY_ALWAYS) {
            return entry.has(InFlight::RETRY_ALWAYS);
        }
        let of_batch = self.batches.row(entry.owner()).and_then(|batch| batch.options.retry_unknown);
        match of_batch.unwrap_or(self.config.retry_unknown) {
            RetryUnknown::Never => false,
            RetryUnknown::Always => true,
            RetryUnknown::ReadOnly => entry.has(InFlight::READ_ONLY),
            RetryUnknown::Idempotent => {
                entry.has(InFlight::READ_ONLY) || !entry.is_unit() && is_idempotent(&bytes())
            }
        }
    }

    /// A command that a fence waited for may have run; its bytes start there in the queue. It may have overtaken some that are held.
    fn note_lost(&mut self, row: u16, entry: &InFlight, start: u64) {
        let sequence = self.sequence_of(entry);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let asking = u64::from(entry.asking_len());
        let bytes = link.queue.share(start + asking, u64::from(entry.len) - asking);
        self.note_ran_with(entry, sequence, &bytes);
    }
}

/// Whether the same is left behind when a command in its wire form runs twice.
fn is_idempotent(bytes: &CommandBytes) -> bool {
    let words = words_of(bytes);
    let views: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    matches!(inspect(&views).idempotency, Idempotency::ReadOnly | Idempotency::Idempotent)
}

/// What the beginning of a reply to the front command proves.
pub(crate) fn reply_begun(unread: &[u8]) -> Option<Outcome> {
    // An error may still turn out to be a rejection; a push or an attribute proves nothing.
    match unread.first() {
        None | Some(b'-' | b'!' | b'>' | b'|') => None,
        Some(_) => Some(Outcome::ExecutedReplyLost),
    }
}
