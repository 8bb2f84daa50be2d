//! Makes the ring's descriptor readable for deadlines and for work that is left: a timer and a request that completes at once, both in the
//! ring itself. Set lazily: only a nearer deadline than the one that is set costs a system call; an early ring is harmless.

use std::io;

use super::ring::Ring;
use crate::engine::Timestamp;

/// The alarm of one transport that is watched.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// When the timer under way rings.
    timer: Option<Timestamp>,
    /// It rings already.
    bell: bool,
}

impl Alarm {
    /// It rang: the next `set` sets it anew.
    pub(super) fn acknowledge(&mut self, bell: bool) {
        if bell {
            self.bell = false;
        } else {
            self.timer = None;
        }
    }

    /// Sees to it that it rings by `deadline`, and now if work is left.
    pub(super) fn set(
        &mut self,
        ring: &mut Ring,
        deadline: Option<Timestamp>,
        work_left: bool,
        now: Timestamp,
    ) -> io::Result<()> {
        if work_left && !self.bell {
            self.bell = true;
            ring.bell();
            ring.enter(0, None, None)?;
        }
        let Some(wanted) = deadline else { return Ok(()) };
        if self.timer.is_none_or(|timer| wanted < timer) {
            ring.set_timer(wanted.since(now), self.timer.is_some())?;
            self.timer = Some(wanted);
        }
        Ok(())
    }
}
