//! A global allocator that counts, per thread: what a peer's threads allocate does not reach the client's count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts each allocation of the current thread and leaves the work to the system's allocator.
pub(crate) struct Counting;

/// What one thread allocated so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allocations {
    /// Calls that asked for memory, growing included.
    pub(crate) count: u64,
    /// Bytes asked for; growing counts its new size.
    pub(crate) bytes: u64,
}

// Constant initial values without destructors: reading them neither allocates nor registers anything.
thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    static TRAP: Cell<bool> = const { Cell::new(false) };
}

/// What the current thread allocated so far.
pub(crate) fn so_far() -> Allocations {
    Allocations { count: COUNT.get(), bytes: BYTES.get() }
}

/// What the current thread allocates while `work` runs. With `TRAP_ALLOCATIONS` in the environment the first one ends the process
/// and shows where it came from.
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, Allocations) {
    let trap = std::env::var_os("TRAP_ALLOCATIONS").is_some();
    let before = so_far();
    TRAP.set(trap);
    let result = work();
    TRAP.set(false);
    let after = so_far();
    (result, Allocations { count: after.count - before.count, bytes: after.bytes - before.bytes })
}

fn note(size: usize) {
    COUNT.set(COUNT.get() + 1);
    BYTES.set(BYTES.get() + size as u64);
    if TRAP.get() {
        TRAP.set(false);
        eprintln!("{size} bytes allocated at\n{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }
}

// SAFETY: each method passes its arguments on unchanged and answers what the system's allocator answers; the counters are plain
// cells of this thread and never unwind.
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
