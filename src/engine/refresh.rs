//! How the engine learns who owns which slot: one CLUSTER SLOTS at a time, on a data connection, off the path of any command.
//!
//! A MOVED is enough to patch its slot, so no redirected command waits for a refresh. Triggers while one is under way ask for one more;
//! the pause between two doubles while triggers go on, with jitter, so that many clients of one failover do not ask in step.
//!
//! ```text
//!   trigger ─▶ jitter, pause ─▶ asked ─▶ a view ─▶ applied ──────────────▶ (another trigger meanwhile: once more)
//!                 ▲               │        │  └──▶ in doubt: `arbitrate` hears several nodes
//!                 └── another ◀───┴────────┘ no answer, no view, not to be believed
//!                     node
//! ```
//!
//! Asked is the node that the trigger names, else a random connected primary. While nobody is connected, nodes are dialled one after the
//! other, then the seeds, whose names are resolved afresh; the pauses between two such rounds double.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::arbitrate::Arbitration;
use crate::engine::connection::Link;
use crate::engine::event::Event;
use crate::engine::in_flight::{InFlight, NO_SLOT, REFRESH};
use crate::engine::time::Timestamp;
use crate::resp::encode::WireBuf;
use crate::resp::reply::ReplyRef;

/// How long one node may take to answer before another is asked.
pub(crate) const ANSWER_MS: u64 = 1_000;
/// Longest pause between refreshes while triggers go on.
const PAUSE_MS_MAX: u64 = 1_000;
/// Jitter before a triggered refresh, and where the cluster is large.
const JITTER_MS: u64 = 50;
const JITTER_LARGE_MS: u64 = 1_000;
const LARGE_CLUSTER_NODES: usize = 200;
/// How long a node that found itself cut off from the others is asked only where nobody else is there. A primary that is back among them
/// goes on refusing commands for up to 5 s.
const SUSPECT_MS: u64 = 5_000;
/// Nodes asked in a row because a view told no address of a node that serves slots.
const UNREACHABLE_ASKED_MAX: u32 = 3;

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
    pub(super) wanted: Timestamp,
    periodic: Timestamp,
    flight: Option<Flight>,
    pub(crate) again: bool,
    serial: u32,
    pause_ms: u64,
    last_done: Timestamp,
    hint: Option<u16>,
    /// The node that disappointed last; somebody else is asked next.
    avoid: Option<u16>,
    pub(super) next_candidate: usize,
    /// Nobody could be asked: the node that was dialled last, of those that are dialled one after the other.
    pub(super) searching: Option<Option<u16>>,
    /// Times that all nodes were dialled in vain, since the last view.
    pub(super) rounds: u32,
    /// Nodes that are cut off from the others, as they said, and until when that is remembered.
    suspects: BTreeMap<u16, Timestamp>,
    /// Views in a row that did not tell the address of a node with slots.
    unreachable_seen: u32,
    /// Whose view was applied last, and when it was asked for.
    pub(crate) last_view: Option<(u16, Timestamp)>,
    pub(crate) arbitration: Option<Arbitration>,
    pub(crate) asked: u64,
    pub(crate) applied: u64,
    pub(crate) rejected: u64,
    pub(crate) too_large: u64,
    pub(crate) arbitrated: u64,
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
            searching: None,
            rounds: 0,
            suspects: BTreeMap::new(),
            unreachable_seen: 0,
            last_view: None,
            arbitration: None,
            asked: 0,
            applied: 0,
            rejected: 0,
            too_large: 0,
            arbitrated: 0,
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
        let flight = self.flight.as_ref().map(|flight| flight.deadline);
        let next = flight.or(self.arbitration.as_ref().map(|heard| heard.deadline));
        next.unwrap_or(self.wanted).min(self.periodic)
    }

    /// Whether nodes have been asked and have yet to answer.
    fn is_busy(&self) -> bool {
        self.flight.is_some() || self.arbitration.is_some()
    }

    /// A node has become reachable, or unreachable, while a view is wanted: do not wait for the pause to end.
    fn hurry(&mut self, at: Timestamp) {
        let waited_for = self.applied == 0 || self.searching.is_some();
        if !self.is_busy() && self.wanted != Timestamp::NEVER && waited_for {
            self.wanted = self.wanted.min(at);
        }
    }

    /// The node that was asked, or dialled to be asked, is gone.
    pub(crate) fn on_link_lost(&mut self, row: u16, now: Timestamp) {
        if self.flight.take_if(|flight| flight.row == row).is_some() {
            self.avoid = Some(row);
            self.wanted = now;
        } else if self.searching == Some(Some(row)) {
            self.searching = Some(None);
            self.wanted = now;
        }
    }

    pub(crate) fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    pub(crate) fn is_suspect(&self, row: u16, now: Timestamp) -> bool {
        self.suspects.get(&row).is_some_and(|&until| now < until)
    }

    /// The node says that it is cut off from the majority: what it tells of the others is old.
    pub(crate) fn suspect(&mut self, row: u16, now: Timestamp) {
        self.suspects.retain(|_, until| now < *until);
        self.suspects.insert(row, now.after_ms(SUSPECT_MS));
    }
}

