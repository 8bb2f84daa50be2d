//! Replies of a pipeline, filled in any order and read by index, in submission order.
//!
//! A batch knows which of its commands are answered and where the replies lie. Small replies are copied into one arena, so that the
//! receive buffer stays hot and nothing is allocated per reply; large ones keep the memory they were received into.
//!
//! Lifetime instead of generation counters: a batch leaves the table only when the last in-flight entry that names it has drained,
//! so a late reply always finds the batch it belongs to, and finds it abandoned.

use bytes::Bytes;
use slab::Slab;

use crate::command::merge::{self, Merge};
use crate::config::RetryUnknown;
use crate::engine::time::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::resp::reply::ReplyRef;
use crate::resp::scan::OK_FRAME;

/// Replies of at least this many bytes are kept in the memory they were received into.
pub(crate) const LARGE_REPLY_BYTES_MIN: usize = 16 << 10;

/// One command's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplySlot {
    /// No reply yet; `sequence` is the command's place in the order of submission over the whole client.
    Pending { sequence: u64 },
    /// `+OK`: by far the most frequent reply to a write.
    Ok,
    /// In the arena.
    Small { start: u32, len: u32 },
    /// In `large`.
    Large { index: u32 },
    /// In `errors`.
    Failed { index: u32 },
    /// Split over slots or nodes; `splits[index]` says where the parts are.
    Split { index: u32 },
}

const _: () = assert!(size_of::<ReplySlot>() == 16, "one reply slot per command: keep it at 16 bytes");

/// A command that was sent in parts.
#[derive(Debug)]
pub(crate) struct SplitRecord {
    /// The command's own slot; its parts follow it directly.
    pub(crate) parent: u32,
    pub(crate) parts: u32,
    pub(crate) merge: Merge,
    /// For each argument group of the command, in the order asked, the part that holds it. Groups of one part keep their order.
    pub(crate) part_of_group: Vec<u32>,
    /// The node each part went to, for per-node fan-outs.
    pub(crate) nodes: Vec<String>,
}

impl SplitRecord {
    /// The argument groups of one part, in the order asked.
    pub(crate) fn keys_of(&self, part: u32) -> Vec<u32> {
        let groups = self.part_of_group.iter().enumerate();
        groups.filter(|(_, owner)| **owner == part).map(|(group, _)| group as u32).collect()
    }
}

/// How a batch behaves; fixed when it is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchOptions {
    pub(crate) timeout_ms: u64,
    pub(crate) follow_redirects: bool,
    /// Which of its commands are sent again where their reply was lost, instead of what the configuration says of all.
    pub(crate) retry_unknown: Option<RetryUnknown>,
    /// A write that the server has no room, no disk or no replicas for waits, in its order, and is tried again.
    pub(crate) waits_out_refusals: bool,
    /// Nobody reads the replies that are no errors: large ones are dropped as they come.
    pub(crate) counts_only: bool,
}

impl BatchOptions {
    /// Follows redirects, and does what the configuration says.
    pub(crate) fn new(timeout_ms: u64) -> Self {
        BatchOptions {
            timeout_ms,
            follow_redirects: true,
            retry_unknown: None,
            waits_out_refusals: false,
            counts_only: false,
        }
    }
}

/// The replies of one pipeline.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) slots: Vec<ReplySlot>,
    pub(crate) arena: Vec<u8>,
    pub(crate) large: Vec<Bytes>,
    pub(crate) errors: Vec<Error>,
    pub(crate) splits: Vec<SplitRecord>,
    /// Commands without a result.
    pub(crate) unanswered: u32,
    /// In-flight and parked entries that name this batch; the row is free at 0.
    pub(crate) referenced: u32,
    pub(crate) options: BatchOptions,
    pub(crate) deadline: Timestamp,
    /// Nobody reads the replies any more.
    pub(crate) abandoned: bool,
    /// Row of the stream table that completes when this batch does.
    pub(crate) stream_row: Option<u32>,
}

impl Batch {
    fn new(options: BatchOptions) -> Self {
        Batch {
            slots: Vec::new(),
            arena: Vec::new(),
            large: Vec::new(),
            errors: Vec::new(),
            splits: Vec::new(),
            unanswered: 0,
            referenced: 0,
            options,
            deadline: Timestamp::NEVER,
            abandoned: false,
            stream_row: None,
        }
    }

