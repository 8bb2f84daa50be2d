//! A ring of the kernel, and the number that it is registered under.
//!
//! Knows nothing of what is asked for. The crate remembers a registered ring in the value that submits, which borrows the ring: a new one
//! (`IoUring::submitter`, `IoUring::submit_and_wait`) is unaware of it, and its enters look the descriptor up. So the two live together
//! here. Invariant: there is one value that submits, and at most one view of each queue at a time; all on the thread that made them, as
//! such a number means another ring, or none, on another thread.
#![allow(unsafe_code, reason = "a value and what it borrows from, in one structure")]

use std::io;
use std::ptr::NonNull;

use anyhow::{Context as _, Result};
use io_uring::{CompletionQueue, IoUring, Submitter, squeue, types};

use super::variant::Variant;

/// The end of a wait that has two ends. Then it is begun again.
const WAIT_S_MAX: u64 = 3600;
/// No error: that end.
const ETIME: i32 = 62;

pub(super) struct Handle {
    /// Borrows from what `ring` points to. The pointer makes this structure stay on its thread.
    submitter: Submitter<'static>,
    ring: NonNull<IoUring>,
}

impl Handle {
    /// A ring for so many requests and completions.
    ///
    /// # Errors
    /// Where the kernel has none of this kind.
    pub(super) fn new(variant: Variant, requests: u32, completions: u32) -> Result<Handle> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_taskrun_flag().setup_cqsize(completions);
        match variant.deferred {
            true => builder.setup_defer_taskrun(),
            false => builder.setup_coop_taskrun(),
        };
        let ring = builder.build(requests).context(
            "this kernel refuses io_uring with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1 has both)",
        )?;
        let ring = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: it came from a box that nobody else has, lives until `drop`, and is only ever borrowed as shared until then.
        let mut submitter = unsafe { ring.as_ref() }.submitter();
        if variant.ring_registered {
            // Older kernels do without.
            let _unknown = submitter.register_ring_fd();
        }
        Ok(Handle { submitter, ring })
    }

    pub(super) fn submitter(&self) -> &Submitter<'static> {
        &self.submitter
    }

    /// Puts a request into the queue. It leaves with the next enter.
    ///
    /// # Safety
    /// The buffer of the request must be valid, and left alone, until the kernel is done with it.
    pub(super) unsafe fn push(&mut self, request: &squeue::Entry) -> Result<()> {
        // SAFETY: no other view of this queue is there, as views end where they are made, and this borrow is exclusive.
        let mut queue = unsafe { self.ring.as_ref().submission_shared() };
        // SAFETY: the caller's promise is the one that is asked for.
        let pushed = unsafe { queue.push(request) };
        pushed.context("the submission queue is too short for two requests per node")
    }

    /// Submits, and waits for so many completions; where `within_us` is given, after that time for any.
    pub(super) fn enter(&self, needed: usize, within_us: Option<u32>) -> io::Result<usize> {
        let Some(us) = within_us else { return self.submitter.submit_and_wait(needed) };
        // Without an end of all waiting the kernel would take the shorter time for it, and come back with nothing.
        let end = types::Timespec::new().sec(WAIT_S_MAX);
        let wait = types::SubmitArgs::new().min_wait_usec(us).timespec(&end);
        match self.submitter.submit_with_args(needed, &wait) {
            Err(error) if error.raw_os_error() == Some(ETIME) => Ok(0),
            entered => entered,
        }
    }

    /// Whether the kernel has completions that it puts into the queue with the next enter.
    pub(super) fn taskrun(&mut self) -> bool {
        // SAFETY: as in `push`.
        unsafe { self.ring.as_ref().submission_shared() }.taskrun()
    }

    pub(super) fn completions(&mut self) -> CompletionQueue<'_> {
        // SAFETY: the view borrows this value exclusively for as long as it lives, so it is the only one.
        unsafe { self.ring.as_ref().completion_shared() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _never_registered = self.submitter.unregister_ring_fd();
        // SAFETY: it is the pointer of the box that was leaked. What still borrows from it is `submitter`, which has nothing to drop and
        // is not used again.
        drop(unsafe { Box::from_raw(self.ring.as_ptr()) });
    }
}
