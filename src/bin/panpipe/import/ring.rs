//! The bytes of records that are not done yet: when one fails, they are what the reject file needs.
//!
//! ```text
//!   front                                back
//!   [ mark mark mark ][ mark ... ] ...  [ open ]     segments, used again when all their records are done
//!     done in order of the input, from the front
//! ```
//!
//! Nearly every record is one command, and costs one copy of its bytes and one mark: what can be told from the neighbours is not written down,
//! and a command that can be made again from its source is not kept. Knows records, their commands and where their bytes are. Refuses to
//! know what became of them. Invariant: numbers and offsets grow from front to back.

use std::collections::VecDeque;

use super::segment::{
    Entry, Frame, MARK_BYTES, Mark, OTHER, Other, Segment, USUAL_BYTES_MAX, other_overhead,
};
use crate::input::{Command, Remake};

/// A segment takes records until it holds this much.
const SEGMENT_BYTES: usize = 256 * 1024;
/// Segments kept for use when they are empty; more than these are given back.
const SPARE_MAX: usize = 8;

/// Records in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// None of them done.
    sealed: VecDeque<Segment>,
    /// Takes the next record.
    open: Segment,
    spare: Vec<Segment>,
    bytes: usize,
    /// Makes the command of a record that is one command, from its source.
    remake: Option<Remake>,
}

/// Records that were done, all of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Popped {
    pub(super) count: u64,
    /// Of the last of them.
    pub(super) number: u64,
    pub(super) end: u64,
}

impl Ring {
    /// From now on commands that are not their source are made from it when they are asked for.
    pub(super) fn remake_with(&mut self, remake: Option<Remake>) {
        self.remake = remake;
    }

