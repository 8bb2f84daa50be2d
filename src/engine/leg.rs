//! Which held commands may be sent next, and which have lost their place.
//!
//! Both questions are about the order of submission among commands that share a key (`conflict`); `settle` sends, this module only looks.

use crate::config::{Config, Order, Overtaken};
use crate::engine::conflict::{Footprint, Footprints};
use crate::engine::fence::{Fence, Parked};
use crate::engine::in_flight::InFlight;
use crate::engine::send_queue::CommandBytes;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind};

/// A leg that has somebody to send looks past no more than this many who have to wait: each of a crowd that shares a key is a leg by itself.
const HELD_UP_MAX: usize = 1024;

/// Commands of a fence that may be sent together.
#[derive(Debug)]
pub(crate) struct Leg {
    /// Their places among the held ones; none where all must wait.
    pub(crate) places: Vec<usize>,
    /// Where they go: the node that an ASK named, or else the owner.
    pub(crate) ask: Option<u16>,
    /// When the first that waits by itself need no longer.
    pub(crate) waits_until: Timestamp,
}

impl Engine {
    /// The first held command that need not wait, and those behind it that go to the same node.
    ///
    /// A command that waits, or goes elsewhere, holds up those that share a key with it. So does one over several keys that goes ahead: while
    /// its slot migrates it may be refused for the one key, and a later command of the other be run.
    pub(crate) fn next_leg(&mut self, slot: u16, now: Timestamp) -> Leg {
        self.find_footprints(slot);
        let barrier = keeps!(self.config, KeyBarrier);
        let one_node = keeps!(self.config, Rounds);
        let mut leg = Leg { places: Vec::new(), ask: None, waits_until: Timestamp::NEVER };
        let Some(fence) = self.fences.get_mut(slot) else { return leg };
        let mut ahead = Footprints::default();
        let mut held_up = 0;
        for (at, parked) in fence.parked.iter().enumerate() {
            let Some(footprint) = &parked.footprint else { continue };
            let waits = parked.not_before > now;
            if waits {
                leg.waits_until = leg.waits_until.min(parked.not_before);
            }
            let along = leg.places.is_empty() || parked.ask == leg.ask || !one_node;
            if waits || !along || (barrier && ahead.conflicts(footprint)) {
                ahead.add(footprint);
                held_up += 1;
                if held_up >= HELD_UP_MAX && !leg.places.is_empty() {
                    break;
                }
                continue;
            }
            if leg.places.is_empty() {
                leg.ask = parked.ask;
            }
            leg.places.push(at);
            if footprint.has_several_keys() {
                ahead.add(footprint);
            }
        }
        leg
    }

    fn find_footprints(&mut self, slot: u16) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        for parked in &mut fence.parked {
            if parked.footprint.is_none() {
                parked.footprint = Some(footprint(&self.config, &parked.entry, &parked.bytes));
            }
        }
    }

    /// The front command of a node has run, or may have; its bytes are still in the queue. It may have overtaken some that are held.
    #[cold]
    pub(crate) fn note_ran(&mut self, row: u16, entry: &InFlight) {
        let sequence = self.sequence_of(entry);
        let bytes = self.front_bytes(row, entry);
        self.note_ran_with(entry, sequence, &bytes);
    }

    pub(crate) fn note_ran_with(&mut self, entry: &InFlight, sequence: Option<u64>, bytes: &CommandBytes) {
        let order = self.config.order;
        let Some(fence) = self.fences.get_mut(entry.slot) else { return };
        // One that nobody waits for any more stood behind the one that was refused last, or it would have gone first.
        let sequence = sequence.unwrap_or(fence.refused_last);
        // Those that are held are sorted: the first tells.
        if order != Order::Relaxed && fence.parked.front().is_some_and(|parked| parked.sequence <= sequence) {
            fence.ran.push((sequence, footprint(&self.config, entry, bytes)));
        }
    }

    /// Fails held commands that have lost their place: a later one that shares a key with them has run. They have not, and would now run
    /// out of order.
    pub(crate) fn fail_overtaken(&mut self, slot: u16) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        let Fence { parked, tryagains, .. } = fence;
        tryagains.retain(|sequence, _| parked.binary_search_by_key(sequence, |held| held.sequence).is_ok());
        self.fail_overtaken_so_far(slot);
    }

    /// As `fail_overtaken`, while others of the slot are still on their way.
    pub(crate) fn fail_overtaken_so_far(&mut self, slot: u16) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        let mut ran = std::mem::take(&mut fence.ran);
        if ran.is_empty() || self.config.overtaken == Overtaken::Retry || !keeps!(self.config, OvertakeTest) {
            return;
        }
        self.find_footprints(slot);
        let Some(fence) = self.fences.get_mut(slot) else { return };
        ran.sort_unstable_by_key(|(sequence, _)| *sequence);
        let mut later = Footprints::default();
        let mut lost = Vec::new();
        for (at, parked) in fence.parked.iter().enumerate().rev() {
            while let Some((_, footprint)) = ran.pop_if(|(sequence, _)| *sequence >= parked.sequence) {
                later.add(&footprint);
            }
            if parked.footprint.as_ref().is_some_and(|footprint| later.conflicts(footprint)) {
                lost.push(at);
            }
        }
        lost.reverse();
        for parked in self.fences.take_places(slot, &lost) {
            self.fail_entry(&parked.entry, overtaken(&parked));
            self.drop_entry(&parked.entry);
        }
    }
}

pub(crate) fn footprint(config: &Config, entry: &InFlight, bytes: &CommandBytes) -> Footprint {
    let is_whole = keeps!(config, UnitKeys);
    match config.order {
        Order::PerSlot => Footprint::everything(false),
        Order::PerKey | Order::Relaxed => Footprint::of(bytes, entry.has(InFlight::READ_ONLY), is_whole),
    }
}

fn overtaken(parked: &Parked) -> Error {
    let hops = u32::from(parked.entry.hops);
    let (cause, node) = match &parked.rejection {
        Some(rejection) => (rejection.error.to_string(), rejection.node.as_str()),
        None => ("it had not been sent whole".to_owned(), ""),
    };
    Error::not_executed(ErrorKind::Overtaken { cause }).at_node(node).with_counts(hops + 1, hops)
}
