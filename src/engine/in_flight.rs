//! The commands of one connection whose replies have not come, in the order they were encoded.
//!
//! Replies carry no name: the n-th reply of a connection belongs to the n-th command. This queue is that correspondence, so its
//! entries are as small as they can be; the command's bytes stay in the send queue and are found by position.

use std::collections::VecDeque;

use crate::slot::SLOT_COUNT;

/// The slot field of a command without keys.
pub(crate) const NO_SLOT: u16 = SLOT_COUNT;

/// `InFlight::batch` of commands that the event-driven use submitted; `index` is then a row of the stream table.
pub(crate) const STREAM: u32 = u32::MAX;
/// `InFlight::batch` of the engine's own CLUSTER SLOTS.
pub(crate) const REFRESH: u32 = u32::MAX - 1;

/// What stands before a command that an ASK sent elsewhere, in the same entry: the flag that ASKING sets is spent by the next command.
pub(crate) const ASKING_WIRE: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// One unanswered command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Bytes on the wire. Positions are running sums: the front command starts at the queue's `acked`.
    pub(crate) len: u32,
    /// Whose command it is: a row of the batch table, or one of the reserved values.
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
    pub(crate) const READ_ONLY: u8 = 1;
    /// The fence of its slot waits for it: it was in flight when the fence was opened, or the fence has sent it. Counted in
    /// `Fence::draining` exactly as long as it has this flag.
    pub(crate) const FENCED: u8 = 2;
    /// Its bytes begin with ASKING: it is owed two replies.
    pub(crate) const ASKED: u8 = 4;
    /// The caller chose the node: a redirect is its answer.
    pub(crate) const PINNED: u8 = 16;
    /// The reply to its ASKING has come.
    pub(crate) const ASKING_ANSWERED: u8 = 8;

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of the ASKING in front.
    pub(crate) fn asking_len(&self) -> u32 {
        if self.has(InFlight::ASKED) { ASKING_WIRE.len() as u32 } else { 0 }
    }

    /// The entry as it was before it was sent anywhere: without ASKING, and no fence's.
    pub(crate) fn unsent(mut self) -> Self {
        self.len -= self.asking_len();
        self.flags &= InFlight::READ_ONLY | InFlight::PINNED;
        self
    }
}

/// The queue of a connection.
pub(crate) type InFlightQueue = VecDeque<InFlight>;
