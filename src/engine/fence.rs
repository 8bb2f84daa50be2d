//! Commands of a slot that are held back, in submission order, while it is unclear which node runs them.
//!
//! A rejected command must not lose its place among the commands of its slot. While one is held, every other command of the slot
//! queues behind it, and nothing of the slot is in flight but what the fence itself has sent:
//!
//! ```text
//!   rejected ──▶ drain ──▶ probe the owner with the first ──▶ it ran: send the rest in order, lift the fence
//!                 ▲   │                                   └─▶ rejected again: wait a little, probe again
//!                 │   └──▶ ASK: send those to the target, each behind its own ASKING; then the next to the source; one node at a
//!                 │        time, in the order of submission, until a round brings no ASK
//!                 │   └──▶ TRYAGAIN: the command waits by itself, and holds up those alone that share a key with it
//!                 └─────── no owner, cluster down, loading: wait for a timer or the next view of the topology
//! ```
//!
//! This module is the bookkeeping; `redirect` decides. Invariant: `parked` is sorted by submission; a slot's bit is set exactly while
//! it has a fence.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::conflict::Footprint;
use crate::engine::in_flight::InFlight;
use crate::engine::send_queue::CommandBytes;
use crate::engine::time::Timestamp;
use crate::error::ServerError;
use crate::slot::SLOT_COUNT;

/// Why a command was held back last.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    pub(crate) error: ServerError,
    pub(crate) node: String,
    pub(crate) redirect: bool,
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) sequence: u64,
    pub(crate) entry: InFlight,
    pub(crate) bytes: CommandBytes,
    /// The node that an ASK named.
    pub(crate) ask: Option<u16>,
    pub(crate) rejection: Option<Box<Rejection>>,
    /// It is not sent earlier; others are, unless they share a key with it.
    pub(crate) not_before: Timestamp,
    /// What it touches, once somebody needed to know.
    pub(crate) footprint: Option<Footprint>,
}

impl Parked {
    /// One that need not wait for itself.
    pub(crate) fn new(sequence: u64, entry: InFlight, bytes: CommandBytes) -> Self {
        Parked {
            sequence,
            entry,
            bytes,
            ask: None,
            rejection: None,
            not_before: Timestamp::ZERO,
            footprint: None,
        }
    }
}

/// The TRYAGAINs of one command.
#[derive(Debug)]
pub(crate) struct TryAgain {
    /// When the first came.
    pub(crate) since: Timestamp,
    pub(crate) times: u32,
}

/// What the fence does when nothing of its slot is in flight any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Try the owner with one command.
    Probe,
    /// Run rounds between source and target.
    Rounds,
}

/// What the fence is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Replies to commands that were in flight when the fence was opened.
    Drain,
    /// The reply to the one command sent ahead; `accepted` once this node took it.
    Probe { row: u16, accepted: bool },
    /// The replies of the source; `refused` once one of them was not the command's result.
    SourceLeg { refused: bool },
    /// The replies of the target.
    TargetLeg,
    /// `Fence::not_before`, or news of the topology.
    Wait,
}

/// The fence of one slot.
#[derive(Debug)]
pub(crate) struct Fence {
    pub(crate) step: Step,
    pub(crate) hint: Hint,
    /// Entries in flight with the flag `FENCED`: what the fence waits for.
    pub(crate) draining: u32,
    pub(crate) parked: VecDeque<Parked>,
    pub(crate) not_before: Timestamp,
    /// Sends since a command of the slot had its result last; what the delays grow with.
    pub(crate) rounds: u32,
    /// One of the commands it has sent was rejected: those that have not left yet come back, or they would overtake it.
    pub(crate) recalls: bool,
    /// Of the commands that are held, or are in flight once more, by their places in the order of submission.
    pub(crate) tryagains: BTreeMap<u64, TryAgain>,
    /// Commands that have run, or may have, while earlier ones were held: with their place in the order of submission.
    pub(crate) ran: Vec<(u64, Footprint)>,
    /// The place of the command that was refused last, of those that are in flight together; 0 while there is none.
    pub(crate) refused_last: u64,
    /// In `Step::Wait`: all that is held waits by itself, this long at least.
    pub(crate) all_wait_until: Timestamp,
    /// The server has no room, no disk or no replicas for a write of it.
    pub(crate) refused: bool,
    /// In `Fences::ready`: a window of rejections is one reason to look, not thousands.
    woken: bool,
}

