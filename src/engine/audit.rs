//! The engine's books, held against each other from outside; and what a test that drives it alone needs to read results.
//!
//! Exists with the feature `testkit` only. Knows every other room of the engine and changes nothing in any.

use std::collections::BTreeMap;

use crate::config::Order;
use crate::engine::Engine;
use crate::engine::fence::{Hint, Step};
use crate::engine::in_flight::{InFlight, NO_SLOT};
use crate::engine::submit::BatchId;
use crate::engine::{Encoded, Window};
use crate::error::{Error, ErrorKind};
use crate::resp::reply::ReplyRef;

/// What a fence is doing, by name.
pub const FENCE_STATES: [&str; 6] =
    ["drain", "probe", "source leg", "target leg", "wait for a time", "wait for an owner"];

/// The books of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Places in `FENCE_STATES`, with the fences' slots.
    pub fences: Vec<(u16, usize)>,
    /// Rows of batches and of single commands that are in use.
    pub rows: usize,
    /// What does not agree.
    pub problems: Vec<String>,
}

/// Sums over entries, to hold against what is counted elsewhere.
#[derive(Default)]
struct Sums {
    in_flight: u64,
    parked: u64,
    bytes: u64,
    /// Entries that a fence waits for, by slot.
    fenced: BTreeMap<u16, u32>,
    /// Where the commands of a slot are in flight.
    homes: BTreeMap<u16, usize>,
    /// Entries by batch.
    referenced: BTreeMap<u32, u32>,
}

impl Audit {
    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }
}

impl Engine {
    /// Holds the books against each other.
    #[doc(hidden)]
    pub fn audit(&self) -> Audit {
        let mut audit = Audit { rows: self.batches.iter().count() + self.stream.rows(), ..Audit::default() };
        let mut sums = Sums::default();
        self.audit_links(&mut audit, &mut sums);
        self.audit_fences(&mut audit, &mut sums);
        let left: Vec<_> = sums.fenced.iter().filter(|(_, count)| **count > 0).collect();
        audit.expect(left.is_empty(), || format!("no fence waits for entries with the flag: {left:?}"));
        let stats = self.stats();
        let counted = (stats.in_flight, stats.queued_bytes, stats.parked);
        let found = (sums.in_flight + sums.parked, sums.bytes, sums.parked);
        audit.expect(counted == found, || format!("counted {counted:?}, found {found:?}"));
        for (id, batch) in self.batches.iter() {
            let found = sums.referenced.remove(&id).unwrap_or(0);
            audit.expect(batch.referenced == found, || {
                format!("batch {id} counts {} entries, there are {found}", batch.referenced)
            });
        }
        audit
    }

    fn audit_links(&self, audit: &mut Audit, sums: &mut Sums) {
        for (row, link) in self.links.iter().enumerate() {
            let held: u64 = link.in_flight.iter().map(|entry| u64::from(entry.len)).sum();
            let queued = link.queue.held_bytes();
            audit.expect(held == queued, || format!("link {row} holds {queued} bytes for {held}"));
            let ends = [link.queue.acked(), link.queue.sent(), link.queue.encoded()];
            audit.expect(ends.is_sorted(), || format!("link {row}: acked, sent, encoded are {ends:?}"));
            sums.bytes += held;
            let front = link.in_flight.first().filter(|front| front.is_unit());
            audit.expect(link.unit.is_none() || front.is_some(), || {
                format!("link {row}: whose replies are these?")
            });
            // Answered, and not told until a sentinel has come back.
            for entry in link.guard.held() {
                sums.in_flight += 1;
                *sums.referenced.entry(entry.owner()).or_default() += 1;
            }
            for entry in link.in_flight.iter() {
                sums.in_flight += 1;
                *sums.referenced.entry(entry.owner()).or_default() += 1;
                if entry.slot == NO_SLOT {
                    continue;
                }
                *sums.fenced.entry(entry.slot).or_default() += u32::from(entry.has(InFlight::FENCED));
                let home = *sums.homes.entry(entry.slot).or_insert(row);
                let pinned = entry.has(InFlight::PINNED);
                audit.expect(home == row || pinned || self.config.order == Order::Relaxed, || {
                    format!("commands of slot {} are on links {home} and {row}", entry.slot)
                });
            }
        }
    }

