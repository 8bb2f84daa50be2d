//! The bytes of records that are not done yet: when one fails, they are what the reject file needs.
//!
//! ```text
//!   front                                back
//!   [ entry entry entry ][ entry ... ]            segments, used again when all their entries are done
//!     done in order of the input, from the front
//! ```
//!
//! Knows records, their commands and where their bytes are. Refuses to know what became of them.
//! Invariant: numbers and offsets grow from front to back.

use std::collections::VecDeque;

use crate::input::Command;

/// A segment takes records until it holds this much.
const SEGMENT_BYTES: usize = 256 * 1024;
/// Segments kept for use when they are empty; more than these are given back.
const SPARE_MAX: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Frame {
    start: usize,
    end: usize,
    /// Relative to `start`; empty and at 0 where it is not known, since no key stands there.
    key: (usize, usize),
    is_unit: bool,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// From 1.
    pub(super) number: u64,
    /// Where it begins in the input.
    pub(super) offset: u64,
    /// Where reading goes on behind it.
    pub(super) end: u64,
    source: (usize, usize),
    first_frame: usize,
    pub(super) commands: usize,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    entries: Vec<Entry>,
    /// Entries before this one are done.
    done: usize,
}

impl Segment {
    fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.entries.clear();
        self.done = 0;
    }

    fn command(&self, frame: &Frame) -> Command<'_> {
        let key = (frame.key.1 > 0).then_some(frame.key.0..frame.key.1);
        Command { frame: &self.bytes[frame.start..frame.end], key, is_unit: frame.is_unit }
    }
}

/// What records take up beside their bytes: small ones are mostly that.
fn overhead(records: usize, commands: usize) -> usize {
    records * size_of::<Entry>() + commands * size_of::<Frame>()
}

/// Records in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Ring {
    segments: VecDeque<Segment>,
    spare: Vec<Segment>,
    bytes: usize,
}

