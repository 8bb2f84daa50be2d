//! Encoded commands of one connection, kept until their replies have come.
//!
//! ```text
//!   acked      <=      sent      <=      flushed      <=      encoded
//!     | first byte       | first byte       | end of what may        | end of what has
//!     | whose reply      | the kernel       | leave                  | been encoded
//!     | has not come     | has not taken    |                        |
//! ```
//!
//! A reply is an acknowledgement: until it comes the bytes stay, so that a redirected command is sent again without being encoded
//! again, and so that "was it sent?" is a comparison. The queue knows bytes and positions; it does not know where a command ends
//! (the in-flight queue does).
//!
//! Invariant: `base <= acked <= sent <= flushed <= encoded`, and the segments and the tail together hold exactly `base..encoded`.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::resp::encode::WireBuf;

/// Bytes of the first encode buffer: a node that is only greeted, or gets a few commands per flush, holds no more.
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Bytes of those that follow, once the first was too little while something in it was unanswered. Large enough that rotating is rare, small
/// enough to stay in the second-level cache. There is nothing in between: sizes that grow step by step would still grow when a client has
/// long been running.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Shared arguments of at least this size become segments of their own instead of being copied.
pub(crate) const SHARED_BYTES_MIN: usize = 16 << 10;
/// Bytes that are zeroed at a time ahead of what is encoded.
const AHEAD_BYTES: usize = 1 << 10;
/// Used-up encode buffers kept for another round; more are dropped.
const RETIRED_MAX: usize = 64;

/// The bytes of one command, shared with the queue they came from.
pub(crate) type CommandBytes = SmallVec<[Bytes; 1]>;

#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// Frozen bytes; the first byte of the first segment is at position `base`.
    segments: VecDeque<Bytes>,
    /// Being encoded; its first byte follows the last segment. Longer than `filled`: there is room ahead that was zeroed once.
    tail: BytesMut,
    /// Bytes of the tail that have been encoded.
    filled: usize,
    /// The tail has the usual size: worth keeping when it is used up.
    tail_reusable: bool,
    /// The first encode buffer was too little.
    outgrown: bool,
    /// Used-up encode buffers whose bytes are still in segments; they serve again once those are gone.
    retired: VecDeque<BytesMut>,
    base: u64,
    acked: u64,
    sent: u64,
    flushed: u64,
    /// Where the tail starts: `encoded` less what the tail holds, so that appending to the tail moves one number alone.
    frozen: u64,
    /// The segment that holds `sent`, and where in it; saves walking from the front at each write.
    cursor: (usize, usize),
}

impl SendQueue {
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    #[inline]
    pub(crate) fn encoded(&self) -> u64 {
        self.frozen + self.filled as u64
    }

