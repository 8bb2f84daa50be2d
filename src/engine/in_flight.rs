//! The commands of one connection whose replies have not come, in the order they were encoded.
//!
//! Replies carry no name: the n-th reply of a connection belongs to the n-th command. This queue is that correspondence, so its
//! entries are as small as they can be; the command's bytes stay in the send queue and are found by position.

use std::ops::{Deref, DerefMut};

use crate::command::retry;
use crate::slot::SLOT_COUNT;

/// The slot field of a command without keys.
pub(crate) const NO_SLOT: u16 = SLOT_COUNT;

/// `InFlight::batch` of commands that the event-driven use submitted; `index` is then a row of the stream table.
pub(crate) const STREAM: u32 = u32::MAX;
/// `InFlight::batch` of the engine's own CLUSTER SLOTS.
pub(crate) const REFRESH: u32 = u32::MAX - 1;
/// `InFlight::batch` of the engine's own ECHO; `index` then tells which text must come back.
pub(crate) const SENTINEL: u32 = u32::MAX - 2;
/// Smaller values are rows of the batch table, with or without `UNIT`.
pub(crate) const RESERVED_MIN: u32 = SENTINEL;
/// Stands beside the row in `InFlight::batch` where the entry is a unit: MULTI, commands, EXEC. A bit there, and no flag, since a run of plain
/// replies ends at an entry that names another batch anyway.
pub(crate) const UNIT: u32 = 1 << 31;

/// What stands before a command that an ASK sent elsewhere, in the same entry: the flag that ASKING sets is spent by the next command.
pub(crate) const ASKING_WIRE: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// How a unit begins, behind its ASKING.
pub(crate) const MULTI_WIRE: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";

/// An idle connection keeps room for this many entries.
const KEPT_ENTRIES_MAX: usize = 1024;

/// One unanswered command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Bytes on the wire. Positions are running sums: the front command starts at the queue's `acked`.
    pub(crate) len: u32,
    /// Whose command it is: a row of the batch table (`owner` tells it from `UNIT`), or one of the reserved values.
    pub(crate) batch: u32,
    /// Which command of that owner.
    pub(crate) index: u32,
    /// Hash slot, or `NO_SLOT`.
    pub(crate) slot: u16,
    /// How often it was rejected and sent again.
    pub(crate) hops: u8,
    /// See `InFlight::READ_ONLY` and its siblings.
    pub(crate) flags: u8,
}

const _: () = assert!(
    size_of::<InFlight>() == 16,
    "the in-flight queue is walked once per reply: keep its entries at 16 bytes"
);

impl InFlight {
    /// The command changes nothing on the server.
    pub(crate) const READ_ONLY: u8 = retry::READ_ONLY;
    /// The fence of its slot waits for it: it was in flight when the fence was opened, or the fence has sent it. Counted in
    /// `Fence::draining` exactly as long as it has this flag.
    pub(crate) const FENCED: u8 = 2;
    /// Its bytes begin with ASKING: it is owed two replies.
    pub(crate) const ASKED: u8 = 4;
    /// The caller chose the node: a redirect is its answer.
    pub(crate) const PINNED: u8 = 16;
    /// The reply to its ASKING has come.
    pub(crate) const ASKING_ANSWERED: u8 = 8;
    /// Nobody waits for its reply any more: a tombstone. Counted in `Link::tombstones` exactly as long as it has this flag.
    pub(crate) const GIVEN_UP: u8 = 128;
    /// The caller's word on this command: it is not sent again where its reply is lost.
    pub(crate) const RETRY_NEVER: u8 = retry::RETRY_NEVER;
    /// The caller's word on this command: it is sent again where its reply is lost.
    pub(crate) const RETRY_ALWAYS: u8 = retry::RETRY_ALWAYS;
    /// What it had when it was submitted.
    const LASTING: u8 =
        InFlight::READ_ONLY | InFlight::PINNED | InFlight::RETRY_NEVER | InFlight::RETRY_ALWAYS;

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The row of the batch table, or one of the reserved values.
    pub(crate) fn owner(&self) -> u32 {
        if self.is_unit() { self.batch & !UNIT } else { self.batch }
    }

    /// Whether it is owed the replies of several commands, and a result for all of them.
    pub(crate) fn is_unit(&self) -> bool {
        (UNIT..RESERVED_MIN).contains(&self.batch)
    }

    /// Whether a caller submitted it, and not the engine.
    pub(crate) fn is_callers(&self) -> bool {
        self.batch < RESERVED_MIN || self.batch == STREAM
    }

    /// Bytes of the ASKING in front.
    pub(crate) fn asking_len(&self) -> u32 {
        if self.has(InFlight::ASKED) { ASKING_WIRE.len() as u32 } else { 0 }
    }

