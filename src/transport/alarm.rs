//! Makes the pollable descriptor readable when a deadline comes or work is left over, so that a host that watches nothing but this
//! descriptor calls back in time. A timer descriptor has no millisecond rounding.
//!
//! Set lazily: only a nearer deadline than the armed one costs a system call; an early ring is harmless.

use std::io;

use ::mio::Registry;

use crate::engine::Timestamp;

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use ::mio::unix::SourceFd;
    use ::mio::{Interest, Registry};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A timer that makes its descriptor readable.
    #[derive(Debug)]
    pub(super) struct Timer(OwnedFd);

    impl Timer {
        pub(super) fn new(registry: &Registry) -> std::io::Result<Self> {
            let fd =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            registry.register(
                &mut SourceFd(&fd.as_raw_fd()),
                crate::transport::mio::ALARM_TOKEN,
                Interest::READABLE,
            )?;
            Ok(Timer(fd))
        }

        /// Rings after `wait`, at once where that is zero, never for `None`.
        pub(super) fn set(&self, wait: Option<Duration>) {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = match wait {
                None => zero,
                // A value of zero would disarm it.
                Some(wait) if wait.is_zero() => Timespec { tv_sec: 0, tv_nsec: 1 },
                Some(wait) => {
                    Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) }
                }
            };
            // Fails only for values out of range, which these are not.
            let _ = timerfd_settime(
                &self.0,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: zero, it_value: value },
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    use ::mio::{Registry, Waker};

    /// Without timer descriptors only leftovers wake the host; it must honour `next_deadline` for the rest.
    #[derive(Debug)]
    pub(super) struct Timer(Waker);

    impl Timer {
        pub(super) fn new(registry: &Registry) -> std::io::Result<Self> {
            Waker::new(registry, crate::transport::mio::ALARM_TOKEN).map(Timer)
        }

        pub(super) fn set(&self, wait: Option<Duration>) {
            if wait.is_some_and(|wait| wait.is_zero()) {
                let _ = self.0.wake();
            }
        }
    }
}

/// The alarm of one transport.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: system::Timer,
    /// What the timer is set to; `NEVER` while it is not.
    armed: Timestamp,
}

impl Alarm {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Alarm { timer: system::Timer::new(registry)?, armed: Timestamp::NEVER })
    }

    /// It rang: the next `set` arms it anew. The timer's count need not be read, setting it again resets it.
    pub(super) fn acknowledge(&mut self) {
        self.armed = Timestamp::NEVER;
    }

    /// Sees to it that it rings by `deadline`, and now if work is left.
    pub(super) fn set(&mut self, deadline: Option<Timestamp>, work_left: bool, now: Timestamp) {
        let wanted = if work_left { now } else { deadline.unwrap_or(Timestamp::NEVER) };
        if wanted >= self.armed {
            return;
        }
        self.armed = wanted;
        self.timer.set(Some(wanted.since(now)));
    }
}