    /// Bytes held for commands without a reply: the measure of back-pressure.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.encoded() - self.acked
    }

    /// Bytes that wait for a flush.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        self.encoded() - self.flushed
    }

    /// Whether flushed bytes wait for the kernel.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.flushed
    }

    /// Makes room so that a command of `len` bytes lies in one piece; larger ones lie in several.
    pub(crate) fn prepare(&mut self, len: usize) {
        if self.tail.capacity() - self.filled < len && len <= CHUNK_BYTES_MAX {
            self.rotate(len);
        }
    }

    /// Lends room for a whole command at the end, in one piece and holding anything; `fill` then says how much of it the encoder took. One look at
    /// the buffer's capacity where appending takes one for each part. Only for commands below `SHARED_BYTES_MIN`, none of whose arguments
    /// can be a segment of its own.
    #[inline(always)]
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.tail.len() - self.filled < len {
            self.zero_ahead(len);
        }
        self.tail.get_mut(self.filled..self.filled + len).unwrap_or_default()
    }

    /// The first `len` bytes of the room that was lent last are encoded.
    #[inline(always)]
    pub(crate) fn fill(&mut self, len: usize) {
        debug_assert!(self.filled + len <= self.tail.len(), "more bytes encoded than were lent");
        self.filled += len;
    }

    /// Zeroes room for several commands at once: a call and a look at the capacity for each would cost more than the zeroes.
    #[inline(never)]
    fn zero_ahead(&mut self, len: usize) {
        self.prepare(len);
        let end = (self.filled + len + AHEAD_BYTES).min(self.tail.capacity());
        self.tail.resize(end, 0);
    }

    /// Goes back to the start of the buffer where nothing is held any more. Called before the first command of a flush: many nodes with
    /// little each then touch the same few bytes of each buffer again, which stay in the cache.
    #[inline]
    pub(crate) fn start_over(&mut self) {
        if self.segments.is_empty() && self.filled == 0 && self.tail_reusable {
            self.tail.clear();
            // Nothing depends on the answer: without room the next command rotates.
            let _reclaimed = self.tail.try_reclaim(self.chunk_bytes());
        }
    }

    /// Goes on in another buffer, a used one if its bytes are gone.
    #[cold]
    fn rotate(&mut self, len: usize) {
        self.freeze_tail();
        self.tail.clear();
        let chunk_bytes = self.chunk_bytes();
        if len <= chunk_bytes && self.tail_reusable && self.tail.try_reclaim(chunk_bytes) {
            return;
        }
        let used_up = std::mem::take(&mut self.tail);
        if self.tail_reusable && !self.outgrown {
            // It goes when its bytes are acknowledged.
            self.outgrown = true;
        } else if self.tail_reusable {
            // Its capacity may read 0 and its memory still be there to reclaim.
            self.retired.push_back(used_up);
        }
        self.outgrown |= self.chunk_bytes() < len;
        self.tail_reusable = len <= self.chunk_bytes();
        self.tail = if self.tail_reusable { self.reclaim() } else { BytesMut::with_capacity(len) };
    }

    /// A buffer of the usual size. The oldest used one is the first whose bytes are all acknowledged.
    fn reclaim(&mut self) -> BytesMut {
        if let Some(mut oldest) = self.retired.pop_front() {
            if oldest.try_reclaim(self.chunk_bytes()) {
                return oldest;
            }
            if self.retired.len() < RETIRED_MAX {
                self.retired.push_front(oldest);
            }
        }
        BytesMut::with_capacity(self.chunk_bytes())
    }

    /// The usual size of an encode buffer.
    fn chunk_bytes(&self) -> usize {
        if self.outgrown { CHUNK_BYTES_MAX } else { CHUNK_BYTES_MIN }
    }

    fn freeze_tail(&mut self) {
        if self.filled > 0 {
            self.frozen += self.filled as u64;
            self.segments.push_back(self.tail.split_to(self.filled).freeze());
            self.filled = 0;
        }
    }

    /// Whether nothing is held, in more memory than the first buffer has.
    pub(crate) fn has_spare_memory(&self) -> bool {
        self.held_bytes() == 0 && (self.outgrown || !self.retired.is_empty())
    }

    /// Gives the memory of used-up buffers back; nothing may be held.
    pub(crate) fn shrink(&mut self) {
        if self.held_bytes() == 0 {
            self.retired = VecDeque::new();
            self.segments = VecDeque::new();
            self.cursor = (0, 0);
            self.tail = BytesMut::new();
            self.tail_reusable = false;
            self.outgrown = false;
        }
    }

    /// Everything encoded so far may leave. Answers whether there is anything to send.
    pub(crate) fn flush(&mut self) -> bool {
        self.freeze_tail();
        self.flushed = self.frozen;
        self.has_unsent()
    }

    /// Appends a whole command that another queue gave up.
    pub(crate) fn append(&mut self, command: &CommandBytes) {
        for piece in command {
            if piece.len() >= SHARED_BYTES_MIN {
                self.put_shared(piece);
            } else {
                self.put(piece);
            }
        }
    }

    /// The unsent, flushed bytes as slices for a vectored write; stops at `slices`' capacity or `quantum` bytes.
    pub(crate) fn unsent<'a>(&'a self, slices: &mut SmallVec<[IoSlice<'a>; 16]>, quantum: usize) {
        let (index, mut offset) = self.cursor;
        let mut left = ((self.flushed - self.sent) as usize).min(quantum);
        for segment in self.segments.iter().skip(index) {
            if left == 0 || slices.len() == slices.inline_size() {
                break;
            }
            let piece = segment.get(offset..).unwrap_or_default();
            let piece = piece.get(..left).unwrap_or(piece);
            if !piece.is_empty() {
                left -= piece.len();
                slices.push(IoSlice::new(piece));
            }
            offset = 0;
        }
    }

    /// As `unsent`, for a transport whose requests hold the bytes until they are completed.
    pub(crate) fn share_unsent(&self, pieces: &mut Vec<Bytes>, pieces_max: usize, quantum: usize) {
        let (index, mut offset) = self.cursor;
        let mut left = ((self.flushed - self.sent) as usize).min(quantum);
        for segment in self.segments.iter().skip(index).take(pieces_max) {
            let len = left.min(segment.len() - offset);
            if len == 0 {
                break;
            }
            pieces.push(segment.slice(offset..offset + len));
            left -= len;
            offset = 0;
        }
    }

    /// The kernel has taken `n` more bytes.
    pub(crate) fn advance_sent(&mut self, n: usize) {
        debug_assert!(n as u64 <= self.flushed - self.sent, "more bytes sent than were lent");
        self.sent += n as u64;
        self.cursor.1 += n;
        self.settle_cursor();
    }

    /// The last `n` of the bytes that the kernel was said to have taken were not taken.
    pub(crate) fn retract_sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_sub(n as u64).max(self.acked);
        self.cursor = (0, (self.sent - self.base) as usize);
        self.settle_cursor();
    }

    /// The commands at the front, `len` bytes together, have their replies.
    pub(crate) fn ack(&mut self, len: u64) {
        self.acked += len;
        debug_assert!(self.acked <= self.sent, "a reply to a command that was not sent");
        while let Some(front) = self.segments.front() {
            let end = self.base + front.len() as u64;
            if end > self.acked {
                break;
            }
            self.base = end;
            self.segments.pop_front();
            // `sent >= acked >= end`, so the cursor stands behind the segment that goes.
            self.cursor.0 -= 1;
        }
    }

    /// Copies what is held from `start` on, as much as fits; answers how much that was. Freezes nothing.
    pub(crate) fn peek(&self, start: u64, out: &mut [u8]) -> usize {
        let mut skip = start.saturating_sub(self.base) as usize;
        let (mut room, mut taken) = (out.iter_mut(), 0);
        let tail = self.tail.get(..self.filled).unwrap_or_default();
        for piece in self.segments.iter().map(AsRef::as_ref).chain([tail]) {
            let part: &[u8] = piece.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(piece.len());
            for (&byte, place) in part.iter().zip(room.by_ref()) {
                *place = byte;
                taken += 1;
            }
            if room.len() == 0 {
                break;
            }
        }
        taken
    }

    /// Shares the bytes `start..start + len`; they stay in the queue.
    pub(crate) fn share(&mut self, start: u64, len: u64) -> CommandBytes {
        let starts = self.segment_starts();
        self.share_from(&starts, start, len)
    }

    /// Where each segment begins, for many calls of `share_from`; good until the queue changes.
    pub(crate) fn segment_starts(&mut self) -> Vec<u64> {
        self.freeze_tail();
        let mut at = self.base;
        let start_of = |segment: &Bytes| {
            at += segment.len() as u64;
            at - segment.len() as u64
        };
        self.segments.iter().map(start_of).collect()
    }

    /// As `share`, for callers that take many pieces.
    pub(crate) fn share_from(&self, starts: &[u64], start: u64, len: u64) -> CommandBytes {
        let end = start + len;
        let first = starts.partition_point(|&at| at <= start).saturating_sub(1);
        let mut pieces = CommandBytes::new();
        for (&at, segment) in starts.iter().zip(&self.segments).skip(first) {
            if at >= end {
                break;
            }
            let from = start.saturating_sub(at) as usize;
            let to = (end.min(at + segment.len() as u64) - at) as usize;
            pieces.push(segment.slice(from..to));
        }
        pieces
    }

    /// Starts over with nothing but these runs of whole commands, unsent and uncopied; each comes with whether it was flushed before
    /// (those come first).
    pub(crate) fn rebuild(&mut self, runs: Vec<(CommandBytes, bool)>) {
        let (retired, outgrown) = (std::mem::take(&mut self.retired), self.outgrown);
        *self = SendQueue { retired, outgrown, ..SendQueue::default() };
        self.append_runs(runs);
    }

    /// Appends runs that were taken out before; each comes with whether it was flushed then (those come first).
    pub(crate) fn append_runs(&mut self, runs: Vec<(CommandBytes, bool)>) {
        self.freeze_tail();
        for (pieces, was_flushed) in runs {
            for piece in pieces {
                self.frozen += piece.len() as u64;
                self.segments.push_back(piece);
            }
            if was_flushed {
                self.flushed = self.frozen;
            }
        }
    }

    /// Takes the bytes from position `start` on out of the queue; they must be unsent.
    pub(crate) fn truncate(&mut self, start: u64) {
        debug_assert!(start >= self.sent, "sent bytes cannot be taken back");
        self.freeze_tail();
        let mut excess = self.frozen - start;
        while excess > 0 {
            let Some(last) = self.segments.back_mut() else { break };
            let cut = excess.min(last.len() as u64);
            let keep = last.len() - cut as usize;
            if keep == 0 {
                self.segments.pop_back();
            } else {
                last.truncate(keep);
            }
            excess -= cut;
        }
        self.frozen = start;
        self.flushed = self.flushed.min(start);
        self.settle_cursor();
    }

    /// Moves the cursor off the end of a segment.
    fn settle_cursor(&mut self) {
        while let Some(segment) = self.segments.get(self.cursor.0) {
            if self.cursor.1 < segment.len() {
                break;
            }
            self.cursor = (self.cursor.0 + 1, self.cursor.1 - segment.len());
        }
    }

    /// Checks the invariant; for tests and debug builds.
    #[cfg(test)]
    pub(crate) fn invariants(&self) {
        assert!(self.base <= self.acked && self.acked <= self.sent);
        assert!(self.sent <= self.flushed && self.flushed <= self.encoded());
        let held: usize = self.segments.iter().map(Bytes::len).sum();
        assert_eq!(self.base + held as u64, self.frozen);
        let before: usize = self.segments.iter().take(self.cursor.0).map(Bytes::len).sum();
        assert_eq!(self.base + (before + self.cursor.1) as u64, self.sent);
        assert!(self.segments.get(self.cursor.0).is_none_or(|segment| self.cursor.1 < segment.len()));
    }
}

impl WireBuf for SendQueue {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.tail.capacity() - self.filled < bytes.len() {
            self.rotate(bytes.len());
        }
        self.tail.truncate(self.filled);
        self.tail.extend_from_slice(bytes);
        self.filled = self.tail.len();
    }

    fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put(bytes);
        }
        self.freeze_tail();
        self.segments.push_back(bytes.clone());
        self.frozen += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests;