impl Ring {
    /// What the records that are held take up, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    /// Copies a record in, behind all others.
    pub(super) fn push<'a>(
        &mut self,
        number: u64,
        (offset, end): (u64, u64),
        source: &[u8],
        commands: impl Iterator<Item = Command<'a>>,
    ) {
        if self.segments.back().is_none_or(|segment| segment.bytes.len() >= SEGMENT_BYTES) {
            self.segments.push_back(self.spare.pop().unwrap_or_default());
        }
        let Some(segment) = self.segments.back_mut() else { return };
        let start = segment.bytes.len();
        segment.bytes.extend_from_slice(source);
        let source_end = segment.bytes.len();
        let first_frame = segment.frames.len();
        for command in commands {
            // RESP is its own frame: once is enough.
            let is_source = command.frame.len() == source.len() && command.frame.as_ptr() == source.as_ptr();
            let at = if is_source { start } else { segment.bytes.len() };
            if !is_source {
                segment.bytes.extend_from_slice(command.frame);
            }
            let key = command.key.map_or((0, 0), |key| (key.start, key.end));
            segment.frames.push(Frame {
                start: at,
                end: at + command.frame.len(),
                key,
                is_unit: command.is_unit,
            });
        }
        let commands = segment.frames.len() - first_frame;
        self.bytes += segment.bytes.len() - start + overhead(1, commands);
        segment.entries.push(Entry {
            number,
            offset,
            end,
            source: (start, source_end),
            first_frame,
            commands,
        });
    }

    /// The oldest record that is not done.
    pub(super) fn front(&self) -> Option<&Entry> {
        self.segments.front().and_then(|segment| segment.entries.get(segment.done))
    }

    /// The oldest records are done, up to the first of which `is_done` says otherwise; it is asked once of each.
    pub(super) fn pop_while(&mut self, mut is_done: impl FnMut(&Entry) -> bool) {
        while let Some(segment) = self.segments.front_mut() {
            let rest = segment.entries.get(segment.done..).unwrap_or_default();
            let count = rest.iter().take_while(|entry| is_done(entry)).count();
            let place = |at: usize| {
                let end = (segment.bytes.len(), segment.frames.len());
                rest.get(at).map_or(end, |entry| (entry.source.0, entry.first_frame))
            };
            let ((start, first_frame), (end, end_frame)) = (place(0), place(count));
            self.bytes -= end - start + overhead(count, end_frame - first_frame);
            segment.done += count;
            if segment.done < segment.entries.len() {
                return;
            }
            self.retire();
        }
    }

    /// All of the oldest segment is done.
    fn retire(&mut self) {
        let Some(mut segment) = self.segments.pop_front() else { return };
        segment.clear();
        // One large record must not be paid for until the end.
        if segment.bytes.capacity() <= 4 * SEGMENT_BYTES && self.spare.len() < SPARE_MAX {
            self.spare.push(segment);
        }
    }

    /// A record that is not done.
    fn find(&self, number: u64) -> Option<(&Segment, &Entry)> {
        let first = |segment: &Segment| segment.entries.first().map_or(u64::MAX, |entry| entry.number);
        let at = self.segments.partition_point(|segment| first(segment) <= number).checked_sub(1)?;
        let segment = self.segments.get(at)?;
        let at = segment.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        (at >= segment.done).then(|| segment.entries.get(at).map(|entry| (segment, entry)))?
    }

    /// A record's own bytes, as they stand in the input.
    pub(super) fn source(&self, number: u64) -> &[u8] {
        self.find(number).map_or(&[], |(segment, entry)| &segment.bytes[entry.source.0..entry.source.1])
    }

    /// One command of a record.
    pub(super) fn command(&self, number: u64, at: usize) -> Option<Command<'_>> {
        let (segment, entry) = self.find(number)?;
        let frame = (at < entry.commands).then(|| segment.frames.get(entry.first_frame + at))??;
        Some(segment.command(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(frame: &[u8]) -> Command<'_> {
        Command { frame, key: Some(1..2), is_unit: false }
    }

    fn pop(ring: &mut Ring, mut count: usize) {
        ring.pop_while(|_| {
            count = count.wrapping_sub(1);
            count != usize::MAX
        });
    }

    #[test]
    fn records_come_back_as_they_went_in() {
        let mut ring = Ring::default();
        ring.push(3, (10, 13), b"a,b", [command(b"SET a b"), command(b"DEL c")].into_iter());
        ring.push(5, (14, 17), b"raw", std::iter::empty());
        let resp = b"resp".as_slice();
        ring.push(6, (20, 24), resp, [Command { frame: resp, key: None, is_unit: true }].into_iter());
        let held = 3 + 7 + 5 + 3 + 4 + overhead(3, 3);
        assert_eq!(ring.bytes(), held, "a frame that is its source is held once");
        assert_eq!(ring.command(3, 1), Some(command(b"DEL c")));
        assert_eq!(ring.command(3, 2), None);
        assert_eq!(ring.command(4, 0), None, "a number that was skipped");
        assert_eq!(ring.source(5), b"raw");
        assert_eq!(ring.command(6, 0), Some(Command { frame: resp, key: None, is_unit: true }));
        assert_eq!(ring.front().map(|entry| (entry.number, entry.offset, entry.commands)), Some((3, 10, 2)));
        pop(&mut ring, 1);
        assert_eq!(ring.command(3, 0), None, "done");
        assert_eq!(ring.bytes(), 7 + overhead(2, 1));
        pop(&mut ring, 2);
        assert!(ring.is_empty() && ring.bytes() == 0);
        pop(&mut ring, 1);
        assert!(ring.is_empty());
    }

    #[test]
    fn segments_are_used_again_and_nothing_is_lost_between_them() {
        let mut ring = Ring::default();
        let frame = vec![7; 1000];
        let mut done = 0;
        for number in 1..=10_000u64 {
            ring.push(
                number,
                (number * 10, number * 10 + 8),
                &number.to_le_bytes(),
                [command(&frame)].into_iter(),
            );
            if number % 3 == 0 {
                done += 1;
                assert_eq!(ring.front().map(|entry| entry.number), Some(done));
                pop(&mut ring, 1);
            }
            assert_eq!(ring.bytes() as u64, (number - done) * (1008 + overhead(1, 1) as u64));
        }
        for number in done + 1..=10_000 {
            assert_eq!(ring.source(number), number.to_le_bytes());
        }
        pop(&mut ring, usize::MAX - 1);
        assert!(ring.is_empty() && ring.spare.len() <= SPARE_MAX);
    }
}