    /// What the records that are held take up, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_done()
    }

    /// Copies in a record of one command, behind all others.
    #[inline(always)]
    pub(super) fn push_one(
        &mut self,
        number: u64,
        (offset, end): (u64, u64),
        source: &[u8],
        command: &Command<'_>,
    ) {
        let key = command.key.as_ref().map_or((0, 0), |key| (key.start, key.end));
        // A key at 0 would say that it is not known, and a command there that it is its source.
        let is_usual = end.wrapping_sub(offset) == source.len() as u64
            && key.1 < usize::from(OTHER)
            && key.0 <= key.1
            && (key.0 > 0 || command.key.is_none())
            && (1..=USUAL_BYTES_MAX).contains(&source.len())
            && !command.is_unit;
        if !is_usual {
            return self.push_other(number, (offset, end), source, std::iter::once(command.clone()));
        }
        let (number, offset) = self.make_room(number, offset);
        let Segment { bytes, marks, .. } = &mut self.open;
        let start = bytes.len();
        bytes.extend_from_slice(source);
        // RESP is its own frame: once is enough.
        let mut frame = start;
        if command.frame.as_ptr() != source.as_ptr() || command.frame.len() != source.len() {
            frame = bytes.len();
            if self.remake.is_none() {
                bytes.extend_from_slice(command.frame);
            }
        }
        self.bytes += bytes.len() - start + MARK_BYTES;
        marks.push(Mark {
            start: start as u32,
            frame: frame as u32,
            number,
            offset,
            key_start: key.0 as u16,
            key_len: (key.1 - key.0) as u16,
        });
    }

    /// As `push_one`, of any number of commands.
    #[inline(never)]
    pub(super) fn push_other<'a>(
        &mut self,
        number: u64,
        (offset, end): (u64, u64),
        source: &[u8],
        commands: impl Iterator<Item = Command<'a>>,
    ) {
        let (number, offset) = self.make_room(number, offset);
        let segment = &mut self.open;
        let start = segment.bytes.len();
        segment.bytes.extend_from_slice(source);
        let first_frame = segment.frames.len();
        for command in commands {
            let is_source = command.frame.len() == source.len() && command.frame.as_ptr() == source.as_ptr();
            let at = if is_source { start } else { segment.bytes.len() };
            if !is_source {
                segment.bytes.extend_from_slice(command.frame);
            }
            let key = command.key.map_or((0, 0), |key| (key.start, key.end));
            let end = at + command.frame.len();
            segment.frames.push(Frame { start: at, end, key, is_unit: command.is_unit });
        }
        let commands = segment.frames.len() - first_frame;
        let at = segment.marks.len();
        segment.others.push(Other { at, end, source_len: source.len(), first_frame, commands });
        let mark = Mark { start: start as u32, frame: 0, number, offset, key_start: OTHER, key_len: 0 };
        segment.marks.push(mark);
        self.bytes += segment.bytes.len() - start + MARK_BYTES + other_overhead(commands);
    }

    /// Room for a record in the open segment; answers what its mark says of number and offset.
    #[inline(always)]
    fn make_room(&mut self, number: u64, offset: u64) -> (u32, u32) {
        let from_base = |base: (u64, u64)| (number.wrapping_sub(base.0), offset.wrapping_sub(base.1));
        let mut place = from_base(self.open.base);
        if self.open.marks.is_empty()
            || self.open.bytes.len() >= SEGMENT_BYTES
            || (place.0 | place.1) > u64::from(u32::MAX)
        {
            self.begin(number, offset);
            place = (0, 0);
        }
        (place.0 as u32, place.1 as u32)
    }

    /// A segment for a record and those behind it.
    #[cold]
    fn begin(&mut self, number: u64, offset: u64) {
        if !self.open.marks.is_empty() {
            let fresh = self.spare.pop().unwrap_or_default();
            self.sealed.push_back(std::mem::replace(&mut self.open, fresh));
        }
        self.open.base = (number, offset);
    }

    fn front_segment(&self) -> &Segment {
        self.sealed.front().unwrap_or(&self.open)
    }

    /// The oldest record that is not done.
    pub(super) fn front(&self) -> Option<Entry> {
        let segment = self.front_segment();
        segment.entry(segment.done)
    }

    /// The oldest records are done whose numbers are below the limit, up to the first that is more than a mark; those are for `pop`.
    pub(super) fn pop_ones(&mut self, limit: u64) -> Option<Popped> {
        let mut popped: Option<Popped> = None;
        loop {
            let segment = self.sealed.front_mut().unwrap_or(&mut self.open);
            let limit = limit.saturating_sub(segment.base.0);
            let rest = segment.marks.get(segment.done..).unwrap_or_default();
            let is_done = |mark: &&Mark| u64::from(mark.number) < limit && mark.key_start != OTHER;
            let count = rest.iter().take_while(is_done).count();
            let last = (segment.done + count).checked_sub(1).and_then(|at| segment.entry(at));
            let Some(last) = last.filter(|_| count > 0) else { return popped };
            let before = popped.map_or(0, |popped| popped.count);
            popped = Some(Popped { count: before + count as u64, number: last.number, end: last.end });
            self.bytes -= segment.start(segment.done + count) - segment.start(segment.done);
            self.bytes -= count * MARK_BYTES;
            segment.done += count;
            if !segment.is_done() || !self.retire_front() {
                return popped;
            }
        }
    }

    /// The oldest record is done.
    pub(super) fn pop(&mut self) {
        let segment = self.sealed.front_mut().unwrap_or(&mut self.open);
        if segment.is_done() {
            return;
        }
        self.bytes -= segment.weight(segment.done);
        segment.others_done += usize::from(segment.other(segment.done).is_some());
        segment.done += 1;
        if segment.is_done() {
            self.retire_front();
        }
    }

    /// All of the oldest segment is done; false where there is no other.
    fn retire_front(&mut self) -> bool {
        let oldest = self.sealed.pop_front();
        let is_open = oldest.is_none();
        let mut segment = oldest.unwrap_or_else(|| std::mem::take(&mut self.open));
        segment.clear();
        // One large record must not be paid for until the end.
        let is_small = segment.bytes.capacity() <= 4 * SEGMENT_BYTES;
        if is_small && is_open {
            self.open = segment;
        } else if is_small && self.spare.len() < SPARE_MAX {
            self.spare.push(segment);
        }
        !is_open
    }

    /// A record that is not done.
    fn find(&self, number: u64) -> Option<(&Segment, usize)> {
        let at = self.sealed.partition_point(|segment| segment.base.0 <= number).checked_sub(1);
        let segment = match at {
            _ if !self.open.marks.is_empty() && self.open.base.0 <= number => &self.open,
            at => self.sealed.get(at?)?,
        };
        let at = segment.marks.binary_search_by_key(&number, |mark| segment.number(mark)).ok()?;
        (at >= segment.done).then_some((segment, at))
    }

    /// A record's own bytes, as they stand in the input.
    pub(super) fn source(&self, number: u64) -> &[u8] {
        self.find(number).map_or(&[], |(segment, at)| segment.source(at))
    }

    /// One command of a record; where it has to be made again, in `made`.
    pub(super) fn command<'a>(
        &'a self,
        number: u64,
        command: usize,
        made: &'a mut Vec<u8>,
    ) -> Option<Command<'a>> {
        let (segment, at) = self.find(number)?;
        segment.command(at, command, self.remake, made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(frame: &[u8]) -> Command<'_> {
        Command { frame, key: Some(1..2), is_unit: false }
    }

    /// As `Ring::command`, of a command that is kept.
    fn kept(ring: &Ring, number: u64, at: usize) -> Option<(Vec<u8>, Option<std::ops::Range<usize>>, bool)> {
        let mut made = Vec::new();
        let command = ring.command(number, at, &mut made);
        command.map(|command| (command.frame.to_vec(), command.key, command.is_unit))
    }

    fn pop_all(ring: &mut Ring) {
        while ring.pop_ones(u64::MAX).is_some() || ring.front().is_some() {
            ring.pop();
        }
    }

    #[test]
    fn records_come_back_as_they_went_in() {
        let mut ring = Ring::default();
        ring.push_other(3, (10, 13), b"a,b", [command(b"SET a b"), command(b"DEL c")].into_iter());
        ring.push_other(5, (14, 17), b"raw", std::iter::empty());
        let resp = b"resp".as_slice();
        ring.push_one(6, (20, 24), resp, &Command { frame: resp, key: None, is_unit: true });
        ring.push_one(7, (24, 28), resp, &command(resp));
        ring.push_one(9, (28, 32), b"own ", &Command { frame: b"made", key: None, is_unit: false });
        let others = 3 * size_of::<Other>() + 3 * size_of::<Frame>();
        let held = 3 + 7 + 5 + 3 + 4 + 4 + 8 + 5 * MARK_BYTES + others;
        assert_eq!(ring.bytes(), held, "a frame that is its source is held once");
        assert_eq!(kept(&ring, 3, 1), Some((b"DEL c".to_vec(), Some(1..2), false)));
        assert_eq!(kept(&ring, 3, 2), None);
        assert_eq!(kept(&ring, 4, 0), None, "a number that was skipped");
        assert_eq!((ring.source(3), ring.source(5)), (&b"a,b"[..], &b"raw"[..]));
        assert_eq!(kept(&ring, 6, 0), Some((resp.to_vec(), None, true)));
        assert_eq!((kept(&ring, 7, 0), ring.source(7)), (Some((resp.to_vec(), Some(1..2), false)), resp));
        assert_eq!((kept(&ring, 7, 1), kept(&ring, 10, 0)), (None, None));
        assert_eq!(
            (kept(&ring, 9, 0), ring.source(9)),
            (Some((b"made".to_vec(), None, false)), &b"own "[..])
        );
        assert_eq!(ring.front(), Some(Entry { number: 3, offset: 10, end: 13, commands: 2 }));
        assert_eq!(ring.pop_ones(u64::MAX), None, "not of one command");
        ring.pop();
        assert_eq!(kept(&ring, 3, 0), None, "done");
        assert_eq!(ring.front(), Some(Entry { number: 5, offset: 14, end: 17, commands: 0 }));
        ring.pop();
        assert_eq!(ring.front(), Some(Entry { number: 6, offset: 20, end: 24, commands: 1 }));
        ring.pop();
        assert_eq!(ring.pop_ones(7), None, "not yet");
        assert_eq!(ring.pop_ones(8), Some(Popped { count: 1, number: 7, end: 28 }));
        assert_eq!(ring.bytes(), 8 + MARK_BYTES);
        assert_eq!(ring.front(), Some(Entry { number: 9, offset: 28, end: 32, commands: 1 }));
        assert_eq!(ring.pop_ones(u64::MAX), Some(Popped { count: 1, number: 9, end: 32 }));
        assert!(ring.is_empty() && ring.bytes() == 0 && ring.front().is_none());
        ring.pop();
        assert_eq!((ring.pop_ones(u64::MAX), ring.source(9)), (None, &b""[..]));
    }

    #[test]
    fn what_a_mark_has_no_place_for_is_kept_all_the_same() {
        let mut ring = Ring::default();
        let long = vec![b'k'; 70_000];
        let far = u64::from(u32::MAX);
        let records = [
            (1, (0, 70_000), long.as_slice(), Some(5..69_999)),
            (2, (70_000, 70_003), &b"gap"[..], Some(1..1)),
            (3, (70_003, 70_010), b"end", None),
            (4 + far, (70_010, 70_013), b"num", Some(2..3)),
            (5 + far, (far * 3, far * 3 + 3), b"off", None),
            (6 + far, (far * 5, far * 5 + 3), b"key", Some(0..1)),
            (7 + far, (far * 5 + 3, far * 5 + 3), b"", Some(1..4)),
        ];
        for (number, place, source, key) in records.clone() {
            let frame = if number == 2 { source } else { b"frame" };
            let frame = if number == 1 { &long } else { frame };
            ring.push_one(number, place, source, &Command { frame, key, is_unit: false });
        }
        for (number, (offset, end), source, key) in records {
            assert_eq!(ring.source(number), source, "{number}");
            let (frame, found, _) = kept(&ring, number, 0).expect("kept");
            assert_eq!((frame.len(), found), (if number < 3 { source.len() } else { 5 }, key), "{number}");
            assert_eq!(ring.front(), Some(Entry { number, offset, end, commands: 1 }));
            ring.pop();
        }
        assert!(ring.is_empty() && ring.bytes() == 0);
    }

    #[test]
    fn a_command_is_made_again_from_its_source() {
        let mut ring = Ring::default();
        ring.remake_with(Some(|source, made| {
            made.extend_from_slice(b"made of ");
            made.extend_from_slice(source);
            Some((0..made.len(), 5..7))
        }));
        ring.push_one(1, (0, 2), b"ab", &command(b"SET a b"));
        ring.push_one(2, (2, 5), b"cde", &command(b"SET c de"));
        assert_eq!(ring.bytes(), 5 + 2 * MARK_BYTES);
        assert_eq!((ring.source(1), ring.source(2)), (&b"ab"[..], &b"cde"[..]));
        assert_eq!(kept(&ring, 1, 0), Some((b"made of ab".to_vec(), Some(5..7), false)));
        assert_eq!(kept(&ring, 2, 0), Some((b"made of cde".to_vec(), Some(5..7), false)));
        assert_eq!(kept(&ring, 2, 1), None);
    }

    #[test]
    fn segments_are_used_again_and_nothing_is_lost_between_them() {
        let mut ring = Ring::default();
        let frame = vec![7; 1000];
        let mut done = 0;
        for number in 1..=10_000u64 {
            let place = (number * 8, number * 8 + 8);
            ring.push_one(number, place, &number.to_le_bytes(), &command(&frame));
            if number % 3 == 0 {
                done += 1;
                assert_eq!(ring.front().map(|entry| entry.number), Some(done));
                let popped = Popped { count: 1, number: done, end: done * 8 + 8 };
                assert_eq!(ring.pop_ones(done + 1), Some(popped));
            }
            assert_eq!(ring.bytes() as u64, (number - done) * (1008 + MARK_BYTES as u64));
        }
        for number in done + 1..=10_000 {
            assert_eq!(ring.source(number), number.to_le_bytes());
            assert_eq!(kept(&ring, number, 0).map(|(kept, ..)| kept.len()), Some(frame.len()));
        }
        assert_eq!(
            ring.pop_ones(u64::MAX),
            Some(Popped { count: 10_000 - done, number: 10_000, end: 80_008 })
        );
        pop_all(&mut ring);
        assert!(ring.is_empty() && ring.bytes() == 0 && ring.spare.len() <= SPARE_MAX);
    }
}
