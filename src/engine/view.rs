//! What a view of the topology changes: who is in it, which slots have another owner, and what becomes of the commands that were on their
//! way to the old one.
//!
//! An owner that changes in a view is treated like one that a MOVED names: a fence for each of its slots that has commands in flight
//! elsewhere, and for no other. What is not concerned is not touched.

use std::collections::BTreeSet;

use crate::engine::arbitrate::Ruling;
use crate::engine::connection::LinkState;
use crate::engine::event::Event;
use crate::engine::fence::Step;
use crate::engine::in_flight::InFlight;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::slot::SLOT_COUNT;
use crate::topology::{self, Doubt, SlotChange, SlotRange, Snapshot, View};

/// How long a MOVED, and one node's view, are not overridden by another node's word alone.
const DOUBT_MS: u64 = 2_000;

impl Engine {
    /// Takes over what a node says, and hears others where that contradicts what is known.
    pub(crate) fn apply_view(
        &mut self,
        source: u16,
        snapshot: &Snapshot,
        sent_at: Timestamp,
        now: Timestamp,
    ) {
        let rows = self.nodes.resolve_all(snapshot);
        let fresh = |asked_at: &Timestamp| sent_at < asked_at.after_ms(DOUBT_MS);
        let rival = self.refresh.last_view.filter(|(row, at)| *row != source && fresh(at));
        let known_at = if keeps!(self.config, LearnedAt) { sent_at } else { now };
        let rival_ns = rival.map(|(_, at)| at.as_nanos());
        let doubt = Doubt { source, fresh_ns: DOUBT_MS * 1_000_000, rival_ns };
        let view = View::new(snapshot, &rows, known_at.as_nanos()).doubted(doubt);
        let mut changes = Vec::new();
        let summary = topology::merge(&self.slots, &view, &mut changes);
        self.slots.adopt(&view);
        self.refresh.last_view = Some((source, sent_at));
        for link in &mut self.links {
            link.in_view = false;
        }
        // First the pause until the next one: who is waited for is asked about after it.
        self.note_view(now);
        for &row in rows.iter().flatten() {
            self.admit_to_view(row, now);
        }
        if summary.disputed > 0 || summary.stale > 0 {
            self.arbitrate(source, summary.dispute, now);
        }
        self.after_changes(&changes, rows.len(), now);
        let unreachable = |range: &SlotRange| rows.get(range.primary).copied().flatten().is_none();
        self.note_unreachable(source, snapshot.ranges.iter().any(unreachable), now);
        self.ask_again(now);
        for row in 0..self.links.len() as u16 {
            self.after_drained(row, now);
        }
        self.ask_while_waited_for(now);
        self.bury_absent(&rows);
    }

    /// Takes over what several nodes say.
    pub(crate) fn apply_ruling(&mut self, ruling: &Ruling, now: Timestamp) {
        let snapshot = &ruling.snapshot;
        let rows: Vec<Option<u16>> = snapshot.nodes.iter().map(|named| self.nodes.place(named)).collect();
        let mut view = View::new(snapshot, &rows, ruling.asked_at.as_nanos());
        if ruling.confirmed {
            view = view.confirmed();
        }
        let mut changes = Vec::new();
        topology::merge(&self.slots, &view, &mut changes);
        self.slots.adopt(&view);
        for &row in rows.iter().flatten() {
            self.admit_to_view(row, now);
        }
        self.after_changes(&changes, rows.len(), now);
    }

