//! The descriptor that a host watches, and what makes it readable: completions, deadlines, work that is left.
//!
//! It is an event descriptor, to which the kernel writes when it has completions, and not the ring's own: with DEFER_TASKRUN the kernel wakes
//! those who watch a ring for completions that it has put into the queue, and not for those that wait to be fetched, which are all that
//! come from the network. It also stays the same when a client that moves to another thread gets itself a new ring.
//!
//! The kernel is told to keep still while the client is at work, since what it takes itself is no news for the host. Deadlines are a timer in
//! the ring, set lazily: only a nearer one than the one that is set costs a system call; an early ring is harmless.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::ring::Ring;
use crate::engine::Timestamp;

/// The alarm of one transport that is watched.
#[derive(Debug)]
pub(super) struct Alarm {
    /// Counts rings; readable from the first until they are taken.
    bell: File,
    /// When the timer under way rings.
    timer: Option<Timestamp>,
    /// We have rung it ourselves.
    rung: bool,
    /// The kernel keeps still, since the last `hush`.
    muted: bool,
}

impl Alarm {
    pub(super) fn new(ring: &mut Ring) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let mut alarm = Alarm { bell: bell.into(), timer: None, rung: false, muted: false };
        alarm.attach(ring)?;
        Ok(alarm)
    }

    /// Makes a new ring ring this bell.
    pub(super) fn attach(&mut self, ring: &mut Ring) -> io::Result<()> {
        self.timer = None;
        ring.attach_bell(self.bell.as_fd())
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The timer rang: the next `set` sets it anew.
    pub(super) fn timer_rang(&mut self) {
        self.timer = None;
    }

    /// The client is at work.
    pub(super) fn hush(&mut self, ring: &mut Ring) -> io::Result<()> {
        ring.mute(true);
        // The kernel may have looked before it was told to keep still, and ring later, when its news have been taken already: so what has rung
        // is taken at the first look after the client was away, whether there are news or not.
        let was_away = !std::mem::replace(&mut self.muted, true);
        if !std::mem::take(&mut self.rung) && !was_away {
            return Ok(());
        }
        match self.bell.read(&mut [0; 8]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// The client goes: sees to it that the descriptor is readable by `deadline`, and now if work is left.
    pub(super) fn set(
        &mut self,
        ring: &mut Ring,
        deadline: Option<Timestamp>,
        work_left: bool,
        now: Timestamp,
    ) -> io::Result<()> {
        if let Some(wanted) = deadline
            && self.timer.is_none_or(|timer| wanted < timer)
        {
            ring.set_timer(wanted.since(now), self.timer.is_some())?;
            self.timer = Some(wanted);
        }
        ring.mute(false);
        self.muted = false;
        // What has come before may not have rung.
        if (work_left || ring.has_news()) && !self.rung {
            self.rung = true;
            self.bell.write_all(&1_u64.to_ne_bytes())?;
        }
        Ok(())
    }
}
