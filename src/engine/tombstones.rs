//! Tombstones: commands that were given up after they were sent. Each keeps its place in the queue of replies, so that its reply reaches nobody.
//!
//! They are counted per connection, exactly: an entry has the flag `GIVEN_UP` as long as it counts, and one with the flag is answered off the
//! fast path. Cancelled commands of the event-driven use are flagged some at a time: finding each among all that is in flight would cost more
//! than the command. The body of a reply that nobody waits for is dropped as it comes.

use crate::engine::Engine;
use crate::engine::connection::Link;
use crate::engine::in_flight::{InFlight, STREAM};
use crate::engine::lifecycle::LostBecause;
use crate::engine::recv_buf::RecvBuf;
use crate::engine::time::Timestamp;

/// An unfinished reply of at least this many bytes is worth asking whether anybody waits for it.
pub(crate) const SKIP_BYTES_MIN: usize = 8 << 10;
/// Cancelled commands that are looked for together, at most.
const CANCELLED_MAX: usize = 1024;

impl Engine {
    /// Flags commands that were begun to be sent and that `given_up` accepts.
    pub(crate) fn bury(&mut self, row: u16, given_up: impl Fn(&InFlight) -> bool) {
        let max = self.config.limits.tombstones_per_node_max.max(1);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let sent = link.queue.sent();
        let mut at = link.queue.acked();
        for entry in link.in_flight.iter_mut() {
            if at >= sent {
                break;
            }
            at += u64::from(entry.len);
            if entry.is_callers() && !entry.has(InFlight::GIVEN_UP) && given_up(entry) {
                entry.flags |= InFlight::GIVEN_UP;
                link.tombstones += 1;
                link.stats.given_up += 1;
            }
        }
        // The connection is closed at the next look at the clock.
        self.tombstones_due |= link.tombstones as usize >= max;
    }

    /// Closes connections on which too many given-up commands owe their replies.
    pub(crate) fn close_graveyards(&mut self, now: Timestamp) {
        let max = self.config.limits.tombstones_per_node_max.max(1);
        for row in 0..self.links.len() as u16 {
            let full = |link: &&mut Link| link.is_open() && link.tombstones as usize >= max;
            if let Some(link) = self.links.get_mut(usize::from(row)).filter(full) {
                link.stats.tombstone_closes += 1;
                let because = "too many commands that were given up owe their replies";
                self.lose(row, LostBecause::Silent(because), now);
            }
        }
    }

    /// A command of the event-driven use was cancelled after it was sent.
    pub(crate) fn note_cancelled(&mut self) {
        self.cancelled += 1;
        let together = CANCELLED_MAX.min(self.config.limits.tombstones_per_node_max / 64 + 1);
        if self.cancelled < together {
            return;
        }
        self.cancelled = 0;
        let stream = std::mem::take(&mut self.stream);
        for row in 0..self.links.len() as u16 {
            self.bury(row, |entry| entry.batch == STREAM && !stream.is_live(entry.index));
        }
        self.stream = stream;
    }

    /// Drops what has come of an unfinished reply that nobody waits for.
    #[cold]
    pub(crate) fn skip_unwanted(&mut self, row: u16, recv: &mut RecvBuf) {
        let Some(link) = self.links.get(usize::from(row)) else { return };
        let Some(front) = link.in_flight.first().copied().filter(|_| link.handshake.is_done()) else {
            return;
        };
        let unwanted = front.is_callers() && !self.is_wanted(&front);
        let behind_asking = front.has(InFlight::ASKED) && !front.has(InFlight::ASKING_ANSWERED);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        if !(unwanted && !behind_asking || link.scanner.is_in_push()) {
            return;
        }
        let skipped = link.scanner.skip(recv.unread());
        if skipped == 0 {
            return;
        }
        recv.consume(skipped);
        link.stats.skipped_bytes += skipped as u64;
        link.skipping = true;
        if unwanted
            && !link.scanner.is_in_push()
            && !front.has(InFlight::GIVEN_UP)
            && let Some(front) = link.in_flight.first_mut()
        {
            // What is left of the reply must not be taken for a plain one.
            front.flags |= InFlight::GIVEN_UP;
            link.tombstones += 1;
            link.stats.given_up += 1;
        }
    }

    /// The end of a reply whose beginning was dropped.
    pub(crate) fn end_skipped(&mut self, row: u16, entry: &InFlight) {
        if entry.has(InFlight::FENCED) {
            self.note_ran(row, entry);
        }
        self.pop_answered(row);
        self.drop_entry(entry);
        self.uncount(entry, true);
    }
}