    fn audit_fences(&self, audit: &mut Audit, sums: &mut Sums) {
        for slot in self.fences.slots() {
            let Some(fence) = self.fences.get(slot) else { continue };
            audit.expect(self.fences.is_fenced(slot), || format!("slot {slot} has a fence and no bit"));
            let flagged = sums.fenced.remove(&slot).unwrap_or(0);
            let draining = fence.draining;
            audit.expect(draining == flagged, || {
                format!("the fence of slot {slot} waits for {draining}, in flight are {flagged}")
            });
            let sorted = fence.parked.iter().is_sorted_by_key(|parked| parked.sequence);
            audit.expect(sorted, || format!("parked in slot {slot}: not in the order of submission"));
            for parked in &fence.parked {
                let len: usize = parked.bytes.iter().map(|piece| piece.len()).sum();
                audit.expect(len == parked.entry.len as usize, || format!("a parked command of {len} bytes"));
                sums.bytes += u64::from(parked.entry.len);
                sums.parked += 1;
                *sums.referenced.entry(parked.entry.owner()).or_default() += 1;
            }
        }
        audit.fences = self.fence_states();
    }

    /// The fences that there are: slots, and places in `FENCE_STATES`.
    #[doc(hidden)]
    pub fn fence_states(&self) -> Vec<(u16, usize)> {
        if self.fences.is_empty() {
            return Vec::new();
        }
        self.fences.slots().into_iter().map(|slot| (slot, self.state_of(slot))).collect()
    }

    fn state_of(&self, slot: u16) -> usize {
        let Some(fence) = self.fences.get(slot) else { return 0 };
        match (fence.step, fence.hint) {
            (Step::Drain, Hint::Probe | Hint::Rounds) => 0,
            (Step::Probe { .. }, _) => 1,
            (Step::SourceLeg { .. }, _) => 2,
            (Step::TargetLeg, _) => 3,
            (Step::Wait, _) if fence.not_before != crate::engine::Timestamp::NEVER => 4,
            (Step::Wait, _) => 5,
        }
    }

    /// Encodes a transaction, which is MULTI, commands of keys of this slot and EXEC in `frames`; answers its index in the batch.
    #[doc(hidden)]
    pub fn submit_transaction(
        &mut self,
        batch: BatchId,
        frames: &[u8],
        slot: u16,
        now: crate::engine::Timestamp,
    ) -> u32 {
        let index = self.places(batch) as u32;
        let unit = Encoded { name: "MULTI", bytes: frames, shared: None, flags: 0 };
        let limits = &self.config.limits;
        let window = Window { commands: limits.commands_per_node_max, bytes: limits.bytes_per_node_max };
        if let (Err(_), Some(batch)) =
            (self.submit_unit(batch, unit, slot, window, now), self.batches.row_mut(batch.0))
        {
            let (node, queued_bytes, queued_commands) = ("the window".to_owned(), 0, 0);
            let full = ErrorKind::Full { node, queued_bytes, queued_commands };
            batch.push_failed(Error::not_executed(full));
        }
        index
    }

    /// What became of a command of a batch: what [`crate::Replies`] reads. The batch must be complete.
    #[doc(hidden)]
    pub fn batch_result(&mut self, batch: BatchId, index: u32) -> Option<Result<ReplyRef<'_>, Error>> {
        self.batch(batch).map(|batch| batch.reply(index).map_err(Error::clone))
    }

    /// Joins the parts of split commands of a complete batch.
    #[doc(hidden)]
    pub fn join_parts(&mut self, batch: BatchId) {
        self.merge_splits(batch);
    }
}
