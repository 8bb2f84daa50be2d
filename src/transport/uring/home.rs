//! Where a ring may be used: by the thread that made it, in the process that made it.
//!
//! A copy of the process (fork) has the same thread numbers and the same ring: its queues are shared with the original, and what the copy wrote
//! into them the kernel would do in the original's memory. So a copy counts as somewhere else. The system calls us in each copy before
//! anything else runs there.
#![allow(unsafe_code, reason = "to be called in a copy of the process is asked of the C library")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many times this process is a copy of another one.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// One thread of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    thread: u64,
    copies: u64,
}

impl Home {
    /// The thread that asks.
    pub(super) fn here() -> Self {
        static THREADS: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            // No other thread of the process has or had this number.
            static NUMBER: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        Home { thread: NUMBER.with(|number| *number), copies: COPIES.load(Ordering::Relaxed) }
    }

    /// Asks to be told of copies, once per process.
    pub(super) fn watch_for_copies() {
        static ASKED: Once = Once::new();
        ASKED.call_once(|| {
            // SAFETY: the function lives as long as the program, and does nothing that is not allowed in a copy of a process with threads.
            // It fails only for lack of memory; a copy is then recognised when the ring is dropped, and not before.
            let _short_of_memory = unsafe { libc::pthread_atfork(None, None, Some(in_the_copy)) };
        });
    }

    /// Whether the other is a copy's.
    pub(super) fn is_of_same_process(self, other: Home) -> bool {
        self.copies == other.copies
    }
}

extern "C" fn in_the_copy() {
    COPIES.fetch_add(1, Ordering::Relaxed);
}
