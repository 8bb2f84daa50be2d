//! The commands between the watermark and the newest one, in chunks: each is an engine batch and, beside it, what the loader knows of each
//! command.
//!
//! Knows places and their order; refuses to know why they fail. Invariant: `places` of a chunk and the slots of its batch are the same in
//! number and order; ordinals grow without gaps through the ring; nothing is counted twice.

use std::collections::VecDeque;

use crate::engine::{BatchId, BatchOptions, Engine, ReplySlot, Timestamp};
use crate::error::Error;

/// Commands of one chunk.
pub(super) const CHUNK_COMMANDS: usize = 2048;
/// What a command costs beside its bytes: its place in the batch, and its place here.
pub(super) const PLACE_BYTES: usize = 32;
/// Chunks kept with their memory.
const SPARE_MAX: usize = 16;

/// What the loader knows of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) tag: u64,
    pub(super) len: u32,
    pub(super) slot: u16,
    /// A part of a split command: it has no outcome of its own.
    pub(super) is_part: bool,
}

/// Commands that share an engine batch.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) batch: BatchId,
    pub(super) places: Vec<Place>,
    /// Of its commands, with `PLACE_BYTES` for each.
    pub(super) bytes: usize,
    /// Places that the watermark has passed.
    scanned: usize,
    /// All its commands have their outcome, and those are counted.
    closed: bool,
    /// The first of them that was cut short.
    cut_at: Option<usize>,
    /// When some of it was flushed first.
    flushed_at: Option<Timestamp>,
}

/// Where the contiguous part ends.
#[derive(Debug, Default)]
struct Watermark {
    /// Commands before it.
    passed: u64,
    /// Tag of the last of them, and the greatest tag that is less.
    last: Option<u64>,
    before_last: Option<u64>,
    /// A command that was cut short: nothing is passed any more.
    frozen_at: Option<u64>,
}

impl Watermark {
    #[inline]
    fn pass(&mut self, tag: u64) {
        self.passed += 1;
        if self.frozen_at.is_none() && self.last != Some(tag) {
            self.before_last = self.last.replace(tag);
        }
    }

    /// As `pass` of each.
    fn pass_all(&mut self, places: &[Place]) {
        self.passed += places.len() as u64;
        let Some(last) = places.last().filter(|_| self.frozen_at.is_none()) else { return };
        if self.last == Some(last.tag) {
            return;
        }
        let before = places.iter().rev().map(|place| place.tag).find(|&tag| tag != last.tag);
        self.before_last = before.or(self.last);
        self.last = Some(last.tag);
    }

    fn freeze(&mut self, tag: u64) {
        self.frozen_at.get_or_insert(tag);
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    pub(super) open: Chunk,
    sealed: VecDeque<Chunk>,
    spare: Vec<Chunk>,
    watermark: Watermark,
    /// Places given out.
    pushed: u64,
    /// Of chunks that the watermark has not passed.
    pub(super) bytes: usize,
}

impl Ring {
    pub(super) fn new(engine: &mut Engine, options: BatchOptions) -> Self {
        Ring {
            open: Chunk::new(engine, options),
            sealed: VecDeque::new(),
            spare: Vec::new(),
            watermark: Watermark::default(),
            pushed: 0,
            bytes: 0,
        }
    }

    /// Notes a command that has a place in the open chunk's batch.
    #[inline(always)]
    pub(super) fn note(&mut self, place: Place) {
        let bytes = place.len as usize + PLACE_BYTES;
        self.open.bytes += bytes;
        self.bytes += bytes;
        self.pushed += 1;
        self.open.places.push(place);
    }

    /// Goes on in another chunk.
    pub(super) fn seal(&mut self, engine: &mut Engine, options: BatchOptions) {
        if self.open.places.is_empty() {
            return;
        }
        let fresh = match self.spare.pop() {
            Some(chunk) => {
                if let Some(batch) = engine.batch_mut(chunk.batch) {
                    batch.options = options;
                }
                chunk
            }
            None => Chunk::new(engine, options),
        };
        self.sealed.push_back(std::mem::replace(&mut self.open, fresh));
    }

    /// Places given out.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Places before the first without an outcome, as of the last `advance`.
    pub(super) fn passed(&self) -> u64 {
        self.watermark.passed
    }

    /// Places without a result.
    pub(super) fn unanswered(&self, engine: &Engine) -> u64 {
        let chunks = self.sealed.iter().chain(std::iter::once(&self.open));
        chunks.filter_map(|chunk| engine.batch(chunk.batch)).map(|batch| u64::from(batch.unanswered)).sum()
    }

    /// The greatest tag all of whose commands, and those of all lesser tags, have their outcome.
    pub(super) fn committed(&self) -> Option<u64> {
        let front = self.sealed.front().unwrap_or(&self.open);
        let pending = front.places.get(front.scanned).map(|place| place.tag);
        let next = self.watermark.frozen_at.or(pending);
        if next.is_some() && next == self.watermark.last {
            self.watermark.before_last
        } else {
            self.watermark.last
        }
    }

    /// Looks for commands that have ended, tells `told` of each that was not simply written, and moves the watermark.
    pub(super) fn advance(
        &mut self,
        engine: &mut Engine,
        told: &mut impl FnMut(&Place, &Error) -> Fate,
    ) -> u64 {
        let mut written = 0;
        for chunk in self.sealed.iter_mut().filter(|chunk| !chunk.closed) {
            if engine.is_complete(chunk.batch) {
                written += chunk.close(engine, told);
            }
        }
        while let Some(mut chunk) = self.sealed.pop_front() {
            if !chunk.closed {
                self.sealed.push_front(chunk);
                break;
            }
            chunk.pass_rest(&mut self.watermark);
            self.bytes -= chunk.bytes;
            self.retire(engine, chunk);
        }
        let front = self.sealed.front_mut().unwrap_or(&mut self.open);
        written + front.scan(engine, told, &mut self.watermark)
    }

