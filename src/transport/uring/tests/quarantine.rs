//! A global allocator that notices who writes to freed memory, the kernel included: no sanitizer sees that.
//!
//! Blocks of a page or more, which receive buffers and segments of send queues are, are filled with a pattern when they are freed, and kept
//! for a while. What is written to them then breaks the pattern; what is sent from them is the pattern, which the peer recognises. No part of
//! the library: tests include it by its path, because `unsafe` may stand in this folder only.
#![allow(unsafe_code, reason = "who watches freed memory must be the allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Mutex, PoisonError};

/// What freed memory is filled with; no byte of the tests' keys and values.
pub(crate) const POISON: u8 = 0xDB;
/// Smaller blocks are nobody's buffers.
const WATCHED_BYTES_MIN: usize = 4 << 10;
const HELD_BYTES_MAX: usize = 192 << 20;
const HELD_BLOCKS_MAX: usize = 8192;

/// To compare with.
static PAGE: [u8; 4 << 10] = [POISON; 4 << 10];

/// The system's allocator behind a quarantine.
pub(crate) struct Quarantine;

struct Block {
    start: *mut u8,
    layout: Layout,
}

/// Freed blocks in the order in which they were freed; a ring without an allocation of its own.
struct Held {
    blocks: [Option<Block>; HELD_BLOCKS_MAX],
    oldest: usize,
    len: usize,
    bytes: usize,
    broken: u64,
}

// SAFETY: the blocks are freed memory that belongs to this list alone.
unsafe impl Send for Held {}

static HELD: Mutex<Held> =
    Mutex::new(Held { blocks: [const { None }; HELD_BLOCKS_MAX], oldest: 0, len: 0, bytes: 0, broken: 0 });

/// How many blocks were written to after they had been freed.
pub(crate) fn broken_blocks() -> u64 {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let broken = held.blocks.iter().flatten().filter(|block| !block.is_intact()).count();
    for block in held.blocks.iter_mut().flatten() {
        block.fill();
    }
    held.broken += broken as u64;
    held.broken
}

impl Block {
    fn fill(&mut self) {
        // SAFETY: the block was freed by its owner with this layout, and nobody else has it.
        unsafe { self.start.write_bytes(POISON, self.layout.size()) };
    }

    fn is_intact(&self) -> bool {
        // SAFETY: as in `fill`, which has written all of it.
        let bytes = unsafe { std::slice::from_raw_parts(self.start, self.layout.size()) };
        bytes.chunks(PAGE.len()).all(|part| *part == PAGE[..part.len()])
    }
}

impl Held {
    fn take(&mut self, mut block: Block) {
        block.fill();
        while self.len == HELD_BLOCKS_MAX
            || (self.len > 0 && self.bytes + block.layout.size() > HELD_BYTES_MAX)
        {
            self.release();
        }
        self.bytes += block.layout.size();
        let at = (self.oldest + self.len) % HELD_BLOCKS_MAX;
        self.blocks[at] = Some(block);
        self.len += 1;
    }

    fn release(&mut self) {
        let Some(block) = self.blocks[self.oldest].take() else { return };
        self.broken += u64::from(!block.is_intact());
        self.oldest = (self.oldest + 1) % HELD_BLOCKS_MAX;
        self.len -= 1;
        self.bytes -= block.layout.size();
        // SAFETY: the system's allocator made the block with this layout, see `alloc`.
        unsafe { System.dealloc(block.start, block.layout) };
    }
}

// SAFETY: blocks come from the system's allocator and go back to it, later than asked; nothing here allocates or unwinds.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if layout.size() < WATCHED_BYTES_MIN {
            // SAFETY: the caller keeps the contract of `dealloc`.
            return unsafe { System.dealloc(start, layout) };
        }
        HELD.lock().unwrap_or_else(PoisonError::into_inner).take(Block { start, layout });
    }
}