    fn admit_to_view(&mut self, row: u16, now: Timestamp) {
        self.ensure_link(row);
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            link.in_view = true;
            link.was_in_view = true;
            // Its address may be news, and commands may be waiting for it.
            if !link.in_flight.is_empty() {
                self.want_connection(row, now);
            }
        }
    }

    fn after_changes(&mut self, changes: &[SlotChange], nodes: usize, now: Timestamp) {
        self.note_primaries();
        if !changes.is_empty() {
            let slots_moved = changes.iter().map(|change| change.slots().len() as u32).sum();
            self.events.push(Event::TopologyChanged { slots_moved, nodes: nodes as u32 });
        }
        self.fence_changed(changes, now);
    }

    /// Lets the rows of nodes that have left be used again, once nothing refers to them. Seeds stay: all known nodes may be replaced one day.
    fn bury_absent(&mut self, rows: &[Option<u16>]) {
        if !self.fences.is_empty() {
            return;
        }
        for row in self.nodes.absent_from(rows) {
            let seed = self
                .nodes
                .get(row)
                .and_then(|node| node.endpoint())
                .is_some_and(|at| self.config.seeds.contains(at));
            let owns = self.primaries.binary_search(&row).is_ok();
            let Some(link) = self.links.get_mut(usize::from(row)).filter(|_| !seed && !owns) else {
                continue;
            };
            if !link.is_open() && link.in_flight.is_empty() {
                link.endpoint = None;
                link.state = LinkState::Idle;
                link.last_failure = None;
                self.nodes.remove(row);
                self.nodes.release(row);
            }
        }
    }

    /// A redirect names the owner of a slot. Commands of the slot that are in flight elsewhere will be redirected in their turn.
    pub(crate) fn learn_owner(&mut self, slot: u16, row: u16, told_by: u16, now: Timestamp) {
        if self.slots.learn(slot, row, told_by, now.as_nanos())
            && let Err(at) = self.primaries.binary_search(&row)
        {
            self.primaries.insert(at, row);
        }
    }

    fn note_primaries(&mut self) {
        self.primaries = self.slots.primaries().collect();
        self.primaries.sort_unstable();
        self.primaries.dedup();
    }

    /// Slots with a new owner: what the old owner has not begun to take goes behind a fence, what it has taken is waited for.
    fn fence_changed(&mut self, changes: &[SlotChange], now: Timestamp) {
        let mut changed = vec![false; usize::from(SLOT_COUNT)];
        for change in changes {
            if let Some(flags) = changed.get_mut(usize::from(change.start)..=usize::from(change.end)) {
                flags.fill(true);
            }
        }
        for row in 0..self.links.len() as u16 {
            self.fence_moved(row, &changed);
            self.pull_back(row);
        }
        self.wake_waiting(&changed, now);
        if self.wake_ownerless(now) {
            // Somebody waits for a slot that this view does not know either.
            self.request_refresh(None, now);
        }
        self.settle_ready(now);
    }

    /// Opens a fence for each changed slot that has commands on this node; one pass over its queue, however many slots moved.
    fn fence_moved(&mut self, row: u16, changed: &[bool]) {
        let opens = keeps!(self.config, FenceOnView);
        let Engine { links, fences, slots, .. } = self;
        let Some(link) = links.get_mut(usize::from(row)) else { return };
        let sent = link.queue.sent();
        let mut at = link.queue.acked();
        let mut opened: BTreeSet<u16> = BTreeSet::new();
        for entry in link.in_flight.iter_mut() {
            let begun = at < sent;
            at += u64::from(entry.len);
            let concerned = changed.get(usize::from(entry.slot)).copied().unwrap_or(false);
            if !concerned || slots.owner(entry.slot) == Some(row) {
                continue;
            }
            if opens && !fences.is_fenced(entry.slot) {
                opened.insert(entry.slot);
                fences.open(entry.slot, 0);
                fences.wake(entry.slot);
            }
            let Some(fence) = fences.get_mut(entry.slot) else { continue };
            if begun && opened.contains(&entry.slot) {
                entry.flags |= InFlight::FENCED;
                fence.draining += 1;
            } else if !begun && entry.has(InFlight::FENCED) {
                // What the fence itself has sent here waits no longer: the slot is elsewhere.
                entry.flags &= !InFlight::FENCED;
                fence.draining = fence.draining.saturating_sub(1);
                fence.step = Step::Drain;
                fences.wake(entry.slot);
            }
        }
    }

    /// Wakes fences that wait for an owner, where their slot has one now; answers whether any is left.
    fn wake_ownerless(&mut self, now: Timestamp) -> bool {
        let mut left = false;
        for slot in self.fences.slots() {
            let owned = self.slots.owner(slot).is_some();
            let Some(fence) = self.fences.get_mut(slot) else { continue };
            if fence.step != Step::Wait || fence.not_before != Timestamp::NEVER {
                continue;
            }
            if owned {
                fence.not_before = now;
                self.fences.wake(slot);
            } else if self.fails_fast(slot) {
                self.fail_uncovered(slot);
            }
            left |= !owned;
        }
        left
    }
}
