//! The global allocator: the system's, and a count of all threads' calls while counting is on. Off, it costs one load per call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Counts, and leaves the work to the system's allocator.
pub(crate) struct Counting;

/// Calls that asked for memory, and the bytes they asked for; growing counts with its new size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allocations {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// What all threads allocate while `work` runs.
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, Allocations) {
    let before = (CALLS.load(Relaxed), BYTES.load(Relaxed));
    COUNTING.store(true, Relaxed);
    let result = work();
    COUNTING.store(false, Relaxed);
    (result, Allocations { calls: CALLS.load(Relaxed) - before.0, bytes: BYTES.load(Relaxed) - before.1 })
}

fn note(size: usize) {
    if COUNTING.load(Relaxed) {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(size as u64, Relaxed);
    }
}

// SAFETY: each method passes its arguments on unchanged and answers what the system's allocator answers; counting never unwinds.
#[expect(unsafe_code, reason = "there is no other way to count allocations than to be the allocator")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract of `realloc`; the block came from the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the block came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_while_counting_is_on() {
        let (kept, counted) = during(|| (0..10).map(|_| Box::new([0_u64; 8])).collect::<Vec<_>>());
        assert_eq!(kept.len(), 10);
        assert!(counted.calls >= 11 && counted.bytes >= 10 * 64, "{counted:?}");
    }
}