impl Fence {
    fn new(draining: u32) -> Self {
        Fence {
            step: Step::Drain,
            hint: Hint::Probe,
            draining,
            parked: VecDeque::new(),
            not_before: Timestamp::ZERO,
            rounds: 0,
            recalls: false,
            tryagains: BTreeMap::new(),
            ran: Vec::new(),
            refused_last: 0,
            all_wait_until: Timestamp::ZERO,
            refused: false,
            woken: false,
        }
    }

    /// Holds a command back at its place in the order of submission.
    fn park(&mut self, parked: Parked) {
        // Nearly always the end (a new command) or the front (a rejected probe).
        let at = self.parked.partition_point(|held| held.sequence < parked.sequence);
        self.parked.insert(at, parked);
    }

    /// When a fence in `Step::Wait` goes on by itself.
    pub(crate) fn due(&self) -> Timestamp {
        self.not_before.max(self.all_wait_until)
    }

    /// Notes one more TRYAGAIN of a command; answers how many it has had.
    pub(crate) fn count_tryagain(&mut self, sequence: u64, now: Timestamp) -> u32 {
        let known = self.tryagains.entry(sequence).or_insert(TryAgain { since: now, times: 0 });
        known.times += 1;
        known.times
    }
}

/// All fences; empty nearly always.
#[derive(Debug)]
pub(crate) struct Fences {
    bits: Box<[u64; SLOT_COUNT as usize / 64]>,
    by_slot: BTreeMap<u16, Fence>,
    parked_bytes: u64,
    parked_commands: u64,
    /// Slots whose fence may be able to move on; looked at when the current input has been dealt with.
    ready: Vec<u16>,
    /// No waiting fence is due before this.
    pub(crate) due: Timestamp,
}

impl Default for Fences {
    fn default() -> Self {
        Fences {
            bits: Box::new([0; SLOT_COUNT as usize / 64]),
            by_slot: BTreeMap::new(),
            parked_bytes: 0,
            parked_commands: 0,
            ready: Vec::new(),
            due: Timestamp::NEVER,
        }
    }
}

impl Fences {
    /// The one test on the fast path: nearly always there is no fence at all. Commands without a slot have no bit.
    #[inline]
    pub(crate) fn is_fenced(&self, slot: u16) -> bool {
        !self.by_slot.is_empty() && self.has_bit(slot)
    }

    fn has_bit(&self, slot: u16) -> bool {
        self.bits.get(usize::from(slot >> 6)).is_some_and(|word| word >> (slot & 63) & 1 == 1)
    }

