//! How many connections are made at a time, and how often.
//!
//! A client that has lost a hundred nodes at once must not come back to all of them in the same instant, and one whose nodes accept and close
//! must not spend its time dialling. Attempts beyond the bounds wait in line; their commands wait with them, at most until their deadlines.
//!
//! The first attempt to reach a node is bounded by number only: a client of many nodes starts as fast as the network is.

use std::collections::VecDeque;

use crate::engine::connection::LinkState;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};

/// Attempts that wait, and the pace of those that are made again.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    /// Rows whose link says `Queued`; others are passed over.
    queue: VecDeque<u16>,
    /// When all attempts made again so far would have been due at the steady pace.
    paid_until: Timestamp,
    /// When the head of the line may go, where it waits for time.
    pub(crate) due: Option<Timestamp>,
}

/// What an attempt has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Now,
    /// Until another attempt or connection has ended.
    Room,
    Until(Timestamp),
}

impl Engine {
    /// Makes a connection to a node, or puts it in line.
    pub(crate) fn dial(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get(usize::from(row)).filter(|link| link.endpoint.is_some()) else {
            return;
        };
        if link.is_open() || link.state == LinkState::Queued {
            return;
        }
        // A first attempt need not stand behind those that wait for time.
        let first = link.stats.connects == 0;
        if (self.dials.queue.is_empty() || first) && self.admission(row, now) == Admission::Now {
            return self.dial_now(row, now);
        }
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            link.state = LinkState::Queued;
            link.stats.connects_delayed += 1;
        }
        self.dials.queue.push_back(row);
        self.dial_waiting(now);
    }

    /// Lets those go whose turn it is.
    pub(crate) fn dial_waiting(&mut self, now: Timestamp) {
        self.dials.due = None;
        while let Some(&row) = self.dials.queue.front() {
            let waits = self.links.get(usize::from(row)).is_some_and(|link| link.state == LinkState::Queued);
            match if waits { self.admission(row, now) } else { Admission::Now } {
                Admission::Now => {}
                Admission::Room => return,
                Admission::Until(due) => {
                    self.dials.due = Some(due);
                    return;
                }
            }
            self.dials.queue.pop_front();
            if waits {
                self.dial_now(row, now);
            }
        }
    }

    fn admission(&self, row: u16, now: Timestamp) -> Admission {
        if !keeps!(self.config, ConnectLimiter) {
            return Admission::Now;
        }
        let limits = &self.config.limits;
        let open = self.links.iter().filter(|link| link.is_open());
        let (open, ready) =
            open.fold((0, 0), |(open, ready), link| (open + 1, ready + usize::from(link.is_ready())));
        if open - ready >= limits.connects_at_once_max.max(1) || open >= limits.connections_max.max(1) {
            return Admission::Room;
        }
        let again = self.links.get(usize::from(row)).is_some_and(|link| link.stats.connects > 0);
        let allowed = Timestamp::from_nanos(self.dials.paid_until.as_nanos().saturating_sub(1_000_000_000));
        if again && allowed > now { Admission::Until(allowed) } else { Admission::Now }
    }

    /// An attempt is made: one more that counts, where it is not the node's first.
    pub(crate) fn pay_for_dial(&mut self, again: bool, now: Timestamp) {
        if again {
            let pace = 1_000_000_000 / u64::from(self.config.limits.reconnects_per_second_max.max(1));
            let from = self.dials.paid_until.max(now);
            self.dials.paid_until = Timestamp::from_nanos(from.as_nanos().saturating_add(pace));
        }
    }
}
