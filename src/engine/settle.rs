//! What a fence does once nothing of its slot is in flight: probe, run a round, wait, or let everything go.
//!
//! Sends for a fenced slot happen here and nowhere else, and only while nothing of the slot is in flight; so at any time the unanswered
//! commands of one slot sit on at most one connection, and that connection runs them in order.

use bytes::Bytes;
use smallvec::smallvec;

use crate::config::Order;
use crate::engine::fence::{Hint, Parked, Step};
use crate::engine::in_flight::{ASKING_WIRE, InFlight};
use crate::engine::send_queue::CommandBytes;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};

impl Engine {
    /// An entry has left a connection. If a fence was waiting for it, `accepted` says whether the node ran it, or would have: then the node
    /// serves the slot.
    #[inline]
    pub(crate) fn uncount(&mut self, entry: &InFlight, accepted: bool) {
        if entry.has(InFlight::FENCED) {
            self.uncount_fenced(entry.slot, accepted);
        }
    }

    #[cold]
    fn uncount_fenced(&mut self, slot: u16, is_accepted: bool) {
        let Some(fence) = self.fences.get_mut(slot) else { return };
        debug_assert!(fence.draining > 0, "an entry was counted once and left twice");
        fence.draining = fence.draining.saturating_sub(1);
        if is_accepted {
            fence.rounds = 0;
        }
        match &mut fence.step {
            Step::Probe { accepted, .. } => *accepted = is_accepted,
            Step::SourceLeg { refused } => *refused |= !is_accepted,
            Step::Drain | Step::TargetLeg | Step::Wait => {}
        }
        self.fences.wake(slot);
    }

    /// Flags the commands of a slot that this node has begun to take; answers how many there are.
    pub(crate) fn flag_sent(&mut self, row: u16, slot: u16) -> u32 {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return 0 };
        let sent = link.queue.sent();
        let mut at = link.queue.acked();
        let mut count = 0;
        for entry in link.in_flight.iter_mut() {
            if at >= sent {
                break;
            }
            at += u64::from(entry.len);
            if entry.slot == slot {
                entry.flags |= InFlight::FENCED;
                count += 1;
            }
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
        if !keeps!(self.config, PullBack) {
            return;
        }
        let relaxed = self.config.order == Order::Relaxed;
        let Engine { links, fences, slots, .. } = self;
        let Some(link) = links.get_mut(usize::from(row)) else { return };
        let taken = link.take_unsent(|entry| {
            // Without order those alone that wait for the wrong node: it may be dead.
            let recalled =
                if relaxed { slots.owner(entry.slot) != Some(row) } else { fences.recalls(entry.slot) };
            let unclaimed = !entry.has(InFlight::FENCED);
            fences.is_fenced(entry.slot)
                && if relaxed { unclaimed && recalled } else { unclaimed || recalled }
        });
        for (entry, bytes) in taken {
            self.queued_bytes -= u64::from(entry.len);
            self.uncount(&entry, false);
            self.park_again(entry.unsent(), bytes);
        }
    }

    /// Holds a command back that had been on its way; one that nobody waits for is dropped.
    pub(crate) fn park_again(&mut self, entry: InFlight, bytes: CommandBytes) {
        match self.sequence_of(&entry) {
            Some(sequence) => self.park(Parked::new(sequence, entry, bytes)),
            None => self.drop_entry(&entry),
        }
        self.fences.wake(entry.slot);
    }