    /// Whether unsent commands of the slot belong behind its fence, also those the fence itself has sent.
    pub(crate) fn recalls(&self, slot: u16) -> bool {
        self.by_slot.get(&slot).is_some_and(|fence| fence.recalls)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// Whether a server took no writes of a slot that is fenced still.
    pub(crate) fn holds_refused(&self) -> bool {
        self.by_slot.values().any(|fence| fence.refused)
    }

    pub(crate) fn parked_bytes(&self) -> u64 {
        self.parked_bytes
    }

    pub(crate) fn parked_commands(&self) -> u64 {
        self.parked_commands
    }

    pub(crate) fn parked_sequences(&self) -> impl Iterator<Item = u64> {
        self.by_slot.values().flat_map(|fence| fence.parked.iter().map(|parked| parked.sequence))
    }

    pub(crate) fn get(&self, slot: u16) -> Option<&Fence> {
        self.by_slot.get(&slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u16) -> Option<&mut Fence> {
        self.by_slot.get_mut(&slot)
    }

    pub(crate) fn open(&mut self, slot: u16, draining: u32) -> &mut Fence {
        if let Some(word) = self.bits.get_mut(usize::from(slot >> 6)) {
            *word |= 1 << (slot & 63);
        }
        self.by_slot.entry(slot).or_insert_with(|| Fence::new(draining))
    }

    /// Holds a command back; its slot must be fenced. Unless `sorted`, at the end: wrong, and a proof that tests see it.
    pub(crate) fn park(&mut self, parked: Parked, sorted: bool) {
        if let Some(fence) = self.by_slot.get_mut(&parked.entry.slot) {
            self.parked_bytes += u64::from(parked.entry.len);
            self.parked_commands += 1;
            if sorted { fence.park(parked) } else { fence.parked.push_back(parked) }
        } else {
            debug_assert!(false, "parked without a fence");
        }
    }

    fn unaccount(&mut self, parked: &Parked) {
        self.parked_bytes -= u64::from(parked.entry.len);
        self.parked_commands -= 1;
    }

    /// Takes the held command of this place in the order of submission.
    pub(crate) fn take_one(&mut self, slot: u16, sequence: u64) -> Option<Parked> {
        let fence = self.by_slot.get_mut(&slot)?;
        let at = fence.parked.binary_search_by_key(&sequence, |parked| parked.sequence).ok()?;
        let parked = fence.parked.remove(at)?;
        self.unaccount(&parked);
        Some(parked)
    }

    /// Takes all held commands that `wanted` accepts, in order.
    pub(crate) fn take_all(&mut self, slot: u16, wanted: impl Fn(&Parked) -> bool) -> Vec<Parked> {
        let Some(fence) = self.by_slot.get_mut(&slot) else { return Vec::new() };
        if !fence.parked.iter().any(&wanted) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let mut kept = VecDeque::with_capacity(fence.parked.len());
        for parked in fence.parked.drain(..) {
            if wanted(&parked) { taken.push(parked) } else { kept.push_back(parked) }
        }
        fence.parked = kept;
        for parked in &taken {
            self.unaccount(parked);
        }
        taken
    }

    /// Takes the held commands at these places, ascending.
    pub(crate) fn take_places(&mut self, slot: u16, places: &[usize]) -> Vec<Parked> {
        let Some(fence) = self.by_slot.get_mut(&slot) else { return Vec::new() };
        let end = places.last().map_or(0, |last| last + 1).min(fence.parked.len());
        let mut places = places.iter().copied().peekable();
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        // What stands behind them stays where it is: a leg of few costs little, whatever waits.
        for (at, parked) in fence.parked.drain(..end).enumerate() {
            if places.next_if_eq(&at).is_some() { taken.push(parked) } else { kept.push(parked) }
        }
        for parked in kept.into_iter().rev() {
            fence.parked.push_front(parked);
        }
        for parked in &taken {
            self.unaccount(parked);
        }
        taken
    }

    /// Lifts the fence; nothing may be parked in it.
    pub(crate) fn lift(&mut self, slot: u16) {
        if let Some(fence) = self.by_slot.remove(&slot) {
            debug_assert!(fence.parked.is_empty(), "a fence was lifted over parked commands");
        }
        if let Some(word) = self.bits.get_mut(usize::from(slot >> 6)) {
            *word &= !(1 << (slot & 63));
        }
    }

    /// Marks a slot to be looked at.
    pub(crate) fn wake(&mut self, slot: u16) {
        if let Some(fence) = self.by_slot.get_mut(&slot)
            && !std::mem::replace(&mut fence.woken, true)
        {
            self.ready.push(slot);
        }
    }

    #[cfg(test)]
    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(crate) fn next_ready(&mut self) -> Option<u16> {
        let slot = self.ready.pop()?;
        if let Some(fence) = self.by_slot.get_mut(&slot) {
            fence.woken = false;
        }
        Some(slot)
    }

    /// Marks all waiting fences that are due, and finds the next due time.
    pub(crate) fn wake_due(&mut self, now: Timestamp) {
        let mut next = Timestamp::NEVER;
        for (&slot, fence) in &mut self.by_slot {
            if fence.step != Step::Wait {
                continue;
            }
            if fence.due() <= now {
                if !std::mem::replace(&mut fence.woken, true) {
                    self.ready.push(slot);
                }
            } else {
                next = next.min(fence.due());
            }
        }
        self.due = next;
    }

    /// All fenced slots, ascending.
    pub(crate) fn slots(&self) -> Vec<u16> {
        self.by_slot.keys().copied().collect()
    }
}
