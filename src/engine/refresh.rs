//! How the engine learns who owns which slot: one CLUSTER SLOTS at a time, on a data connection, off the path of any command.
//!
//! A MOVED is enough to patch its slot, so no redirected command waits for a refresh. Triggers while one is under way ask for one more;
//! the pause between two doubles while triggers go on, with jitter, so that many clients of one failover do not ask in step.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::connection::LinkState;
use crate::engine::event::Event;
use crate::engine::fence::Step;
use crate::engine::in_flight::{InFlight, NO_SLOT, REFRESH};
use crate::engine::time::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::resp::encode::WireBuf;
use crate::resp::reply::ReplyRef;
use crate::slot::SLOT_COUNT;
use crate::topology::{self, SlotChange, Snapshot, View};

/// How long one node may take to answer before another is asked.
const ANSWER_MS: u64 = 1_000;
/// Pause before the next unconnected node is dialled for a view.
const NEXT_CANDIDATE_MS: u64 = 250;
/// Longest pause between refreshes while triggers go on.
const PAUSE_MS_MAX: u64 = 1_000;
/// Jitter before a triggered refresh, and where the cluster is large.
const JITTER_MS: u64 = 50;
const JITTER_LARGE_MS: u64 = 1_000;
const LARGE_CLUSTER_NODES: usize = 200;

const SLOTS_WIRE: &[u8] = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";

#[derive(Debug)]
struct Flight {
    row: u16,
    serial: u32,
    sent_at: Timestamp,
    deadline: Timestamp,
}

/// The state of refreshing.
#[derive(Debug)]
pub(crate) struct Refresh {
    wanted: Timestamp,
    periodic: Timestamp,
    flight: Option<Flight>,
    again: bool,
    serial: u32,
    pause_ms: u64,
    last_done: Timestamp,
    hint: Option<u16>,
    /// The node that disappointed last; somebody else is asked next.
    avoid: Option<u16>,
    next_candidate: usize,
    pub(crate) last_failure: Option<String>,
}

impl Refresh {
    pub(crate) fn new(now: Timestamp) -> Self {
        Refresh {
            wanted: now,
            periodic: Timestamp::NEVER,
            flight: None,
            again: false,
            serial: 0,
            pause_ms: 0,
            last_done: Timestamp::ZERO,
            hint: None,
            avoid: None,
            next_candidate: 0,
            last_failure: None,
        }
    }

    /// What it is about, without times: whom it asks, whether it wants to, whether the answer will be older than what is known.
    #[cfg(test)]
    pub(crate) fn state(&self, learned_at_ns: Option<u64>) -> impl std::hash::Hash {
        let flight = self.flight.as_ref();
        let outdated = flight.map(|flight| learned_at_ns >= Some(flight.sent_at.as_nanos()));
        let row = flight.map(|flight| flight.row);
        (row, outdated, self.wanted == Timestamp::NEVER, self.again, self.hint, self.avoid)
    }

    pub(crate) fn due(&self) -> Timestamp {
        let next = self.flight.as_ref().map_or(self.wanted, |flight| flight.deadline);
        next.min(self.periodic)
    }

    /// A node has become reachable, or unreachable, while a view is wanted: do not wait for the pause to end.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        if self.flight.is_none() && self.wanted != Timestamp::NEVER && self.last_done == Timestamp::ZERO {
            self.wanted = now;
        }
    }

    /// The node that was asked is gone.
    pub(crate) fn on_link_lost(&mut self, row: u16, now: Timestamp) {
        if self.flight.as_ref().is_some_and(|flight| flight.row == row) {
            self.flight = None;
            self.avoid = Some(row);
            self.wanted = now;
        }
    }
}

impl Engine {
    /// Asks for a fresh view of the topology, soon.
    pub fn refresh_topology(&mut self, now: Timestamp) {
        self.request_refresh(None, now);
    }