    /// The chunk's memory serves again.
    fn retire(&mut self, engine: &mut Engine, mut chunk: Chunk) {
        if self.spare.len() < SPARE_MAX {
            chunk.clear(engine);
            self.spare.push(chunk);
        } else {
            engine.abandon(chunk.batch);
        }
    }

    /// The batches of all chunks, those without commands too.
    pub(super) fn batches(&self) -> impl Iterator<Item = BatchId> {
        let chunks = self.sealed.iter().chain(&self.spare).chain(std::iter::once(&self.open));
        chunks.map(|chunk| chunk.batch)
    }

    /// The time of all that has been flushed by now counts from now: of chunks that were not flushed before, or of all that are under way.
    pub(super) fn start_deadlines(&mut self, engine: &mut Engine, now: Timestamp, all: bool) {
        for chunk in self.sealed.iter_mut().filter(|chunk| !chunk.closed) {
            if all || chunk.flushed_at.is_none() {
                engine.start_deadline(chunk.batch, now);
                chunk.flushed_at.get_or_insert(now);
            }
        }
        if !self.open.places.is_empty() {
            // What was flushed earlier gets more time, and none less.
            engine.start_deadline(self.open.batch, now);
            self.open.flushed_at.get_or_insert(now);
        }
    }
}

/// What became of a command that was not simply written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// That is its outcome.
    Ended,
    /// It ended because the load did: the watermark stops here.
    CutShort,
}

impl Chunk {
    fn new(engine: &mut Engine, options: BatchOptions) -> Self {
        Chunk {
            batch: engine.open_batch_with(options),
            places: Vec::with_capacity(CHUNK_COMMANDS),
            bytes: 0,
            scanned: 0,
            closed: false,
            cut_at: None,
            flushed_at: None,
        }
    }

    fn clear(&mut self, engine: &mut Engine) {
        self.batch = engine.reopen_batch(self.batch);
        self.places.clear();
        self.bytes = 0;
        self.scanned = 0;
        self.closed = false;
        self.cut_at = None;
        self.flushed_at = None;
    }

    /// Counts what is left of a chunk that is complete; answers how many commands of it were simply written.
    fn close(&mut self, engine: &mut Engine, told: &mut impl FnMut(&Place, &Error) -> Fate) -> u64 {
        self.closed = true;
        engine.merge_splits(self.batch);
        let Some(batch) = engine.batch(self.batch) else { return 0 };
        let rest = self.places.get(self.scanned..).unwrap_or_default();
        if batch.errors.is_empty() && batch.splits.is_empty() {
            return rest.len() as u64;
        }
        let mut written = 0;
        for (at, place) in rest.iter().enumerate().filter(|(_, place)| !place.is_part) {
            match batch.reply((self.scanned + at) as u32) {
                Ok(_) => written += 1,
                Err(error) => {
                    if told(place, error) == Fate::CutShort {
                        self.cut_at.get_or_insert(self.scanned + at);
                    }
                }
            }
        }
        written
    }

    /// Moves the watermark over a chunk that is closed.
    fn pass_rest(&mut self, watermark: &mut Watermark) {
        let rest = self.places.get(self.scanned..).unwrap_or_default();
        if self.cut_at.is_none() && watermark.frozen_at.is_none() {
            return watermark.pass_all(rest);
        }
        for (at, place) in rest.iter().enumerate() {
            if self.cut_at == Some(self.scanned + at) {
                watermark.freeze(place.tag);
            }
            watermark.pass(place.tag);
        }
    }

    /// Counts and passes the commands at the front that have ended, while others behind them have not.
    fn scan(
        &mut self,
        engine: &mut Engine,
        told: &mut impl FnMut(&Place, &Error) -> Fate,
        watermark: &mut Watermark,
    ) -> u64 {
        let Some(batch) = engine.batch(self.batch) else { return 0 };
        if !batch.splits.is_empty() {
            if batch.unanswered > 0 {
                return 0;
            }
            engine.merge_splits(self.batch);
        }
        let Some(batch) = engine.batch(self.batch) else { return 0 };
        let mut written = 0;
        loop {
            if batch.splits.is_empty() {
                written += self.pass_written(&batch.slots, watermark);
            }
            let (Some(slot), Some(place)) = (batch.slots.get(self.scanned), self.places.get(self.scanned))
            else {
                break;
            };
            match slot {
                ReplySlot::Pending { .. } => break,
                _ if place.is_part => {}
                ReplySlot::Failed { index } => {
                    let error = batch.errors.get(*index as usize);
                    if error.is_some_and(|error| told(place, error) == Fate::CutShort) {
                        watermark.freeze(place.tag);
                    }
                }
                _ => written += 1,
            }
            watermark.pass(place.tag);
            self.scanned += 1;
        }
        written
    }

    /// Passes the commands at the front that were simply written; answers how many. None of them is a part of another.
    fn pass_written(&mut self, slots: &[ReplySlot], watermark: &mut Watermark) -> u64 {
        let rest = slots.get(self.scanned..).unwrap_or_default();
        let is_written =
            |slot: &&ReplySlot| !matches!(slot, ReplySlot::Pending { .. } | ReplySlot::Failed { .. });
        let end = self.scanned + rest.iter().take_while(is_written).count();
        watermark.pass_all(self.places.get(self.scanned..end).unwrap_or_default());
        let written = end - self.scanned;
        self.scanned = end;
        written as u64
    }
}
