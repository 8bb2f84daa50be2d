//! The descriptor that a host watches: readable for completions, for deadlines, and for work that is left.
//!
//! It is an event counter that the kernel adds to when it has something for the ring, and we where work is left; deadlines are a timer of the
//! ring's. The ring's own descriptor does not serve: a ring that leaves its work to this thread wakes nobody who polls it. The counter also
//! outlives the ring, so that a host need not ask for it again when the client has moved to another thread.
//!
//! Invariant: when `set` returns, the counter is readable if the ring has something, work is left or the deadline has passed; and it is
//! not readable otherwise, so that a host is not woken for what has been dealt with.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::ring::Ring;
use crate::engine::Timestamp;

/// The alarm of one transport that is watched.
#[derive(Debug)]
pub(super) struct Alarm {
    counter: OwnedFd,
    /// When the timer under way rings.
    timer: Option<Timestamp>,
    /// Work was left, and no turn has been made since.
    work_left: bool,
    /// It was made readable by us since the last turn.
    rung: bool,
    /// It may be readable for what has been dealt with.
    stale: bool,
}

impl Alarm {
    /// An alarm that the ring rings.
    pub(super) fn new(ring: &mut Ring) -> io::Result<Self> {
        let counter = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        ring.notify(counter.as_fd())?;
        Ok(Alarm { counter, timer: None, work_left: false, rung: false, stale: true })
    }

    /// Goes over to another ring.
    pub(super) fn follow(&mut self, ring: &mut Ring) -> io::Result<()> {
        self.timer = None;
        self.stale = true;
        ring.notify(self.counter.as_fd())
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }

    /// The timer rang: the next `set` sets it anew.
    pub(super) fn acknowledge_timer(&mut self) {
        self.timer = None;
    }

    /// The ring was entered: what the kernel says meanwhile may be dealt with at once.
    pub(super) fn expect_news(&mut self) {
        self.stale = true;
    }

    /// A turn is made: what was said until now is dealt with.
    pub(super) fn begin_turn(&mut self) {
        self.work_left = false;
        self.rung = false;
        self.stale = true;
    }

    /// Sees to it that it rings by `deadline`, and now if work is left or the ring has something. Costs a system call only where a turn was
    /// made, where a nearer deadline than the timer's is given, or where work is left for the first time.
    pub(super) fn set(
        &mut self,
        ring: &mut Ring,
        deadline: Option<Timestamp>,
        work_left: bool,
        now: Timestamp,
    ) -> io::Result<()> {
        if let Some(wanted) = deadline.filter(|wanted| self.timer.is_none_or(|timer| *wanted < timer)) {
            ring.set_timer(wanted.since(now), self.timer.is_some())?;
            self.timer = Some(wanted);
            self.stale = true;
        }
        self.work_left |= work_left;
        if !self.work_left && !ring.has_news() && std::mem::take(&mut self.stale) {
            // Empty where it was not readable. What comes after this makes it readable again; what came before is seen below.
            let _ = rustix::io::read(&self.counter, &mut [0; 8]);
            self.rung = false;
        }
        if (self.work_left || ring.has_news()) && !self.rung {
            rustix::io::write(&self.counter, &1_u64.to_ne_bytes())?;
            self.rung = true;
        }
        Ok(())
    }
}