    /// A trigger; `hint` names the node with the newest knowledge.
    pub(crate) fn request_refresh(&mut self, hint: Option<u16>, now: Timestamp) {
        if hint.is_some() {
            self.refresh.hint = hint;
        }
        if self.refresh.flight.is_some() {
            self.refresh.again = true;
            return;
        }
        let large = self.links.len() > LARGE_CLUSTER_NODES;
        let jitter_ms = if self.has_topology() {
            self.rng.below(if large { JITTER_LARGE_MS } else { JITTER_MS })
        } else {
            0
        };
        let pause_ends = self.refresh.last_done.after_ms(self.refresh.pause_ms);
        let at = now.after_ms(jitter_ms).max(pause_ends);
        self.refresh.wanted = self.refresh.wanted.min(at);
    }

    pub(crate) fn on_refresh_due(&mut self, now: Timestamp) {
        if let Some(flight) = self.refresh.flight.take_if(|flight| now >= flight.deadline) {
            self.refresh.avoid = Some(flight.row);
            self.refresh.wanted = now;
            let node = self.node_name(flight.row);
            self.note_refresh_failure(node, "no answer in time".to_owned());
        }
        if now >= self.refresh.periodic {
            if self.refresh.flight.is_none() {
                self.refresh.wanted = now;
            }
            self.schedule_periodic(now);
        }
        if self.refresh.flight.is_none() && now >= self.refresh.wanted {
            self.start_refresh(now);
        }
    }

    fn schedule_periodic(&mut self, now: Timestamp) {
        let period_ms = self.config.refresh_interval_ms;
        self.refresh.periodic = if period_ms == 0 {
            Timestamp::NEVER
        } else {
            now.after_ms(period_ms - period_ms / 5 + self.rng.below(period_ms * 2 / 5 + 1))
        };
    }

    fn start_refresh(&mut self, now: Timestamp) {
        let Some(row) = self.refresh_source() else { return self.dial_candidate(now) };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        self.refresh.serial = self.refresh.serial.wrapping_add(1);
        let serial = self.refresh.serial;
        link.queue.prepare(SLOTS_WIRE.len());
        link.queue.put(SLOTS_WIRE);
        let len = SLOTS_WIRE.len() as u32;
        link.in_flight.push_back(InFlight {
            len,
            batch: REFRESH,
            index: serial,
            slot: NO_SLOT,
            hops: 0,
            flags: InFlight::FENCED,
        });
        link.queue.flush();
        self.queued_bytes += u64::from(len);
        let deadline = now.after_ms(ANSWER_MS);
        self.refresh.flight = Some(Flight { row, serial, sent_at: now, deadline });
        self.refresh.wanted = Timestamp::NEVER;
        self.refresh.again = false;
        self.schedule_transmit(row);
    }

    /// Whom to ask: the node with the newest knowledge, else a random primary in service, else anybody in service.
    fn refresh_source(&mut self) -> Option<u16> {
        let avoid = self.refresh.avoid.take();
        let usable = |row: &u16| {
            let link = self.links.get(usize::from(*row));
            Some(*row) != avoid && link.is_some_and(|link| link.is_ready() && !link.redial)
        };
        if let Some(hint) = self.refresh.hint.take().filter(usable) {
            return Some(hint);
        }
        let mut rows: Vec<u16> = self.primaries.iter().copied().filter(usable).collect();
        if rows.is_empty() {
            rows = (0..self.links.len() as u16).filter(usable).collect();
        }
        // Unflushed commands would leave with the question: ask a node that has none, if there is one.
        let flushed = |row: &u16| {
            self.links.get(usize::from(*row)).is_some_and(|link| link.queue.unflushed_bytes() == 0)
        };
        if rows.iter().any(flushed) {
            rows.retain(flushed);
        }
        let pick = self.rng.below(rows.len() as u64) as usize;
        rows.get(pick).copied()
    }

