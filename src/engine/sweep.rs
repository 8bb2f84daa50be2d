//! A look at all connections, every half second while something is owed: nodes that are silent or next to it are given up, those that have
//! answered for a while are due for a sentinel, those that have had nothing to do give their buffers back, and those that no view names are
//! closed.

use crate::engine::connection::Link;
use crate::engine::lifecycle::LostBecause;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};

/// How often connections with unanswered commands are looked at.
pub(crate) const SWEEP_MS: u64 = 500;
/// What a node that completes no reply must send within `Config::node_silent_ms`: a byte now and then is no sign of life.
const PROGRESS_BYTES_MIN: u64 = 4 << 10;
/// After this long without a command a connection's buffers shrink.
const IDLE_MS: u64 = 30_000;

impl Engine {
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        self.give_up_silent(now);
        self.guard_by_time(now);
        let idle_until = self.shrink_idle(now).min(self.close_leftovers(now));
        let busy = self.links.iter().any(is_waiting);
        self.timers.sweep = if busy { now.after_ms(SWEEP_MS) } else { idle_until };
    }

    /// Gives up connections that owe replies and have been silent for too long, or have sent too little to get anywhere.
    fn give_up_silent(&mut self, now: Timestamp) {
        let silent_ms = self.config.node_silent_ms;
        for row in 0..self.links.len() as u16 {
            let Some(link) = self.links.get_mut(usize::from(row)) else { continue };
            if !is_waiting(link) {
                link.crawling = None;
                continue;
            }
            let (replies, bytes) = (link.stats.replies, link.stats.bytes_received);
            let (since, before, bytes_before) = *link.crawling.get_or_insert((now, replies, bytes));
            if replies != before || bytes >= bytes_before + PROGRESS_BYTES_MIN {
                link.crawling = Some((now, replies, bytes));
            }
            let crawls = link.crawling.is_some_and(|(since, ..)| now >= since.after_ms(silent_ms));
            debug_assert!(since <= now, "time goes on");
            if !keeps!(self.config, SilentLimit) {
                continue;
            }
            if now >= link.last_progress.after_ms(silent_ms) {
                self.lose(row, LostBecause::Silent("no reply for too long"), now);
            } else if crawls {
                self.lose(row, LostBecause::Silent("no whole reply for too long"), now);
            }
        }
    }

    /// Closes connections to nodes that no view names (a seed that serves nothing) once they have been quiet for long enough; answers when the
    /// next is due.
    fn close_leftovers(&mut self, now: Timestamp) -> Timestamp {
        let mut next = Timestamp::NEVER;
        for row in 0..self.links.len() as u16 {
            self.after_drained(row, now);
            let Some(link) = self.links.get(usize::from(row)) else { continue };
            if link.is_ready() && !link.in_view && link.in_flight.is_empty() && self.has_topology() {
                let due = link.last_progress.after_ms(self.config.node_silent_ms);
                // One that is needed although its time has come (nobody else may be there to be asked) is looked at again.
                next = next.min(if due > now { due } else { now.after_ms(SWEEP_MS) });
            }
        }
        next
    }

    /// Gives memory back that connections hold and have not needed for a while; answers when the next is due.
    fn shrink_idle(&mut self, now: Timestamp) -> Timestamp {
        let mut next = Timestamp::NEVER;
        for link in &mut self.links {
            if !link.in_flight.is_empty() || !link.is_roomy() {
                link.idle_since = None;
                continue;
            }
            let due = link.idle_since.get_or_insert(now).after_ms(IDLE_MS);
            if now >= due {
                link.shrink();
                link.idle_since = None;
            } else {
                next = next.min(due);
            }
        }
        next
    }
}

fn is_waiting(link: &Link) -> bool {
    link.is_ready() && link.awaits_reply()
}

impl Link {
    /// Whether its empty queues hold more memory than an idle connection needs.
    fn is_roomy(&self) -> bool {
        self.queue.has_spare_memory() || self.in_flight.has_spare_memory()
    }

    fn shrink(&mut self) {
        self.queue.shrink();
        self.in_flight.shrink();
    }
}
