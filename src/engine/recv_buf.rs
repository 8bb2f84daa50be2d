//! Received bytes of one connection, lent to the transport by value.
//!
//! The buffer is zeroed once when it is made and then used again: a transport reads into initialised memory, so no `unsafe` is
//! needed. Small frames are copied out of it; large ones are split off uncopied, and the buffer makes itself a new one.
//!
//! A connection keeps its buffer while an unfinished frame is in it. Otherwise the buffer serves the next connection that reads: a
//! thousand idle connections hold none, and a turn over all of them stays in the same few pages. A transport that receives ahead of the
//! bytes (io_uring) holds one for each connection, of which only the pages that were used are memory.
//!
//! Invariant: `start <= end <= buf.len()`; received and unread bytes are `start..end`.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// Usual size; a reply of a few hundred small commands.
const RECV_BYTES: usize = 64 << 10;
/// What has grown beyond this for one reply is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Least room a transport is given.
const SPARE_BYTES_MIN: usize = 4 << 10;

/// A receive buffer. `handle_received` takes it back with the number of bytes that were added.
#[derive(Default)]
pub struct RecvBuf {
    buf: BytesMut,
    start: usize,
    end: usize,
    /// The largest it has been: what was split off may have left all of that memory behind a few bytes.
    grown: usize,
}

impl RecvBuf {
    /// Room to read into; never empty after the engine has lent it.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.end..).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    pub(crate) fn received(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buf.len());
    }

    pub(crate) fn unread(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `n` unread bytes have been dealt with.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Splits the first `n` unread bytes off, uncopied.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.end - self.start);
        let mut front = self.buf.split_to(self.start + n);
        self.end -= self.start + n;
        let frame = front.split_off(self.start).freeze();
        self.start = 0;
        frame
    }

    /// Makes room before the buffer is lent; `wanted` is how much the unfinished frame still needs.
    ///
    /// The buffer grows by what has arrived, never by what a length line promises: at most twofold at a time.
    pub(crate) fn prepare(&mut self, wanted: usize) {
        let spare_min = wanted.clamp(SPARE_BYTES_MIN, RECV_BYTES);
        if self.buf.len() - self.end >= spare_min {
            return;
        }
        let unread = self.end - self.start;
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = unread;
        }
        if self.buf.len() - self.end < spare_min {
            let goal = unread
                .saturating_add(wanted.max(SPARE_BYTES_MIN))
                .min(unread.saturating_mul(2))
                .max(RECV_BYTES);
            let goal = goal.max(unread + spare_min);
            if self.buf.capacity() == 0 {
                // Fresh memory of the system is zero already, and costs nothing before it is touched.
                self.buf = BytesMut::zeroed(goal);
            } else {
                self.buf.resize(goal, 0);
            }
            self.grown = self.grown.max(goal);
        }
    }

    /// Whether it has no memory yet, or has given it away.
    pub(crate) fn is_unmade(&self) -> bool {
        self.buf.is_empty()
    }

    /// Whether it holds nothing: another connection may have it.
    pub(crate) fn is_spare(&self) -> bool {
        self.end == 0 && self.buf.len() >= RECV_BYTES && self.grown <= KEPT_BYTES_MAX
    }

    /// Whether it holds nothing, and too much memory for that: nobody should keep it.
    pub(crate) fn is_outgrown(&self) -> bool {
        self.end == 0 && self.grown > KEPT_BYTES_MAX
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// Sizes only: a server may have repeated a password.
impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unread, room) = (self.unread().len(), self.buf.len());
        f.debug_struct("RecvBuf").field("unread", &unread).field("room", &room).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_for_one_reply_is_not_kept_for_others() {
        let mut recv = RecvBuf::default();
        let mut left = 8 << 20;
        while left > 0 {
            // The end of an array of small elements is told by no header.
            recv.prepare(5);
            let n = recv.spare_mut().len().min(left);
            recv.received(n);
            left -= n;
        }
        drop(recv.take(8 << 20));
        recv.prepare(0);
        assert!(!recv.is_spare() || !recv.buf.try_reclaim(KEPT_BYTES_MAX), "megabytes behind 64 KiB");
    }
}
