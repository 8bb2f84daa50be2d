//! Deadlines. There is no timer object per command: batches and commands carry their deadline, and one lower bound per kind says when
//! a look is due. A look that finds nothing sets the bound anew.

use std::collections::BTreeSet;

use crate::engine::connection::LinkState;
use crate::engine::in_flight::{InFlight, STREAM};
use crate::engine::lifecycle::LostBecause;
use crate::engine::sweep::SWEEP_MS;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind, Outcome, Phase};

/// Lower bounds: nothing of the kind is due earlier.
#[derive(Debug)]
pub(crate) struct Timers {
    links: Timestamp,
    pub(crate) sweep: Timestamp,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { links: Timestamp::NEVER, sweep: Timestamp::NEVER }
    }
}

impl Timers {
    pub(crate) fn link(&mut self, deadline: Timestamp) {
        self.links = self.links.min(deadline);
    }

    pub(crate) fn sweep_soon(&mut self, now: Timestamp) {
        self.sweep = self.sweep.min(now.after_ms(SWEEP_MS));
    }
}

/// Commands whose time is up.
#[derive(Debug, Default)]
struct Due {
    batches: BTreeSet<u32>,
    rows: BTreeSet<u32>,
}

impl Due {
    fn contains(&self, entry: &InFlight) -> bool {
        if entry.batch == STREAM {
            self.rows.contains(&entry.index)
        } else {
            self.batches.contains(&entry.owner())
        }
    }
}

