//! A stretch of the records that are not done yet: their bytes, and one mark each.
//!
//! ```text
//!   bytes   source | source command | source | source command command
//!   marks   ^        ^                ^        ^ and more of the last in `others`
//! ```
//!
//! Knows how little says where a record is. Refuses to know which records are done. Invariant: numbers, offsets and starts grow from mark to mark.

use crate::input::{Command, Remake};

/// The longest source that a mark has place for, behind a segment that is all but full.
pub(super) const USUAL_BYTES_MAX: usize = 1 << 30;
/// Where the key would be, of a record that is in `Segment::others`.
pub(super) const OTHER: u16 = u16::MAX;

/// One record, in as little as most of them need: this is written and read again for each record of a load. Where its bytes end, the next one
/// says, and where it ends in the input, its length does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Where its bytes are in the segment: its source, and behind it its command unless they are the same.
    pub(super) start: u32,
    /// Where its command is; where its bytes end if it is made again.
    pub(super) frame: u32,
    /// From the segment's first.
    pub(super) number: u32,
    pub(super) offset: u32,
    /// In the command; at 0 where it is not known, since no key stands there.
    pub(super) key_start: u16,
    pub(super) key_len: u16,
}

/// One command of an `Other`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Relative to `start`; empty and at 0 where it is not known.
    pub(super) key: (usize, usize),
    pub(super) is_unit: bool,
}

/// What a mark has no place for: no command or several, units, long keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Other {
    /// Among the marks.
    pub(super) at: usize,
    pub(super) end: u64,
    pub(super) source_len: usize,
    pub(super) first_frame: usize,
    pub(super) commands: usize,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// From 1.
    pub(super) number: u64,
    /// Where it begins in the input.
    pub(super) offset: u64,
    /// Where reading goes on behind it.
    pub(super) end: u64,
    pub(super) commands: usize,
}

/// Records one behind the other.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
    pub(super) others: Vec<Other>,
    pub(super) frames: Vec<Frame>,
    /// Number and offset of the first record.
    pub(super) base: (u64, u64),
    /// Marks before this one are done.
    pub(super) done: usize,
    /// Others before this one are.
    pub(super) others_done: usize,
}

impl Segment {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
        self.others.clear();
        self.frames.clear();
        (self.done, self.others_done) = (0, 0);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done == self.marks.len()
    }

    pub(super) fn number(&self, mark: &Mark) -> u64 {
        self.base.0 + u64::from(mark.number)
    }

    /// Where the bytes of a record begin; of none behind the last, where they end.
    pub(super) fn start(&self, at: usize) -> usize {
        self.marks.get(at).map_or(self.bytes.len(), |mark| mark.start as usize)
    }

    pub(super) fn other(&self, at: usize) -> Option<&Other> {
        if self.marks.get(at)?.key_start != OTHER {
            return None;
        }
        // Mostly it is the oldest that is asked for.
        let oldest = self.others.get(self.others_done).filter(|other| other.at == at);
        oldest.or_else(|| self.others.get(self.others.binary_search_by_key(&at, |other| other.at).ok()?))
    }

    /// A record's own bytes.
    pub(super) fn source(&self, at: usize) -> &[u8] {
        let (start, end) = (self.start(at), self.start(at + 1));
        let len = match (self.marks.get(at), self.other(at)) {
            (_, Some(other)) => other.source_len,
            (Some(mark), None) if mark.frame as usize > start => mark.frame as usize - start,
            _ => end - start,
        };
        self.bytes.get(start..start + len).unwrap_or_default()
    }

    /// What others see of a record.
    pub(super) fn entry(&self, at: usize) -> Option<Entry> {
        let mark = self.marks.get(at)?;
        let (number, offset) = (self.number(mark), self.base.1 + u64::from(mark.offset));
        let (end, commands) = match self.other(at) {
            Some(other) => (other.end, other.commands),
            None => (offset + self.source(at).len() as u64, 1),
        };
        Some(Entry { number, offset, end, commands })
    }

    /// One command of a record; where it has to be made again, in `made`.
    pub(super) fn command<'a>(
        &'a self,
        at: usize,
        command: usize,
        remake: Option<Remake>,
        made: &'a mut Vec<u8>,
    ) -> Option<Command<'a>> {
        if let Some(other) = self.other(at) {
            let frame =
                (command < other.commands).then(|| self.frames.get(other.first_frame + command))??;
            let key = (frame.key.1 > 0).then_some(frame.key.0..frame.key.1);
            return Some(Command {
                frame: self.bytes.get(frame.start..frame.end)?,
                key,
                is_unit: frame.is_unit,
            });
        }
        let mark = self.marks.get(at).filter(|_| command == 0)?;
        let bytes = self.bytes.get(mark.frame as usize..self.start(at + 1))?;
        if let (true, Some(remake)) = (bytes.is_empty(), remake) {
            let (frame, key) = remake(self.source(at), made)?;
            return Some(Command { frame: made.get(frame)?, key: Some(key), is_unit: false });
        }
        let (start, len) = (usize::from(mark.key_start), usize::from(mark.key_len));
        Some(Command { frame: bytes, key: (start > 0).then_some(start..start + len), is_unit: false })
    }

    /// What a record takes up in all.
    pub(super) fn weight(&self, at: usize) -> usize {
        let beside = self.other(at).map_or(0, |other| other_overhead(other.commands));
        self.start(at + 1) - self.start(at) + MARK_BYTES + beside
    }
}

/// What a record takes up beside its bytes: small ones are mostly that.
pub(super) const MARK_BYTES: usize = size_of::<Mark>();

/// And one that needs more.
pub(super) fn other_overhead(commands: usize) -> usize {
    size_of::<Other>() + commands * size_of::<Frame>()
}