    /// Takes commands that no node has begun to take out of a connection's queue for good. Their owners have yet to be told.
    pub(crate) fn remove_unsent(&mut self, row: u16, wanted: impl Fn(&InFlight) -> bool) -> Vec<InFlight> {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Vec::new() };
        let taken = link.take_unsent(wanted);
        let mut entries = Vec::with_capacity(taken.len());
        for (entry, _) in taken {
            self.queued_bytes -= u64::from(entry.len);
            self.uncount(&entry, false);
            entries.push(entry.unsent());
        }
        entries
    }

    pub(crate) fn settle_ready(&mut self, now: Timestamp) {
        while let Some(slot) = self.fences.next_ready() {
            self.settle(slot, now);
        }
    }

    /// Holds a command back.
    pub(crate) fn park(&mut self, parked: Parked) {
        self.fences.park(parked, keeps!(self.config, SortedParking));
    }

    fn settle(&mut self, slot: u16, now: Timestamp) {
        if self.config.order == Order::Relaxed {
            return self.settle_relaxed(slot, now);
        }
        let Some(fence) = self.fences.get_mut(slot) else { return };
        if fence.draining > 0 && keeps!(self.config, Drain) {
            return;
        }
        self.drop_unwanted(slot);
        self.fail_overtaken(slot);
        let Some(fence) = self.fences.get_mut(slot) else { return };
        let (not_before, hint) = (fence.not_before, fence.hint);
        if fence.parked.is_empty() {
            self.fences.lift(slot);
        } else if self.is_settled(slot) {
            self.release(slot, now);
        } else if now < not_before {
            self.wait_until(slot, Timestamp::ZERO);
        } else {
            match hint {
                Hint::Probe => self.probe(slot, now),
                Hint::Rounds => self.run_leg(slot, now),
            }
        }
    }

    /// Whether the owner is known to serve the slot: its probe ran there, or a whole leg came back with results.
    fn is_settled(&mut self, slot: u16) -> bool {
        let owner = self.slots.owner(slot);
        let Some(fence) = self.fences.get_mut(slot) else { return false };
        match fence.step {
            Step::Probe { row, accepted } => accepted && owner == Some(row),
            Step::SourceLeg { refused } => {
                !refused
                    && fence.hint == Hint::Rounds
                    && fence.parked.iter().all(|parked| parked.ask.is_none())
            }
            Step::Drain | Step::TargetLeg | Step::Wait => false,
        }
    }

    pub(crate) fn drop_unwanted(&mut self, slot: u16) {
        let Some(fence) = self.fences.get(slot) else { return };
        let held = fence.parked.iter().enumerate();
        let unwanted: Vec<usize> =
            held.filter(|(_, parked)| !self.is_wanted(&parked.entry)).map(|(at, _)| at).collect();
        for parked in self.fences.take_places(slot, &unwanted) {
            self.drop_entry(&parked.entry);
        }
    }

    /// The fence goes on at `Fence::not_before` and, where all that is held waits by itself, not before `until`; or when the topology has
    /// news.
    pub(crate) fn wait_until(&mut self, slot: u16, until: Timestamp) {
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = Step::Wait;
            fence.all_wait_until = until;
            let due = fence.due();
            self.fences.due = self.fences.due.min(due);
        }
    }

    /// Nobody serves the slot: the next view of the topology wakes the fence.
    pub(crate) fn wait_for_owner(&mut self, slot: u16, now: Timestamp) {
        if self.fails_fast(slot) {
            self.request_refresh(None, now);
            return self.fail_uncovered(slot);
        }
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = Step::Wait;
            fence.not_before = Timestamp::NEVER;
        }
        self.request_refresh(None, now);
    }

    /// Sends the first command alone: whether it runs tells where the others belong.
    fn probe(&mut self, slot: u16, now: Timestamp) {
        let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
        let leg = self.next_leg(slot, now);
        let first = if keeps!(self.config, Probe) { leg.places.get(..1) } else { leg.places.get(..) };
        let Some(first) = first.filter(|places| !places.is_empty()) else {
            return self.wait_until(slot, leg.waits_until);
        };
        let probe = self.fences.take_places(slot, first);
        self.begin_leg(slot, Step::Probe { row: owner, accepted: false }, probe.len());
        for mut parked in probe {
            parked.entry.flags |= InFlight::FENCED;
            self.send_on(owner, parked.entry, &parked.bytes, now);
        }
    }

    /// One leg of a round while the slot migrates: the first command that need not wait, and those behind it that go to the same node and
    /// pass nothing that they share a key with. Two nodes at a time would run commands of one key in any order.
    fn run_leg(&mut self, slot: u16, now: Timestamp) {
        let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
        let leg = self.next_leg(slot, now);
        if leg.places.is_empty() {
            return self.wait_until(slot, leg.waits_until);
        }
        let commands = self.fences.take_places(slot, &leg.places);
        let step = if leg.ask.is_some() { Step::TargetLeg } else { Step::SourceLeg { refused: false } };
        self.begin_leg(slot, step, commands.len());
        for mut parked in commands {
            parked.entry.flags |= InFlight::FENCED;
            match parked.ask {
                Some(target) => self.send_asking(target, parked.entry, &parked.bytes, now),
                None => self.append_on(owner, parked.entry, &parked.bytes),
            }
        }
        if leg.ask.is_none() {
            self.depart(owner, now);
        }
    }

    fn begin_leg(&mut self, slot: u16, step: Step, commands: usize) {
        if let Some(fence) = self.fences.get_mut(slot) {
            fence.step = step;
            fence.recalls = false;
            fence.refused_last = 0;
            fence.rounds += 1;
            fence.draining += commands as u32;
        }
    }

    /// The owner is right: everything goes there in order. Where commands wait for a migration to bring their keys, all but those do, and the
    /// fence stays.
    fn release(&mut self, slot: u16, now: Timestamp) {
        let Some(owner) = self.slots.owner(slot) else { return self.wait_for_owner(slot, now) };
        if let Some(fence) = self.fences.get_mut(slot)
            && fence.parked.iter().any(|parked| parked.not_before > now)
        {
            fence.hint = Hint::Rounds;
            return self.run_leg(slot, now);
        }
        for parked in self.fences.take_all(slot, |_| true) {
            self.append_on(owner, parked.entry, &parked.bytes);
        }
        self.depart(owner, now);
        self.fences.lift(slot);
    }

    /// Sends a command behind ASKING, as one entry: no other command can come between them and spend the flag.
    pub(crate) fn send_asking(
        &mut self,
        row: u16,
        mut entry: InFlight,
        bytes: &CommandBytes,
        now: Timestamp,
    ) {
        entry.len += ASKING_WIRE.len() as u32;
        entry.flags |= InFlight::ASKED;
        let mut pieces: CommandBytes = smallvec![Bytes::from_static(ASKING_WIRE)];
        pieces.extend(bytes.iter().cloned());
        if !keeps!(self.config, AskingAdjacent) {
            pieces.rotate_left(1);
        }
        self.send_on(row, entry, &pieces, now);
    }

    /// Sends a command that was encoded before; it leaves on this very turn.
    pub(crate) fn send_on(&mut self, row: u16, entry: InFlight, bytes: &CommandBytes, now: Timestamp) {
        self.append_on(row, entry, bytes);
        self.depart(row, now);
    }

    fn append_on(&mut self, row: u16, entry: InFlight, bytes: &CommandBytes) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.queue.append(bytes);
        link.in_flight.push_back(entry);
        link.stats.commands += 1;
        link.queue.flush();
        self.queued_bytes += u64::from(entry.len);
    }

    /// What has been appended leaves: together, and with `high_integrity` behind one sentinel.
    fn depart(&mut self, row: u16, now: Timestamp) {
        if self.links.get(usize::from(row)).is_some_and(|link| link.is_ready()) {
            self.schedule_transmit(row);
        } else {
            self.want_connection(row, now);
        }
    }
}