impl Engine {
    /// When `handle_timeout` is due next; `None` while nothing is.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let batches = self.batches.iter().map(|(_, batch)| batch.due()).min().unwrap_or(Timestamp::NEVER);
        let due = self
            .timers
            .links
            .min(self.timers.sweep)
            .min(self.fences.due)
            .min(self.stream.due)
            .min(self.refresh.due())
            .min(self.dials.due.unwrap_or(Timestamp::NEVER))
            .min(batches);
        if self.fences.has_ready() || self.tombstones_due {
            return Some(Timestamp::ZERO);
        }
        (due != Timestamp::NEVER).then_some(due)
    }

    /// Does everything that is due. Calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.end_burst(now);
        if now >= self.timers.links {
            self.look_at_links(now);
        }
        if now >= self.timers.sweep {
            self.sweep(now);
        }
        if self.dials.due.is_some_and(|due| now >= due) {
            self.dial_waiting(now);
        }
        self.expire_commands(now);
        if std::mem::take(&mut self.tombstones_due) {
            self.close_graveyards(now);
        }
        if now >= self.fences.due {
            self.fences.wake_due(now);
        }
        self.settle_ready(now);
        if now >= self.refresh.due() {
            self.on_refresh_due(now);
        }
    }

    fn look_at_links(&mut self, now: Timestamp) {
        let due: Vec<(u16, LinkState)> = self
            .links
            .iter()
            .enumerate()
            .filter(|(_, link)| link.state_deadline() <= now)
            .map(|(row, link)| (row as u16, link.state))
            .collect();
        for (row, state) in due {
            match state {
                LinkState::Idle | LinkState::Queued | LinkState::Ready => {}
                LinkState::Backoff { .. } => self.end_backoff(row, now),
                LinkState::Connecting { .. } => {
                    self.lose(row, LostBecause::Silent("no connection in time"), now)
                }
                LinkState::Handshaking { .. } => {
                    self.lose(row, LostBecause::Silent("no answer to the handshake in time"), now)
                }
            }
        }
        self.timers.links =
            self.links.iter().map(|link| link.state_deadline()).min().unwrap_or(Timestamp::NEVER);
    }

    fn expire_commands(&mut self, now: Timestamp) {
        let mut due = Due::default();
        due.batches.extend(self.batches.iter().filter(|(_, batch)| batch.due() <= now).map(|(id, _)| id));
        if now >= self.stream.due {
            due.rows.extend(self.stream.take_due(now));
        }
        if due.batches.is_empty() && due.rows.is_empty() {
            return;
        }
        for slot in self.fences.slots() {
            for parked in self.fences.take_all(slot, |parked| due.contains(&parked.entry)) {
                let error = self.parked_too_long(&parked, now);
                self.fail_entry(&parked.entry, error);
                self.drop_entry(&parked.entry);
            }
            self.fences.wake(slot);
        }
        for row in 0..self.links.len() as u16 {
            self.expire_on_link(row, &due, now);
        }
        for id in due.batches {
            self.finish_stream_batch(id);
        }
        self.settle_ready(now);
    }

    fn expire_on_link(&mut self, row: u16, due: &Due, now: Timestamp) {
        let name = self.node_name(row);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        if !link.in_flight.iter().chain(link.guard.held()).any(|entry| due.contains(entry)) {
            return;
        }
        let connect_failure = link.last_failure.clone().filter(|_| !link.is_ready());
        // What the kernel has not begun to take is taken back and never runs.
        for entry in self.remove_unsent(row, |entry| due.contains(entry)) {
            let waited_ms = self.waited_ms(&entry, now);
            let kind =
                connect_failure.clone().unwrap_or(ErrorKind::Timeout { phase: Phase::Queued, waited_ms });
            self.give_up(row, &entry, Error::not_executed(kind).at_node(&name));
            self.drop_entry(&entry);
        }
        let Some(link) = self.links.get(usize::from(row)) else { return };
        let sent: Vec<InFlight> = link
            .guard
            .held()
            .chain(link.in_flight.iter())
            .filter(|entry| due.contains(entry))
            .copied()
            .collect();
        for entry in sent {
            let waited_ms = self.waited_ms(&entry, now);
            let hops = u32::from(entry.hops);
            let kind = ErrorKind::Timeout { phase: Phase::Sent, waited_ms };
            self.give_up(
                row,
                &entry,
                Error::new(kind, Outcome::Unknown).at_node(&name).with_counts(hops + 1, hops),
            );
        }
        if !keeps!(self.config, Tombstone) {
            self.forget_front(row, due);
        }
        self.bury(row, |entry| due.contains(entry));
    }

    /// What a client does that keeps no tombstones: the next reply goes to the next command.
    fn forget_front(&mut self, row: u16, due: &Due) {
        while let Some(front) = self.links.get(usize::from(row)).and_then(|link| {
            let front = link.in_flight.first().copied().filter(|front| due.contains(front));
            front.filter(|_| link.owes_reply())
        }) {
            self.pop_answered(row);
            self.drop_entry(&front);
            self.uncount(&front, false);
        }
    }

    fn give_up(&mut self, row: u16, entry: &InFlight, error: Error) {
        if self.is_wanted(entry) {
            if let Some(link) = self.links.get_mut(usize::from(row)) {
                link.stats.timeouts += 1;
            }
            self.fail_entry(entry, error);
        }
    }

    /// The last rejection says more than "too late".
    fn parked_too_long(&self, parked: &crate::engine::fence::Parked, now: Timestamp) -> Error {
        let hops = u32::from(parked.entry.hops);
        let slot = parked.entry.slot;
        match &parked.rejection {
            Some(rejection) if rejection.redirect => {
                Error::not_executed(ErrorKind::Redirects { hops, last: rejection.error.to_string() })
            }
            Some(rejection) => Error::not_executed(ErrorKind::Server(rejection.error.clone())),
            None if self.slots.owner(slot).is_none() => {
                return Error::not_executed(ErrorKind::SlotNotServed { slot });
            }
            None => {
                let waited_ms = self.waited_ms(&parked.entry, now);
                return Error::not_executed(ErrorKind::Timeout { phase: Phase::Parked, waited_ms });
            }
        }
        .at_node(parked.rejection.as_ref().map_or("", |rejection| rejection.node.as_str()))
        .with_counts(hops, hops)
    }

    fn waited_ms(&self, entry: &InFlight, now: Timestamp) -> u64 {
        match entry.owner() {
            STREAM => self.stream.op(entry.index).map_or(0, |op| now.since(op.submitted).as_millis() as u64),
            batch => self.batches.row(batch).map_or(0, |batch| batch.options.timeout_ms),
        }
    }
}