impl Engine {
    /// Asks for a fresh view of the topology, soon.
    pub fn refresh_topology(&mut self, now: Timestamp) {
        self.request_refresh(None, now);
    }

    /// A trigger; `hint` names the node with the newest knowledge.
    pub(crate) fn request_refresh(&mut self, hint: Option<u16>, now: Timestamp) {
        let jitter_ms = self.refresh_jitter_ms();
        self.request_refresh_after(jitter_ms, hint, now);
    }

    /// A node has come into service, or no node that was dialled answers: whoever waits to ask goes on.
    pub(crate) fn hurry_refresh(&mut self, now: Timestamp) {
        let jitter_ms = self.refresh_jitter_ms();
        self.refresh.hurry(now.after_ms(jitter_ms));
    }

    /// Clients that have heard the same news at once do not ask at once; none where there is no view yet.
    fn refresh_jitter_ms(&mut self) -> u64 {
        let large = self.links.len() > LARGE_CLUSTER_NODES;
        let bound_ms = if large { JITTER_LARGE_MS } else { JITTER_MS };
        if self.has_topology() { self.rng.below(bound_ms) } else { 0 }
    }

    /// A trigger that leaves no doubt that the view is old: without jitter, but not before the pause has ended.
    pub(crate) fn request_refresh_at_once(&mut self, hint: Option<u16>, now: Timestamp) {
        self.request_refresh_after(0, hint, now);
    }

    fn request_refresh_after(&mut self, jitter_ms: u64, hint: Option<u16>, now: Timestamp) {
        if hint.is_some() {
            self.refresh.hint = hint;
        }
        if self.refresh.is_busy() {
            self.refresh.again = true;
            return;
        }
        if self.refresh.searching.is_some() {
            // Whoever is found is asked at once; asking more often finds nobody sooner.
            return;
        }
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
        if self.refresh.arbitration.as_ref().is_some_and(|heard| now >= heard.deadline) {
            self.conclude(now);
        }
        if now >= self.refresh.periodic {
            if !self.refresh.is_busy() && self.refresh.searching.is_none() {
                self.refresh.wanted = now;
            }
            self.schedule_periodic(now);
        }
        if !self.refresh.is_busy() && now >= self.refresh.wanted {
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
        let Some(row) = self.refresh_source(now) else { return self.dial_candidate(now) };
        let serial = self.ask(row, SLOTS_WIRE);
        let deadline = now.after_ms(ANSWER_MS);
        self.refresh.flight = Some(Flight { row, serial, sent_at: now, deadline });
        self.refresh.wanted = Timestamp::NEVER;
        self.refresh.again = false;
        self.refresh.searching = None;
        self.refresh.asked += 1;
        self.schedule_transmit(row);
    }

    /// Puts a question of the engine's own into a node's queue, and answers the number by which its reply is known.
    pub(crate) fn ask(&mut self, row: u16, question: &[u8]) -> u32 {
        let serial = self.refresh.next_serial();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return serial };
        link.queue.prepare(question.len());
        link.queue.put(question);
        let len = question.len() as u32;
        let flags = InFlight::FENCED;
        link.in_flight.push_back(InFlight {
            len,
            batch: REFRESH,
            index: serial,
            slot: NO_SLOT,
            hops: 0,
            flags,
        });
        link.queue.flush();
        self.queued_bytes += u64::from(len);
        serial
    }

