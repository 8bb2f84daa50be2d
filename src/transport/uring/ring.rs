//! The ring, and everything that the kernel may touch while a request is under way.
//!
//! All `unsafe` that moves bytes is here and in [`lane`](super::lane), behind an interface that is safe: what a request needs is given to the ring by value, and comes
//! back with its completion. Nothing else can reach it meanwhile, and it cannot be freed.
//!
//! A *lane* is one socket with its requests. Invariants:
//!
//! 1. A lane has at most one send, one receive and one watch under way, and their memory lies in it: the bytes of the send in `pieces`
//!    (and, for several pieces, their list in `message`), the buffer of the receive in `room`.
//! 2. A lane is removed, and its socket closed, only when nothing of it is under way: a descriptor's number is not given to another socket
//!    while a request that names it waits in the queue, and a completion always finds its lane.
//! 3. `under_way` counts what was pushed and has not completed. The memory of lanes is freed when it is zero, or when the kernel has been
//!    seen to have let go of the ring (see [`Ring::abandon`]), or never.
//!
//! This module knows requests and completions. It refuses to know connections, the engine, and when to wait for what.
#![allow(unsafe_code, reason = "io_uring is told addresses, and believes them; see the invariants above")]

use std::io::{self, PipeReader};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use bytes::Bytes;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use slab::Slab;
use socket2::Socket;

use super::lane::Lane;
use crate::engine::RecvBuf;

/// Requests that fit into the queue between two enters: a send and a receive for each of 512 nodes.
const ENTRIES: u32 = 1024;
/// How long a ring that is abandoned is waited for; the kernel takes milliseconds.
const GONE_MAX: Duration = Duration::from_secs(2);
/// Longer than anybody waits; waking then is harmless.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// `IORING_ENTER_GETEVENTS`.
const GET_EVENTS: u32 = 1;

/// What a request's user data says beside its lane.
const KIND_BITS: u32 = 3;
const SEND: u64 = 0;
const RECEIVE: u64 = 1;
const WATCH: u64 = 2;
const TIMER: u64 = 3;
const NOTHING: u64 = 4;
const UPDATE: u64 = 5;

pub(super) struct Ring {
    uring: Option<IoUring>,
    /// Ends when the kernel has let go of the ring.
    gone: PipeReader,
    /// Whether the kernel can wait for many completions up to a time, and from then on for one (Linux 6.12).
    has_min_wait: bool,
    lanes: Slab<Lane>,
    under_way: usize,
    /// The process whose ring it is.
    process: u32,
    /// Sends that were pushed since the last enter.
    fresh_sends: usize,
    /// What the timer's request points to.
    timer: Box<types::Timespec>,
    pub(super) enters: u64,
}

/// What has become of a request.
#[derive(Debug)]
pub(super) enum Completion {
    /// A send has ended. `untaken` of its bytes were not taken, for this reason, and never will be.
    Sent {
        tag: u64,
        untaken: usize,
        failure: Option<io::Error>,
    },
    /// So many bytes were received; none is the end.
    Received {
        tag: u64,
        room: RecvBuf,
        result: io::Result<usize>,
    },
    /// The socket is writable or broken.
    Writable {
        tag: u64,
    },
    /// The timer's time has come.
    Timer,
    Nothing,
}