    /// Nobody is in service: dial the next node we know of, seeds included.
    fn dial_candidate(&mut self, now: Timestamp) {
        if self.refresh.next_candidate >= self.links.len() {
            // Everybody has been tried. The addresses we know may all be given up: resolve the seeds' names afresh.
            self.refresh.next_candidate = 0;
            for seed in self.config.seeds.clone() {
                if let Some(row) = self.nodes.admit_afresh(&seed) {
                    self.ensure_link(row);
                }
            }
        }
        let first = self.refresh.next_candidate;
        let idle = |row: &usize| {
            self.links.get(*row).is_some_and(|link| link.state == LinkState::Idle && link.endpoint.is_some())
        };
        let candidate = (first..self.links.len()).find(idle);
        self.refresh.next_candidate = candidate.map_or(self.links.len(), |row| row + 1);
        if let Some(row) = candidate {
            self.dial(row as u16, now);
        }
        self.refresh.wanted = now.after_ms(NEXT_CANDIDATE_MS);
    }

    /// The answer to CLUSTER SLOTS.
    #[cold]
    pub(crate) fn on_topology(&mut self, row: u16, serial: u32, reply: ReplyRef<'_>, now: Timestamp) {
        let Some(flight) = self.refresh.flight.take_if(|flight| flight.serial == serial) else { return };
        let asked = self.nodes.get(row).and_then(|node| node.endpoint().cloned());
        match asked.map(|asked| topology::parse_slots(reply, &asked)) {
            Some(Ok(snapshot)) => self.apply_view(&snapshot, flight.sent_at, now),
            Some(Err(error)) => self.ask_somebody_else(row, error.to_string(), now),
            None => self.ask_somebody_else(row, "its address is unknown".to_owned(), now),
        }
    }

    /// A view was of no use: another node is asked, after a pause that grows while that goes on.
    fn ask_somebody_else(&mut self, row: u16, reason: String, now: Timestamp) {
        let node = self.node_name(row);
        self.note_refresh_failure(node, reason);
        self.refresh.avoid = Some(row);
        self.lengthen_pause();
        self.refresh.wanted = now.after_ms(self.refresh.pause_ms);
    }

    fn lengthen_pause(&mut self) {
        let min_ms = self.config.refresh_min_interval_ms;
        self.refresh.pause_ms = (self.refresh.pause_ms * 2).clamp(min_ms, PAUSE_MS_MAX.max(min_ms));
    }

    /// The node answered CLUSTER SLOTS with an error.
    pub(crate) fn refresh_failed(&mut self, row: u16, serial: u32, reason: &str, now: Timestamp) {
        if self.refresh.flight.take_if(|flight| flight.serial == serial).is_some() {
            self.ask_somebody_else(row, reason.to_owned(), now);
        }
    }

    fn note_refresh_failure(&mut self, node: String, reason: String) {
        self.refresh.last_failure = Some(format!("{node}: {reason}"));
        self.events.push(Event::RefreshFailed { node, reason });
    }