    /// Whom to ask: the node with the newest knowledge, else a random primary in service, else anybody in service. One that is cut off from
    /// the others knows least.
    fn refresh_source(&mut self, now: Timestamp) -> Option<u16> {
        let avoid = self.refresh.avoid.take();
        let refresh = &self.refresh;
        let usable = |row: &u16| Some(*row) != avoid && self.can_be_asked(*row);
        let hint = refresh.hint.filter(|row| usable(row) && !refresh.is_suspect(*row, now));
        let mut rows: Vec<u16> = self.primaries.iter().copied().filter(usable).collect();
        if rows.is_empty() {
            rows = (0..self.links.len() as u16).filter(usable).collect();
        }
        prefer(&mut rows, |row| !refresh.is_suspect(*row, now));
        // Unflushed commands would leave with the question: ask a node that has none, if there is one.
        prefer(&mut rows, |row| {
            self.links.get(usize::from(*row)).is_some_and(|link| link.queue.unflushed_bytes() == 0)
        });
        self.refresh.hint = None;
        if hint.is_some() {
            return hint;
        }
        let pick = self.rng.below(rows.len() as u64) as usize;
        rows.get(pick).copied()
    }

    pub(crate) fn can_be_asked(&self, row: u16) -> bool {
        self.links.get(usize::from(row)).is_some_and(|link| link.is_ready() && !link.redial)
    }

    /// The answer to CLUSTER SLOTS, or to a question of an arbitration.
    #[cold]
    pub(crate) fn on_topology(&mut self, row: u16, serial: u32, reply: ReplyRef<'_>, now: Timestamp) {
        let Some(flight) = self.refresh.flight.take_if(|flight| flight.serial == serial) else {
            return self.on_testimony(row, serial, reply, now);
        };
        match self.read_view(row, reply) {
            Ok(snapshot) => self.apply_view(row, &snapshot, flight.sent_at, now),
            Err(reason) => self.ask_somebody_else(row, reason, now),
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

    /// The node answered a question of the engine's own with an error.
    pub(crate) fn refresh_failed(&mut self, row: u16, serial: u32, reason: &str, now: Timestamp) {
        if self.refresh.flight.take_if(|flight| flight.serial == serial).is_some() {
            self.ask_somebody_else(row, reason.to_owned(), now);
        } else {
            self.on_silence(row, serial, reason, now);
        }
    }

    pub(crate) fn note_refresh_failure(&mut self, node: String, reason: String) {
        self.refresh.rejected += 1;
        self.refresh.last_failure = Some(format!("{node}: {reason}"));
        self.events.push(Event::RefreshFailed { node, reason });
    }

    /// A view has been applied: the next one may be asked for after the pause.
    pub(crate) fn note_view(&mut self, now: Timestamp) {
        let persisting = self.refresh.again || now < self.refresh.last_done.after_ms(2 * PAUSE_MS_MAX);
        if persisting {
            self.lengthen_pause();
        } else {
            self.refresh.pause_ms = self.config.refresh_min_interval_ms;
        }
        self.refresh.last_done = now;
        self.refresh.applied += 1;
        self.refresh.rounds = 0;
        self.schedule_periodic(now);
    }

    /// Asks once more where that was wanted meanwhile.
    pub(crate) fn ask_again(&mut self, now: Timestamp) {
        if self.refresh.again && !self.refresh.is_busy() {
            self.refresh.again = false;
            self.request_refresh(None, now);
        }
    }

    /// Commands wait for a node that cannot be reached: others may know its successor any moment, and no reply will tell. Asks on, at the pace
    /// of triggers that persist, until nobody waits.
    pub(crate) fn ask_while_waited_for(&mut self, now: Timestamp) {
        if self.refresh.is_busy() || self.refresh.wanted != Timestamp::NEVER || !self.is_node_waited_for() {
            return;
        }
        let pause_ends = self.refresh.last_done.after_ms(self.refresh.pause_ms);
        let jitter_ms = self.refresh_jitter_ms();
        self.refresh.wanted = pause_ends.max(now).after_ms(jitter_ms);
    }

    fn is_node_waited_for(&self) -> bool {
        let unreachable = |link: &&Link| !link.is_ready() && (link.attempts > 0 || link.endpoint.is_none());
        let mut unreachable = self.links.iter().filter(unreachable);
        unreachable.any(|link| link.in_flight.iter().any(|entry| self.is_wanted(entry)))
    }

    /// A node that serves slots has no address in this view: another node may know it.
    pub(crate) fn note_unreachable(&mut self, row: u16, unreachable: bool, now: Timestamp) {
        self.refresh.unreachable_seen = if unreachable { self.refresh.unreachable_seen + 1 } else { 0 };
        if (1..=UNREACHABLE_ASKED_MAX).contains(&self.refresh.unreachable_seen) {
            self.request_refresh(None, now);
            self.refresh.avoid = Some(row);
        }
    }
}

/// Keeps the rows that are preferred, if there are any.
fn prefer(rows: &mut Vec<u16>, preferred: impl Fn(&u16) -> bool) {
    if rows.iter().any(&preferred) {
        rows.retain(preferred);
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
