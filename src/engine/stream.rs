//! Commands of the event-driven use: each completes on its own, in any order.
//!
//! A row lives from submit until its entry leaves the in-flight queue or the fence that parks it. A cancelled or timed-out command
//! that was sent stays as a tombstone: its reply is read and discarded, so it can never reach another command.

use std::collections::VecDeque;

use bytes::Bytes;
use slab::Slab;

use crate::engine::burst::Burst;
use crate::engine::reply_slab::LARGE_REPLY_BYTES_MIN;
use crate::engine::time::Timestamp;
use crate::error::Error;
use crate::resp::reply::ReplyRef;
use crate::resp::scan::OK_FRAME;

/// Names one submitted command, for `cancel`. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    pub(crate) row: u32,
    pub(crate) sequence: u64,
}

/// A command without a result.
#[derive(Debug)]
pub(crate) struct StreamOp {
    pub(crate) user_data: u64,
    pub(crate) sequence: u64,
    pub(crate) deadline: Timestamp,
    pub(crate) submitted: Timestamp,
    pub(crate) slot: u16,
    /// The batch that holds the parts, for a command that was split.
    pub(crate) batch: Option<u32>,
    /// Its result has been given already; the reply is discarded when it comes.
    pub(crate) tombstone: bool,
}

/// A result that the caller has not taken yet.
#[derive(Debug)]
struct Done {
    user_data: u64,
    token: Token,
    result: Stored,
}

#[derive(Debug)]
enum Stored {
    /// `+OK`: by far the most frequent reply to a write.
    Ok,
    Small {
        start: usize,
        len: usize,
    },
    Large(Bytes),
    Failed(Error),
}

/// What became of one submitted command.
#[derive(Debug)]
pub struct Completion<'a> {
    /// The number given to `submit`.
    pub user_data: u64,
    /// The token that `submit` answered.
    pub token: Token,
    /// The server's reply (an error reply is the `Err` side), or why there is none.
    pub result: Result<ReplyRef<'a>, Error>,
}

/// All commands of the event-driven use, and their results in order of completion.
#[derive(Debug)]
pub(crate) struct Stream {
    ops: Slab<StreamOp>,
    done: VecDeque<Done>,
    /// Small replies of `done`, and of some that were taken.
    arena: Vec<u8>,
    /// Bytes that were in the arena before its first; places in it count from the beginning of time.
    arena_base: usize,
    /// Bytes of the replies of `done` that are not in the arena.
    outside_bytes: usize,
    /// The result that was taken last; what `next` lends lies here.
    taken: Option<Done>,
    /// No live command is due before this.
    pub(crate) due: Timestamp,
    /// Commands that share one look at the clock are being submitted.
    pub(crate) burst: Option<Burst>,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            ops: Slab::new(),
            done: VecDeque::new(),
            arena: Vec::new(),
            arena_base: 0,
            outside_bytes: 0,
            taken: None,
            due: Timestamp::NEVER,
            burst: None,
        }
    }
}

impl Stream {
    pub(crate) fn open(&mut self, op: StreamOp) -> Token {
        self.due = self.due.min(op.deadline);
        let sequence = op.sequence;
        Token { row: self.ops.insert(op) as u32, sequence }
    }

    /// The row that `open` takes next.
    pub(crate) fn next_row(&self) -> u32 {
        self.ops.vacant_key() as u32
    }

    pub(crate) fn op(&self, row: u32) -> Option<&StreamOp> {
        self.ops.get(row as usize)
    }

    /// All commands without a result.
    pub(crate) fn live_mut(&mut self) -> impl Iterator<Item = &mut StreamOp> {
        self.ops.iter_mut().map(|(_, op)| op).filter(|op| !op.tombstone)
    }

    /// Whether somebody still waits for this row.
    pub(crate) fn is_live(&self, row: u32) -> bool {
        self.op(row).is_some_and(|op| !op.tombstone)
    }

    /// The row's entry has left the engine.
    pub(crate) fn close(&mut self, row: u32) {
        self.ops.try_remove(row as usize);
    }

    /// Files a reply that lies in the receive buffer.
    pub(crate) fn complete(&mut self, row: u32, frame: &[u8]) {
        if frame.len() >= LARGE_REPLY_BYTES_MIN {
            return self.complete_large(row, Bytes::copy_from_slice(frame));
        }
        self.compact(frame.len());
        let start = self.arena_base + self.arena.len();
        self.arena.extend_from_slice(frame);
        if !self.file(row, Stored::Small { start, len: frame.len() }) {
            self.arena.truncate(start - self.arena_base);
        }
    }