    /// The entry as it was before it was sent anywhere: without ASKING, and no fence's.
    pub(crate) fn unsent(mut self) -> Self {
        self.len -= self.asking_len();
        self.flags &= InFlight::LASTING;
        self
    }
}

/// The queue of a connection: entries in one row, the answered ones in front of `head`. It starts over in the same memory whenever all are
/// answered, so that the entries of a small window stay in the cache, and neither end ever wraps.
#[derive(Debug, Default)]
pub(crate) struct InFlightQueue {
    entries: Vec<InFlight>,
    /// How many at the front of `entries` have left.
    head: usize,
}

impl InFlightQueue {
    #[inline(always)]
    pub(crate) fn push_back(&mut self, entry: InFlight) {
        if self.entries.len() == self.entries.capacity() {
            self.make_room();
        }
        self.entries.push(entry);
    }

    /// Moves the entries over those that have left, where that makes enough room; the vector grows otherwise.
    #[cold]
    fn make_room(&mut self) {
        if self.head >= self.entries.len().div_ceil(2) {
            self.entries.drain(..self.head);
            self.head = 0;
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<InFlight> {
        let front = self.first().copied()?;
        self.drop_front(1);
        Some(front)
    }

    /// The first `count` entries have left.
    #[inline]
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.head += count;
        if self.head >= self.entries.len() {
            self.entries.clear();
            self.head = 0;
        }
    }

    /// Whether it is empty, and has grown for many.
    pub(crate) fn has_spare_memory(&self) -> bool {
        self.is_empty() && self.entries.capacity() > KEPT_ENTRIES_MAX
    }

    /// Gives the memory back; the queue must be empty.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            *self = InFlightQueue::default();
        }
    }

    /// Takes everything from the place `first` on.
    pub(crate) fn drain_from(&mut self, first: usize) -> std::vec::Drain<'_, InFlight> {
        self.entries.drain(self.head + first..)
    }

    pub(crate) fn extend(&mut self, entries: impl IntoIterator<Item = InFlight>) {
        self.entries.extend(entries);
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Vec<InFlight> {
        let mut entries = std::mem::take(&mut self.entries);
        entries.drain(..std::mem::take(&mut self.head));
        entries
    }
}

impl Deref for InFlightQueue {
    type Target = [InFlight];

    #[inline]
    fn deref(&self) -> &[InFlight] {
        self.entries.get(self.head..).unwrap_or_default()
    }
}

impl DerefMut for InFlightQueue {
    fn deref_mut(&mut self) -> &mut [InFlight] {
        self.entries.get_mut(self.head..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::engine::rng::Rng;

    #[test]
    fn no_two_flags_share_a_bit_and_those_of_the_submission_last() {
        const OF_ONE_SENDING: [u8; 4] =
            [InFlight::FENCED, InFlight::ASKED, InFlight::ASKING_ANSWERED, InFlight::GIVEN_UP];
        let all = OF_ONE_SENDING.into_iter().fold(InFlight::LASTING, |all, flag| {
            assert_eq!((all & flag, flag.count_ones()), (0, 1));
            all | flag
        });
        assert_eq!(InFlight::LASTING.count_ones(), 4);
        let entry = InFlight { len: 100, batch: 0, index: 0, slot: 0, hops: 0, flags: all };
        assert_eq!(entry.unsent().flags, InFlight::LASTING);
    }

    #[test]
    fn it_behaves_like_a_queue_and_stays_small() {
        let mut rng = Rng::new(1);
        let (mut queue, mut model) = (InFlightQueue::default(), VecDeque::new());
        for index in 0..if cfg!(miri) { 200 } else { 20_000 } {
            let entry = InFlight { len: 1, batch: 2, index, slot: 3, hops: 0, flags: 0 };
            match rng.below(8) {
                0..=4 => {
                    queue.push_back(entry);
                    model.push_back(entry);
                }
                5 => assert_eq!(queue.pop_front(), model.pop_front()),
                6 => {
                    let count = rng.below(model.len().min(9) as u64 + 1) as usize;
                    queue.drop_front(count);
                    model.drain(..count);
                }
                _ if rng.below(4) == 0 => {
                    let first = model.len() - rng.below(model.len().min(5) as u64 + 1) as usize;
                    assert!(queue.drain_from(first).eq(model.drain(first..)));
                }
                _ => {
                    queue.drop_front(model.len().saturating_sub(40));
                    model.drain(..model.len().saturating_sub(40));
                }
            }
            assert!(queue.iter().eq(model.iter()));
            assert!(queue.entries.capacity() <= 1024, "{}", queue.entries.capacity());
        }
        assert!(queue.take().into_iter().eq(model));
        assert!(queue.is_empty());
    }
}