impl Ring {
    /// A ring of this thread.
    pub(super) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(ENTRIES)?;
        // The ring's table of descriptors holds the pipe's other end, and the kernel drops the table after the last request. So the end of
        // this pipe is the proof that no request is left, for whoever cannot enter the ring.
        let (gone, held) = io::pipe()?;
        uring.submitter().register_files(&[held.as_raw_fd()])?;
        let mut ring = Ring {
            has_min_wait: uring.params().is_feature_min_timeout(),
            uring: Some(uring),
            gone,
            lanes: Slab::new(),
            under_way: 0,
            process: std::process::id(),
            fresh_sends: 0,
            timer: Box::default(),
            enters: 0,
        };
        // That requests are accepted, too, is known when one was: filters can allow the one system call and forbid the other.
        ring.nothing()?;
        ring.enter(1, None, None)?;
        while ring.next_completion().is_some() {}
        Ok(ring)
    }

    fn uring(&mut self) -> &mut IoUring {
        self.uring.as_mut().expect("taken by `drop` only")
    }

    /// The descriptor that is readable while there are completions in the queue.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        let fd = self.uring.as_ref().expect("taken by `drop` only").as_raw_fd();
        // SAFETY: the ring owns the descriptor, and lives as long as the borrow.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    /// Takes a socket; completions carry `tag`. The answer is its lane.
    pub(super) fn open(&mut self, socket: Socket, tag: u64, sends_whole: bool) -> usize {
        self.lanes.insert(Lane::new(socket, tag, sends_whole))
    }

    /// Ends a lane: nobody hears of it any more. Its socket is closed when its requests have ended, for which it is shut down.
    pub(super) fn close(&mut self, lane: usize) {
        let Some(row) = self.lanes.get_mut(lane) else { return };
        row.closing = true;
        if row.is_idle() {
            self.lanes.remove(lane);
        } else {
            // One that is gone already has no requests that wait.
            let _gone = row.socket.shutdown(Shutdown::Both);
        }
    }

    /// Ends the requests of a lane, whose completions are still told.
    pub(super) fn shut_down(&mut self, lane: usize) {
        if let Some(row) = self.lanes.get_mut(lane) {
            let _gone = row.socket.shutdown(Shutdown::Both);
        }
    }

    /// The socket of an open lane.
    pub(super) fn socket(&self, lane: usize) -> Option<&Socket> {
        self.lanes.get(lane).map(|row| &row.socket)
    }

    /// Where to put the bytes of the next send; `None` while one is under way.
    pub(super) fn pieces(&mut self, lane: usize) -> Option<&mut Vec<Bytes>> {
        self.lanes.get_mut(lane).filter(|row| !row.sending && !row.closing).map(|row| &mut row.pieces)
    }

    /// Sends what `pieces` was given.
    pub(super) fn send(&mut self, lane: usize) -> io::Result<()> {
        let Some(row) = self.lanes.get_mut(lane).filter(|row| !row.sending && !row.pieces.is_empty()) else {
            return Ok(());
        };
        row.sending = true;
        let entry = row.send_request().user_data(user_data(lane, SEND));
        // SAFETY: the lane keeps the pieces and their list until `SEND` completes: `pieces()` gives them to nobody while `sending`.
        let pushed = unsafe { self.push(&entry) };
        // Counted last: where the queue was full, an enter has taken those that were fresh before.
        self.fresh_sends += usize::from(pushed.is_ok());
        self.unless_refused(pushed, lane, |row| row.sending = false)
    }

    /// Receives into this buffer, which must have room.
    pub(super) fn receive(&mut self, lane: usize, room: RecvBuf) -> io::Result<()> {
        let Some(row) = self.lanes.get_mut(lane).filter(|row| row.room.is_none() && !row.closing) else {
            return Ok(());
        };
        let entry = row.receive_request(room).user_data(user_data(lane, RECEIVE));
        // SAFETY: the lane keeps the buffer until `RECEIVE` completes; the buffer's memory is on the heap and stays when its owner moves.
        let pushed = unsafe { self.push(&entry) };
        self.unless_refused(pushed, lane, |row| row.room = None)
    }

    /// Tells when the socket becomes writable, which ends a connect.
    pub(super) fn watch(&mut self, lane: usize) -> io::Result<()> {
        let Some(row) = self.lanes.get_mut(lane).filter(|row| !row.watching) else { return Ok(()) };
        row.watching = true;
        let entry = opcode::PollAdd::new(types::Fd(row.socket.as_raw_fd()), libc::POLLOUT as u32)
            .build()
            .user_data(user_data(lane, WATCH));
        // SAFETY: the request names no memory.
        let pushed = unsafe { self.push(&entry) };
        self.unless_refused(pushed, lane, |row| row.watching = false)
    }

    /// What was refused is not under way: its lane could never be removed.
    fn unless_refused(&mut self, pushed: io::Result<()>, lane: usize, undo: fn(&mut Lane)) -> io::Result<()> {
        if pushed.is_err() {
            self.lanes.get_mut(lane).map(undo);
        }
        pushed
    }

    /// Sets the timer, which must be still, or moves it.
    pub(super) fn set_timer(&mut self, after: Duration, is_set: bool) -> io::Result<()> {
        *self.timer = types::Timespec::from(after);
        let time: *const types::Timespec = &raw const *self.timer;
        let entry = if is_set {
            opcode::TimeoutUpdate::new(user_data(0, TIMER), time).build().user_data(user_data(0, UPDATE))
        } else {
            opcode::Timeout::new(time).build().user_data(user_data(0, TIMER))
        };
        // SAFETY: the time is boxed and lives as long as the ring; the kernel has copied it when the enter that follows returns.
        unsafe { self.push(&entry)? };
        self.enter(0, None, None)
    }

    /// Completes at once.
    pub(super) fn nothing(&mut self) -> io::Result<()> {
        let entry = opcode::Nop::new().build().user_data(user_data(0, NOTHING));
        // SAFETY: the request names no memory.
        unsafe { self.push(&entry) }
    }

    /// The kernel writes to this event descriptor when there are completions.
    pub(super) fn attach_bell(&mut self, bell: BorrowedFd<'_>) -> io::Result<()> {
        self.uring().submitter().register_eventfd(bell.as_raw_fd())
    }

    /// Whether it writes. What has come before it was told to is seen by `has_news` afterwards.
    pub(super) fn mute(&mut self, muted: bool) {
        let completions = self.uring().completion();
        if muted {
            completions.disable_eventfd()
        } else {
            completions.enable_eventfd()
        }
        // The kernel notes news before it looks at this flag; we write the flag before we look for news.
        fence(Ordering::SeqCst);
    }

    /// Whether there are completions, fetched or not.
    pub(super) fn has_news(&mut self) -> bool {
        self.ready() > 0 || self.has_task_work()
    }

    /// A request that is refused was not queued: the kernel never hears of its memory.
    ///
    /// # Safety
    /// The memory that the request names must stay valid, and be left alone, until its completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the caller's promise is the one that is asked for.
        if unsafe { self.uring().submission().push(entry) }.is_err() {
            self.enter(0, None, None)?;
            // SAFETY: as above.
            unsafe { self.uring().submission().push(entry) }
                .map_err(|_full| io::Error::other("the kernel takes no more requests"))?;
        }
        self.under_way += 1;
        Ok(())
    }

    /// Whether requests wait for an enter.
    pub(super) fn has_unsubmitted(&mut self) -> bool {
        !self.uring().submission().is_empty()
    }

    /// Sends that wait for an enter.
    pub(super) fn fresh_sends(&self) -> usize {
        self.fresh_sends
    }

    /// Whether completions wait in the kernel for an enter.
    pub(super) fn has_task_work(&mut self) -> bool {
        let submission = self.uring().submission();
        submission.taskrun() || submission.cq_overflow()
    }

    /// Whether a send is under way.
    pub(super) fn is_sending(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|row| row.sending)
    }

    /// Completions that can be taken.
    pub(super) fn ready(&mut self) -> usize {
        self.uring().completion().len()
    }

    /// Submits what was pushed, and waits for so many completions: for all of them up to `patience`, for one from then on, and for nothing
    /// beyond `timeout`.
    pub(super) fn enter(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        let Some(patience) =
            patience.filter(|patience| wanted > 1 && timeout.is_none_or(|most| most > *patience))
        else {
            return self.enter_once(wanted, timeout, None);
        };
        if self.has_min_wait {
            // Without a time in which it may wait for one, the kernel waits for none.
            return self.enter_once(wanted, timeout.or(Some(FOREVER)), Some(patience));
        }
        self.enter_once(wanted, Some(patience), None)?;
        if self.ready() > 0 {
            return Ok(());
        }
        self.enter_once(1, timeout.map(|timeout| timeout - patience), None)
    }

    fn enter_once(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        self.enters += 1;
        let time = timeout.map(types::Timespec::from);
        let mut args = types::SubmitArgs::new();
        if let Some(time) = &time {
            args = args.timespec(time);
        }
        if let Some(patience) = patience {
            args = args.min_wait_usec(u32::try_from(patience.as_micros()).unwrap_or(u32::MAX));
        }
        let uring = self.uring.as_mut().expect("taken by `drop` only");
        let entered = if time.is_some() || patience.is_some() {
            uring.submitter().submit_with_args(wanted, &args)
        } else if wanted == 0 {
            // Asks for completions too: the kernel puts none into the queue otherwise.
            let unsubmitted = uring.submission().len() as u32;
            // SAFETY: no argument that is pointed to; the submission queue was synchronised by looking at its length.
            unsafe { uring.submitter().enter::<libc::sigset_t>(unsubmitted, 0, GET_EVENTS, None) }
        } else {
            uring.submit_and_wait(wanted)
        };
        if uring.submission().is_empty() {
            self.fresh_sends = 0;
        }
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is up; a signal; the kernel is short of memory for the moment, or wants completions to be taken first.
                Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes the oldest completion.
    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        loop {
            let entry = self.uring().completion().next()?;
            self.under_way -= 1;
            if let Some(completion) = self.settle(&entry) {
                return Some(completion);
            }
        }
    }

    /// Takes the request's memory back. Answers nothing where nobody is to be told.
    fn settle(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let (lane, kind) = (entry.user_data() >> KIND_BITS, entry.user_data() & ((1 << KIND_BITS) - 1));
        match kind {
            TIMER => return Some(Completion::Timer),
            NOTHING => return Some(Completion::Nothing),
            UPDATE => return None,
            _ => {}
        }
        let lane = lane as usize;
        let row = self.lanes.get_mut(lane)?;
        let tag = row.tag;
        let result = match usize::try_from(entry.result()) {
            Ok(n) => Ok(n),
            Err(_) => Err(io::Error::from_raw_os_error(-entry.result())),
        };
        let completion = match kind {
            RECEIVE => {
                let room = row.room.take()?;
                Some(Completion::Received { tag, room, result })
            }
            WATCH => {
                row.watching = false;
                Some(Completion::Writable { tag })
            }
            _ => {
                row.sending = false;
                let mut failure = row.take_sent(result).err();
                let mut untaken = row.pieces.iter().map(Bytes::len).sum();
                // A signal came between, or the socket was full.
                if untaken > 0 && failure.is_none() && !row.closing {
                    match self.send(lane) {
                        Ok(()) => return None,
                        Err(error) => failure = Some(error),
                    }
                }
                if let Some(row) = self.lanes.get_mut(lane) {
                    row.pieces.clear();
                }
                untaken = if failure.is_some() { untaken } else { 0 };
                Some(Completion::Sent { tag, untaken, failure })
            }
        };
        if !self.lanes.get(lane).is_some_and(|row| row.closing) {
            return completion;
        }
        if self.lanes.get(lane).is_some_and(Lane::is_idle) {
            self.lanes.remove(lane);
        }
        None
    }

    /// Sockets, closing ones included.
    pub(super) fn open_lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Requests that have not completed.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Ends every request and waits for that, then nothing of ours is known to the kernel. `Err` where this thread may not enter the ring.
    fn drain(&mut self) -> io::Result<()> {
        let uring = self.uring();
        // What was pushed and never submitted is no request yet.
        let unsubmitted = uring.submission().len();
        let cancelled = uring.submitter().register_sync_cancel(None, types::CancelBuilder::any());
        if let Err(error) = cancelled
            && !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR))
        {
            // Another thread's, or forbidden meanwhile: a timer would be waited for.
            return Err(error);
        }
        for (_, lane) in &self.lanes {
            let _gone = lane.socket.shutdown(Shutdown::Both);
        }
        while self.under_way > unsubmitted {
            // SAFETY: no argument that is pointed to. Nothing is submitted: what waits in the queue never becomes a request.
            match unsafe { self.uring().submitter().enter::<libc::sigset_t>(0, 1, GET_EVENTS, None) } {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            while self.uring().completion().next().is_some() {
                self.under_way -= 1;
            }
        }
        Ok(())
    }

    /// Lets go of a ring that this thread may not enter, and waits until the kernel has done so too. Answers whether it has.
    fn abandon(&mut self) -> bool {
        drop(self.uring.take());
        let began = Instant::now();
        // The end of the pipe comes when the kernel frees the ring's table, after the last request; there is nothing to read before.
        loop {
            let left = Timespec::try_from(GONE_MAX.saturating_sub(began.elapsed())).unwrap_or_default();
            match poll(&mut [PollFd::new(&self.gone, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                ended => return ended.is_ok_and(|ended| ended > 0),
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // A copy of the process has a copy of the memory, which the kernel does not know; the requests are those of the original.
        if self.process != std::process::id() || self.drain().is_ok() || self.abandon() {
            return;
        }
        // Somebody else holds the ring, a copy of the process most likely. What the kernel may touch is never freed.
        for lane in self.lanes.drain() {
            lane.leak();
        }
    }
}

fn user_data(lane: usize, kind: u64) -> u64 {
    (lane as u64) << KIND_BITS | kind
}

#[cfg(test)]
mod tests;
