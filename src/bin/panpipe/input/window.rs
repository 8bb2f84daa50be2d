//! The part of the input that is in memory: what is read and not yet done with.
//!
//! Knows places, not meaning. Invariant: `start <= end <= buffer.len()`; byte 0 of `bytes()` is byte `offset()` of the input.

use crate::input::decode::Plain;
use crate::input::error::InputError;
use crate::input::source::Took;

/// How much is read at a time: what the kernel has copied is still in the second-level cache when it is looked at, beside all that is written.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// A buffer that slides over the input.
pub(crate) struct Window {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    chunk_bytes: usize,
    /// Nobody asks for more than this and a chunk.
    record_bytes_max: usize,
    /// No byte follows those that are here.
    pub(crate) at_end: bool,
    /// What is behind the bytes that are here.
    fault: Option<InputError>,
}

impl Window {
    pub(crate) fn new(chunk_bytes: usize, record_bytes_max: usize) -> Window {
        let buffer = Vec::new();
        Window {
            buffer,
            start: 0,
            end: 0,
            offset: 0,
            chunk_bytes,
            record_bytes_max,
            at_end: false,
            fault: None,
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where `bytes` begins in the input.
    #[inline(always)]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Forgets bytes at the front.
    #[inline(always)]
    pub(crate) fn consume(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.end - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// As `fill`, for whoever wants to see more than the first record: a fault is told when somebody needs what is behind it.
    pub(crate) fn look_ahead(&mut self, from: &mut Plain) -> Result<Took, InputError> {
        if self.ends_here() {
            return Ok(Took::End);
        }
        match self.fill(from) {
            Err(fault) if self.start < self.end => {
                self.fault = Some(fault);
                Ok(Took::End)
            }
            took => took,
        }
    }

    /// Nothing more can be had.
    pub(crate) fn ends_here(&self) -> bool {
        self.at_end || self.fault.is_some()
    }

    /// Reads a chunk behind what is here.
    pub(crate) fn fill(&mut self, from: &mut Plain) -> Result<Took, InputError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < self.chunk_bytes {
            // Doubling keeps the copying of a large record linear.
            let needed = self.end + self.chunk_bytes;
            let wanted = (2 * self.end).min(self.record_bytes_max + self.chunk_bytes).max(needed);
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        } else if self.end <= self.chunk_bytes && self.buffer.len() > 16 * self.chunk_bytes {
            // A large record has gone; its memory goes too.
            self.buffer.truncate(2 * self.chunk_bytes);
            self.buffer.shrink_to_fit();
        }
        let room = self.end..self.end + self.chunk_bytes;
        let took = from.read(&mut self.buffer[room])?;
        match took {
            Took::Bytes(bytes) => self.end += bytes,
            Took::End => self.at_end = true,
            Took::Waiting => {}
        }
        Ok(took)
    }

    /// Forgets everything; the next byte that is read is at `offset`.
    pub(crate) fn restart(&mut self, offset: u64) {
        (self.start, self.end, self.offset, self.at_end) = (0, 0, offset, false);
    }
}