    /// Empties the batch for another round; its memory stays.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.arena.clear();
        self.large.clear();
        self.errors.clear();
        self.splits.clear();
        self.unanswered = 0;
        self.deadline = Timestamp::NEVER;
        self.abandoned = false;
        self.stream_row = None;
    }

    /// When the commands without a result run out of time.
    pub(crate) fn due(&self) -> Timestamp {
        if self.unanswered == 0 || self.abandoned { Timestamp::NEVER } else { self.deadline }
    }

    /// Adds a command without a reply and answers its index.
    pub(crate) fn push_pending(&mut self, sequence: u64) -> u32 {
        self.slots.push(ReplySlot::Pending { sequence });
        self.unanswered += 1;
        self.slots.len() as u32 - 1
    }

    /// Adds a command that failed before anything was sent.
    pub(crate) fn push_failed(&mut self, error: Error) -> u32 {
        let index = self.store_error(error);
        self.slots.push(ReplySlot::Failed { index });
        self.slots.len() as u32 - 1
    }

    /// Opens a split command: its own slot first, its parts are pushed next.
    pub(crate) fn push_split(&mut self, merge: Merge) -> u32 {
        self.slots.push(ReplySlot::Split { index: self.splits.len() as u32 });
        let parent = self.slots.len() as u32 - 1;
        self.splits.push(SplitRecord {
            parent,
            parts: 0,
            merge,
            part_of_group: Vec::new(),
            nodes: Vec::new(),
        });
        parent
    }

    fn store_error(&mut self, error: Error) -> u32 {
        self.errors.push(error);
        self.errors.len() as u32 - 1
    }

    /// Files a reply that lies in the receive buffer. Answers false where the frame must be kept as `Bytes` instead.
    #[must_use]
    #[inline]
    pub(crate) fn fill(&mut self, index: u32, frame: &[u8]) -> bool {
        let Some(slot @ ReplySlot::Pending { .. }) =
            self.slots.get_mut(index as usize).filter(|_| !self.abandoned)
        else {
            // Too late: the deadline passed, or nobody reads it.
            return true;
        };
        *slot = if frame == OK_FRAME {
            ReplySlot::Ok
        } else if frame.len() < LARGE_REPLY_BYTES_MIN && self.arena.len() + frame.len() <= u32::MAX as usize {
            let start = self.arena.len() as u32;
            self.arena.extend_from_slice(frame);
            ReplySlot::Small { start, len: frame.len() as u32 }
        } else {
            return false;
        };
        self.unanswered -= 1;
        true
    }

    /// Files a large reply with the memory it was received into.
    pub(crate) fn fill_large(&mut self, index: u32, frame: Bytes) {
        if !self.abandoned && self.is_pending(index) {
            if self.options.counts_only {
                return self.settle(index, ReplySlot::Ok);
            }
            self.large.push(frame);
            self.settle(index, ReplySlot::Large { index: self.large.len() as u32 - 1 });
        }
    }

    /// Files a failure.
    pub(crate) fn fail(&mut self, index: u32, error: Error) {
        if !self.abandoned && self.is_pending(index) {
            let stored = self.store_error(error);
            self.settle(index, ReplySlot::Failed { index: stored });
        }
    }

    fn settle(&mut self, index: u32, result: ReplySlot) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            debug_assert!(matches!(slot, ReplySlot::Pending { .. }), "a command was answered twice");
            *slot = result;
            self.unanswered -= 1;
        }
    }

    /// The place of a pending command in the order of submission.
    pub(crate) fn sequence(&self, index: u32) -> Option<u64> {
        match self.slots.get(index as usize) {
            Some(ReplySlot::Pending { sequence }) => Some(*sequence),
            _ => None,
        }
    }

    /// The places in the order of submission of all commands without a result.
    pub(crate) fn pending_sequences(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter_map(|slot| match slot {
            ReplySlot::Pending { sequence } => Some(*sequence),
            _ => None,
        })
    }

    pub(crate) fn is_pending(&self, index: u32) -> bool {
        self.sequence(index).is_some()
    }

    /// The reply of one command, or why there is none.
    pub(crate) fn reply(&self, index: u32) -> Result<ReplyRef<'_>, &Error> {
        match self.slots.get(index as usize) {
            Some(ReplySlot::Ok) => Ok(ReplyRef::new(OK_FRAME)),
            Some(ReplySlot::Small { start, len }) => {
                let start = *start as usize;
                Ok(ReplyRef::new(self.arena.get(start..start + *len as usize).unwrap_or_default()))
            }
            Some(ReplySlot::Large { index }) => {
                Ok(self.large.get(*index as usize).map_or(ReplyRef::new(b""), ReplyRef::with_backing))
            }
            Some(ReplySlot::Failed { index }) => {
                self.errors.get(*index as usize).map_or(Ok(ReplyRef::new(b"")), Err)
            }
            Some(ReplySlot::Pending { .. } | ReplySlot::Split { .. }) | None => Ok(ReplyRef::new(b"")),
        }
    }

    /// How many commands the caller has queued; parts of split ones do not count.
    pub(crate) fn commands(&self) -> usize {
        self.slots.len() - self.splits.iter().map(|split| split.parts as usize).sum::<usize>()
    }

    /// How many places wait for a reply of their own: parts count, the wholes they belong to do not.
    pub(crate) fn leaves(&self) -> u32 {
        (self.slots.len() - self.splits.len()) as u32
    }

    /// The record of a command that was split.
    pub(crate) fn split_of(&self, parent: u32) -> Option<&SplitRecord> {
        let at = self.splits.binary_search_by_key(&parent, |split| split.parent).ok()?;
        self.splits.get(at)
    }

    /// Joins the parts of split commands, once all replies are in.
    pub(crate) fn merge_splits(&mut self) {
        for index in 0..self.splits.len() {
            let Some(split) = self.splits.get(index) else { continue };
            let parts: Vec<_> = (0..split.parts).map(|part| self.reply(split.parent + 1 + part)).collect();
            let failed = parts.iter().filter(|part| part.is_err()).count();
            let parent = split.parent as usize;
            let result = if failed == 0 {
                let replies: Vec<ReplyRef<'_>> = parts.into_iter().flatten().collect();
                merge::join(split.merge, &replies, &split.part_of_group, &split.nodes)
            } else {
                Err(partial_failure(&parts, failed))
            };
            let joined = match result {
                Ok(frame) => {
                    self.large.push(Bytes::from(frame));
                    ReplySlot::Large { index: self.large.len() as u32 - 1 }
                }
                Err(error) => ReplySlot::Failed { index: self.store_error(error) },
            };
            if let Some(slot) = self.slots.get_mut(parent) {
                *slot = joined;
            }
        }
    }
}