    fn apply_view(&mut self, snapshot: &Snapshot, sent_at: Timestamp, now: Timestamp) {
        let rows = self.nodes.resolve_all(snapshot);
        let view = View::new(snapshot, &rows, sent_at.as_nanos());
        let mut changes = Vec::new();
        topology::merge(&self.slots, &view, &mut changes);
        self.slots.adopt(&view);
        for link in &mut self.links {
            link.in_view = false;
        }
        for &row in rows.iter().flatten() {
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
        self.note_view(now);
        self.note_primaries();
        if !changes.is_empty() {
            let slots_moved = changes.len() as u32;
            self.events.push(Event::TopologyChanged { slots_moved, nodes: rows.len() as u32 });
        }
        self.fence_changed(&changes, now);
        for row in 0..self.links.len() as u16 {
            self.after_drained(row, now);
        }
        self.bury_absent(&rows);
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

    fn note_view(&mut self, now: Timestamp) {
        let persisting = self.refresh.again || now < self.refresh.last_done.after_ms(2 * PAUSE_MS_MAX);
        if persisting {
            self.lengthen_pause();
        } else {
            self.refresh.pause_ms = self.config.refresh_min_interval_ms;
        }
        self.refresh.last_done = now;
        self.refreshes_applied += 1;
        self.schedule_periodic(now);
        if self.refresh.again {
            self.refresh.again = false;
            self.request_refresh(None, now);
        }
    }

    /// A redirect names the owner of a slot. Commands of the slot that are in flight elsewhere will be redirected in their turn.
    pub(crate) fn learn_owner(&mut self, slot: u16, row: u16, now: Timestamp) {
        if self.slots.learn(slot, row, now.as_nanos())
            && let Err(at) = self.primaries.binary_search(&row)
        {
            self.primaries.insert(at, row);
        }
    }

    fn note_primaries(&mut self) {
        self.primaries = self.slots.owners().runs().filter_map(|run| run.2).collect();
        self.primaries.sort_unstable();
        self.primaries.dedup();
    }

    /// Slots with a new owner: what the old owner has not begun to take goes behind a fence, what it has taken is waited for.
    fn fence_changed(&mut self, changes: &[SlotChange], now: Timestamp) {
        let mut moved = Vec::with_capacity(changes.len());
        let mut changed = vec![false; usize::from(SLOT_COUNT) + 1];
        for change in changes {
            moved.push(change.slot);
            if let Some(flag) = changed.get_mut(usize::from(change.slot)) {
                *flag = true;
            }
        }
        for row in 0..self.links.len() as u16 {
            self.fence_moved(row, &changed);
            self.pull_back(row);
        }
        self.wake_waiting(&moved, now);
        if self.wake_ownerless(now) {
            // Somebody waits for a slot that this view does not know either.
            self.request_refresh(None, now);
        }
        self.settle_ready(now);
    }

    /// Opens a fence for each changed slot that has commands on this node; one pass over its queue, however many slots moved.
    fn fence_moved(&mut self, row: u16, changed: &[bool]) {
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
            if !fences.is_fenced(entry.slot) {
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
            }
            left |= !owned;
        }
        left
    }

    /// Why there is no topology and will not be soon: every seed has been tried and failed.
    pub fn start_failure(&self) -> Option<Error> {
        let failures: Vec<(&ErrorKind, String)> = self
            .links
            .iter()
            .map(|link| {
                link.last_failure.as_ref().filter(|_| !link.is_open()).map(|kind| (kind, link.name()))
            })
            .collect::<Option<_>>()?;
        let telling = |kind: &ErrorKind| match kind {
            ErrorKind::Auth(_) => 0,
            ErrorKind::NotCluster { .. } => 1,
            ErrorKind::Connect { .. } => 3,
            _ => 2,
        };
        let (kind, name) = failures.into_iter().min_by_key(|(kind, _)| telling(kind))?;
        let error = Error::not_executed(kind.clone());
        Some(if matches!(kind, ErrorKind::Auth(_)) { error.at_node(name) } else { error })
    }

    /// What the last useless view said, for the message when a start takes too long.
    pub fn last_refresh_failure(&self) -> Option<&str> {
        self.refresh.last_failure.as_deref()
    }

    /// Fails a slot lookup for callers that want to know at once.
    pub fn is_served(&self, slot: u16) -> bool {
        self.slots.owner(slot).is_some()
    }
}

/// Kept beside the wire form it must equal.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode;

    #[test]
    fn the_question_is_cluster_slots() {
        let mut wire = Vec::new();
        encode::put_array_header(&mut wire, 2);
        encode::put_bulk(&mut wire, b"CLUSTER");
        encode::put_bulk(&mut wire, b"SLOTS");
        assert_eq!(wire, SLOTS_WIRE);
    }
}