    /// Files a small reply that lies in the receive buffer to the last command that its row will have; the row is free.
    #[inline]
    pub(crate) fn answer(&mut self, row: u32, frame: &[u8]) -> bool {
        let Some(op) = self.ops.try_remove(row as usize).filter(|op| !op.tombstone) else { return true };
        let result = if frame == OK_FRAME {
            self.outside_bytes += OK_FRAME.len();
            Stored::Ok
        } else {
            self.compact(frame.len());
            let start = self.arena_base + self.arena.len();
            self.arena.extend_from_slice(frame);
            Stored::Small { start, len: frame.len() }
        };
        let token = Token { row, sequence: op.sequence };
        self.done.push_back(Done { user_data: op.user_data, token, result });
        true
    }

    /// Makes room for a reply by forgetting those that were taken: all where none is left, else a good part before the arena grows.
    fn compact(&mut self, wanted: usize) {
        if !self.done.is_empty() && self.arena.len() + wanted <= self.arena.capacity() {
            return;
        }
        let first = self.done.iter().find_map(|done| match done.result {
            Stored::Small { start, .. } => Some(start),
            Stored::Ok | Stored::Large(_) | Stored::Failed(_) => None,
        });
        let taken = first.map_or(self.arena.len(), |first| first - self.arena_base);
        if taken == self.arena.len() {
            self.arena.clear();
        } else if taken >= self.arena.len() / 4 {
            self.arena.drain(..taken);
        } else {
            return;
        }
        self.arena_base += taken;
    }

    pub(crate) fn complete_large(&mut self, row: u32, frame: Bytes) {
        let len = frame.len();
        if self.file(row, Stored::Large(frame)) {
            self.outside_bytes += len;
        }
    }

    pub(crate) fn fail(&mut self, row: u32, error: Error) {
        self.file(row, Stored::Failed(error));
    }

    /// Hands the result over, once; the row stays until its entry leaves.
    fn file(&mut self, row: u32, result: Stored) -> bool {
        let Some(op) = self.ops.get_mut(row as usize).filter(|op| !op.tombstone) else { return false };
        op.tombstone = true;
        let token = Token { row, sequence: op.sequence };
        self.done.push_back(Done { user_data: op.user_data, token, result });
        true
    }

    /// Takes the oldest result.
    pub(crate) fn next(&mut self) -> Option<Completion<'_>> {
        let done = self.done.pop_front()?;
        self.outside_bytes -= match &done.result {
            Stored::Ok => OK_FRAME.len(),
            Stored::Large(frame) => frame.len(),
            Stored::Small { .. } | Stored::Failed(_) => 0,
        };
        let Done { user_data, token, .. } = done;
        let result = match &self.taken.insert(done).result {
            Stored::Ok => Ok(ReplyRef::new(OK_FRAME)),
            Stored::Small { start, len } => {
                let start = start - self.arena_base;
                Ok(ReplyRef::new(self.arena.get(start..start + len).unwrap_or_default()))
            }
            Stored::Large(frame) => Ok(ReplyRef::with_backing(frame)),
            Stored::Failed(error) => Err(error.clone()),
        };
        Some(Completion { user_data, token, result })
    }

    /// Bytes of replies that the caller has not taken.
    pub(crate) fn untaken_bytes(&self) -> usize {
        if self.done.is_empty() { 0 } else { self.arena.len() + self.outside_bytes }
    }

    /// Results that the caller has not taken.
    pub(crate) fn untaken(&self) -> usize {
        self.done.len()
    }

    /// Whether no command is in flight; those that have their result and await their reply count.
    pub(crate) fn is_idle(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn has_completions(&self) -> bool {
        !self.done.is_empty()
    }

    /// Rows that are due; finds the next due time on the way.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<u32> {
        let mut due = Vec::new();
        let mut next = Timestamp::NEVER;
        for (row, op) in &self.ops {
            if op.tombstone {
                continue;
            }
            if op.deadline <= now {
                due.push(row as u32);
            } else {
                next = next.min(op.deadline);
            }
        }
        self.due = next;
        due
    }

    /// Rows in the table, tombstones included.
    #[cfg(feature = "testkit")]
    pub(crate) fn rows(&self) -> usize {
        self.ops.len()
    }

    /// Rows in the table, tombstones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }
}