/// The failure of a split command: what its first failed part says, and an outcome that holds for the whole.
fn partial_failure(parts: &[Result<ReplyRef<'_>, &Error>], failed: usize) -> Error {
    use crate::error::Outcome::{Executed, NotExecuted, Unknown};
    let errors: Vec<&Error> = parts.iter().filter_map(|part| part.as_ref().err().copied()).collect();
    let Some(first) = errors.first().copied() else {
        return Error::not_executed(ErrorKind::Cancelled);
    };
    if parts.len() == 1 {
        return first.clone();
    }
    let whole = if failed == parts.len() && errors.iter().all(|error| error.outcome() == NotExecuted) {
        NotExecuted
    } else if errors.iter().all(|error| error.outcome() == Executed) {
        Executed
    } else {
        // Some parts ran and some did not or may not have: nothing stronger is true of the whole.
        Unknown
    };
    let kind = ErrorKind::Partial { failed, parts: parts.len(), first: first.to_string() };
    Error::new(kind, whole)
}

/// All batches. Rows are kept for reuse, so that a steady stream of pipelines allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    rows: Slab<Batch>,
    spare: Vec<Batch>,
}

/// Emptied batches kept with their memory.
const SPARE_MAX: usize = 8;
/// A spare batch with a larger arena than this is dropped instead of kept.
const SPARE_ARENA_BYTES_MAX: usize = 16 << 20;

impl Batches {
    pub(crate) fn open(&mut self, options: BatchOptions) -> u32 {
        let batch = match self.spare.pop() {
            Some(batch) => Batch { options, ..batch },
            None => Batch::new(options),
        };
        self.rows.insert(batch) as u32
    }

    pub(crate) fn row(&self, id: u32) -> Option<&Batch> {
        self.rows.get(id as usize)
    }

    pub(crate) fn row_mut(&mut self, id: u32) -> Option<&mut Batch> {
        self.rows.get_mut(id as usize)
    }

    /// Frees the row if nobody reads it and nothing in flight names it.
    pub(crate) fn release_if_unused(&mut self, id: u32) {
        let unused = self.row(id).is_some_and(|batch| batch.abandoned && batch.referenced == 0);
        if unused {
            let mut batch = self.rows.remove(id as usize);
            if self.spare.len() < SPARE_MAX && batch.arena.capacity() <= SPARE_ARENA_BYTES_MAX {
                batch.clear();
                self.spare.push(batch);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Batch)> {
        self.rows.iter().map(|(id, batch)| (id as u32, batch))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}
