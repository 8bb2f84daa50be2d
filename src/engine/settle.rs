//! What a fence does once nothing of its slot is in flight: probe, run a round, wait, or let everything go.
//!
//! Sends for a fenced slot happen here and nowhere else, and only while nothing of the slot is in flight; so at any time the unanswered
//! commands of one slot sit on at most one connection, and that connection runs them in order.

use bytes::Bytes;
use smallvec::smallvec;

use crate::engine::Engine;
use crate::engine::fence::{Hint, Parked, Step};
use crate::engine::in_flight::{ASKING, InFlight, NO_SLOT};
use crate::engine::send_queue::CommandBytes;
use crate::engine::time::Timestamp;

const ASKING_WIRE: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

impl Engine {
    /// A command of a slot has its result. If the slot is fenced, the fence was waiting for that.
    #[inline]
    pub(crate) fn after_terminal(&mut self, entry: &InFlight) {
        if self.fences.is_fenced(entry.slot) {
            self.count_terminal(entry.slot);
        }
    }

    #[cold]
    fn count_terminal(&mut self, slot: u16) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        fence.draining = fence.draining.saturating_sub(1);
        fence.tryagain_since = None;
        fence.rounds = 0;
        if let Step::Probe { answered } = &mut fence.step {
            *answered = true;
        }
        self.fences.wake(slot);
    }

    /// Commands of a slot that this node has begun to take.
    pub(crate) fn count_sent(&self, row: u16, slot: u16) -> u32 {
        let Some(link) = self.links.get(usize::from(row)) else { return 0 };
        let mut at = link.queue.acked();
        let mut count = 0;
        for entry in &link.in_flight {
            if at >= link.queue.sent() {
                break;
            }
            at += u64::from(entry.len);
            count += u32::from(entry.slot == slot);
        }
        count
    }

    /// Moves every fence on that can move, after one node's input has been dealt with.
    #[inline]
    pub(crate) fn settle_fences(&mut self, row: u16, now: Timestamp) {
        if !self.fences.is_empty() {
            self.pull_back(row);
            self.settle_ready(now);
        }
    }

    /// Takes commands of fenced slots that this node has not begun to take behind their fences.
    pub(crate) fn pull_back(&mut self, row: u16) {
        let Engine { links, fences, .. } = self;
        let Some(link) = links.get_mut(usize::from(row)) else { return };
        let taken = link.take_unsent(|entry| fences.is_fenced(entry.slot) && !entry.has(InFlight::FENCED));
        for (entry, bytes) in taken {
            self.queued_bytes -= u64::from(entry.len);
            match self.sequence_of(&entry) {
                Some(sequence) => {
                    self.fences.park(Parked { sequence, entry, bytes, ask: None, rejection: None })
                }
                None => self.drop_entry(&entry),
            }
            self.fences.wake(entry.slot);
        }
    }

    pub(crate) fn settle_ready(&mut self, now: Timestamp) {
        while let Some(slot) = self.fences.next_ready() {
            self.settle(slot, now);
        }
    }

    fn settle(&mut self, slot: u16, now: Timestamp) {
        if self.fences.get_mut(slot).is_none_or(|fence| fence.draining > 0) {
            return;
        }
        self.drop_unwanted(slot);
        let Some(fence) = self.fences.get_mut(slot) else { return };
        if fence.parked.is_empty() {
            self.fences.lift(slot);
        } else if fence.step == (Step::Probe { answered: true }) {
            self.release(slot, now);
        } else if now < fence.not_before {
            let until = fence.not_before;
            self.wait(slot, until);
        } else {
            match fence.hint {
                Hint::Probe => self.probe(slot, now),
                Hint::Rounds => self.run_leg(slot, now),
            }
        }
    }

    fn drop_unwanted(&mut self, slot: u16) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        let entries: Vec<InFlight> = fence.parked.iter().map(|parked| parked.entry).collect();
        if entries.iter().all(|entry| self.is_wanted(entry)) {
            return;
        }
        let unwanted: Vec<InFlight> = entries.into_iter().filter(|entry| !self.is_wanted(entry)).collect();
        for parked in self.fences.take_all(slot, |parked| unwanted.contains(&parked.entry)) {
            self.drop_entry(&parked.entry);
        }
    }

    fn wait(&mut self, slot: u16, until: Timestamp) {
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = Step::Wait;
            fence.not_before = until;
        }
        self.fences.due = self.fences.due.min(until);
    }

    /// Nobody serves the slot: the next view of the topology wakes the fence.
    fn wait_for_owner(&mut self, slot: u16, now: Timestamp) {
        self.wait(slot, Timestamp::NEVER);
        self.request_refresh(None, now);
    }

    /// Sends the first command alone: whether it runs tells where the others belong.
    fn probe(&mut self, slot: u16, now: Timestamp) {
        let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
        let Some(mut first) = self.fences.take_first(slot, |_| true) else { return };
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = Step::Probe { answered: false };
            fence.rounds += 1;
            fence.draining = 1;
        }
        first.entry.flags |= InFlight::FENCED;
        self.send_on(owner, first.entry, &first.bytes, now);
    }

    /// One leg of a round while the slot migrates: what the source has refused goes to the target, else all to the source.
    fn run_leg(&mut self, slot: u16, now: Timestamp) {
        let asked = self.fences.take_all(slot, |parked| parked.ask.is_some());
        if asked.is_empty() {
            let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
            let all = self.fences.take_all(slot, |_| true);
            self.begin_leg(slot, all.len());
            for mut parked in all {
                parked.entry.flags |= InFlight::FENCED;
                self.send_on(owner, parked.entry, &parked.bytes, now);
            }
            return;
        }
        self.begin_leg(slot, asked.len());
        for mut parked in asked {
            let Some(target) = parked.ask else { continue };
            parked.entry.flags |= InFlight::FENCED | InFlight::ASKED;
            // Adjacent in the same queue: the flag that ASKING sets is spent by the very next command.
            self.send_asking(target, now);
            self.send_on(target, parked.entry, &parked.bytes, now);
        }
    }

    fn begin_leg(&mut self, slot: u16, commands: usize) {
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = Step::Leg;
            fence.rounds += 1;
            fence.draining = commands as u32;
        }
    }

    /// The probe ran: the owner is right, everything goes there in order.
    fn release(&mut self, slot: u16, now: Timestamp) {
        let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
        for parked in self.fences.take_all(slot, |_| true) {
            self.send_on(owner, parked.entry, &parked.bytes, now);
        }
        self.fences.lift(slot);
    }

    pub(crate) fn send_asking(&mut self, row: u16, now: Timestamp) {
        let flags = InFlight::FENCED;
        let entry = InFlight {
            len: ASKING_WIRE.len() as u32,
            batch: ASKING,
            index: 0,
            slot: NO_SLOT,
            hops: 0,
            flags,
        };
        self.send_on(row, entry, &smallvec![Bytes::from_static(ASKING_WIRE)], now);
    }

    /// Sends a command that was encoded before; it leaves on this very turn.
    pub(crate) fn send_on(&mut self, row: u16, entry: InFlight, bytes: &CommandBytes, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.append(entry, bytes);
        link.stats.commands += 1;
        link.queue.flush();
        self.queued_bytes += u64::from(entry.len);
        if self.links.get(usize::from(row)).is_some_and(|link| link.is_ready()) {
            self.schedule_transmit(row);
        } else {
            self.want_connection(row, now);
        }
    }
}
