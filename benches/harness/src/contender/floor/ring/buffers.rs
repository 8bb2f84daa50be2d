//! Buffers that are the kernel's until it has received into them: which one it takes is told with the completion.
//!
//! ```text
//!   ring of the names of free buffers:   head (the kernel takes here)  ──▶  tail (we put back here)
//! ```
//!
//! Knows nothing of sockets. Invariants: a buffer is either named between head and tail, or filled and ours, and nobody but its owner
//! touches it; of each it is known which one was put behind it, because the name of a bundle's first buffer stands for those that follow.
#![allow(unsafe_code, reason = "the kernel reads the ring of names and fills the buffers")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;
/// Where the kernel wants the ring to begin.
const PAGE_BYTES: usize = 4096;

pub(super) struct Buffers {
    /// The memory that is shared with the kernel: `mask + 1` entries.
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    mask: u16,
    /// Where the next free buffer is put; it wraps.
    tail: u16,
    /// The buffer that was put into the ring last.
    last: u16,
    /// Of each buffer: which one was put into the ring after it.
    behind: Box<[u16]>,
    memory: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Buffers {
    /// So many buffers of so many bytes, handed to the kernel. `count` is a power of two.
    ///
    /// # Errors
    /// Where the kernel refuses them.
    pub(super) fn register(submitter: &Submitter<'_>, count: u16, bytes: usize) -> Result<Buffers> {
        assert!(count.is_power_of_two() && bytes > 0);
        let layout = Layout::array::<BufRingEntry>(usize::from(count))?.align_to(PAGE_BYTES)?;
        // SAFETY: the layout has a size, as `count` is no power of two when it is zero.
        let address = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(address.cast::<BufRingEntry>()) else { handle_alloc_error(layout) };
        let mut buffers = Buffers {
            entries,
            layout,
            mask: count - 1,
            tail: 0,
            last: 0,
            behind: vec![0; usize::from(count)].into(),
            memory: (0..count).map(|_| vec![0; bytes].into()).collect(),
            bytes,
        };
        for buffer in 0..count {
            buffers.put(buffer);
        }
        buffers.publish();
        // SAFETY: the ring of names is zeroed memory of that many entries, page-aligned, and lives until `unregister`.
        unsafe { submitter.register_buf_ring_with_flags(address as u64, count, GROUP, 0) }
            .context("io_uring refuses a ring of buffers (Linux 5.19 has them)")?;
        Ok(buffers)
    }

    /// Takes the buffers back. Nothing that could fill one may be under way.
    pub(super) fn unregister(&self, submitter: &Submitter<'_>) {
        // One that it does not know is not in its hands either.
        let _unknown = submitter.unregister_buf_ring(GROUP);
    }

    pub(super) fn count(&self) -> usize {
        self.memory.len()
    }

    pub(super) fn bytes_each(&self) -> usize {
        self.bytes
    }

    /// Shows `received` bytes to `look`, piece by piece: they are in the buffer of this name and in those that stand behind it in the
    /// ring. Each is free again when it has been looked at; [`Buffers::publish`] tells the kernel.
    ///
    /// # Errors
    /// Those of `look`.
    pub(super) fn take(
        &mut self,
        first: u16,
        received: usize,
        mut look: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut buffer, mut missing) = (first, received);
        loop {
            // Before it is put back: then another one follows it.
            let behind = self.behind[usize::from(buffer)];
            let some = missing.min(self.bytes);
            look(&self.memory[usize::from(buffer)][..some])?;
            self.put(buffer);
            missing -= some;
            buffer = behind;
            if missing == 0 {
                return Ok(());
            }
        }
    }

    /// Lets the kernel have what was put back.
    pub(super) fn publish(&self) {
        // SAFETY: `entries` is the beginning of the ring; the tail lies in a field of its first entry that nothing else uses, is aligned
        // as an `AtomicU16` is, and is written here only.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        // What was written to the entries is there before the tail is.
        tail.store(self.tail, Ordering::Release);
    }

    /// Puts a buffer behind the others.
    fn put(&mut self, buffer: u16) {
        let memory = &mut self.memory[usize::from(buffer)];
        let (address, len) = (memory.as_mut_ptr() as u64, memory.len() as u32);
        // SAFETY: the position is masked, so it is within the allocation, which was zeroed and so holds valid entries. The kernel only
        // reads entries, and of these only those between its head and the published tail: this one is not among them, because there are
        // as many entries as buffers, and this buffer is in none.
        let entry = unsafe { &mut *self.entries.as_ptr().add(usize::from(self.tail & self.mask)) };
        entry.set_addr(address);
        entry.set_len(len);
        entry.set_bid(buffer);
        self.behind[usize::from(self.last)] = buffer;
        self.last = buffer;
        self.tail = self.tail.wrapping_add(1);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout. The ring of requests took its hands off it with `unregister`.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}
