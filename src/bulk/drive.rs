//! Flushing, waiting, pausing, stopping: what a loader does between pushes.

use std::time::Duration;

use crate::bulk::outcome::FlushMark;
use crate::bulk::ring::Fate;
use crate::bulk::{Blocked, Loader, OnError, Pause, Problem, Stop, Summary, Until};
use crate::client::Budget;
use crate::engine::{NO_SLOT, Timestamp};
use crate::error::{Error, Result};
use crate::resp::server_error::{Code, classify};
use crate::transport::{Need, Transport};

/// Commands that must have their outcome before their share of problems counts.
const PERCENT_COMMANDS_MIN: u64 = 1000;

impl<T: Transport> Loader<'_, T> {
    /// Lets everything pushed so far leave, as far as the sockets take it now; the rest follows in turns and waits. A node that is not connected
    /// yet honours it when it is. The mark can be waited for.
    pub fn flush(&mut self) -> FlushMark {
        let mark = FlushMark { pushed: self.ring.pushed() };
        if self.unflushed_commands > 0 {
            self.now = self.client.transport.now();
            self.ring.start_deadlines(&mut self.client.engine, self.now, false);
            self.client.flush();
            self.watch.flushed(&self.client.engine, self.now);
            self.unflushed_commands = 0;
            self.unflushed_bytes = 0;
            self.unflushed_since = None;
            self.flushes += 1;
        }
        mark
    }

    /// Whether every command pushed before this flush has its outcome. As of the last turn or wait.
    pub fn is_settled(&self, mark: FlushMark) -> bool {
        self.ring.passed() >= mark.pushed
    }

    /// Does what can be done without waiting; answers how much that was.
    ///
    /// # Errors
    /// `Io` where polling itself is impossible.
    pub fn turn(&mut self) -> Result<usize> {
        self.flush_if_due();
        let work = self.client.turn_unflushed(Budget::default())?;
        self.collect();
        Ok(work)
    }

    /// Works until that has come to pass, at most for `wait_max`; answers whether it has. With [`Until::Drained`] and [`Until::Room`] it first
    /// flushes what stands in the way.
    ///
    /// # Errors
    /// `Io` where waiting itself is impossible.
    pub fn run_until(&mut self, until: Until, wait_max: Option<Duration>) -> Result<bool> {
        match until {
            Until::Mark(_) => {}
            Until::Drained | Until::Room => {
                self.flush();
            }
        }
        let limit = wait_max.map(|wait| self.client.transport.now().after(wait));
        let reached = self.wait_until(until, limit);
        self.client.leave(false);
        reached
    }

    fn wait_until(&mut self, until: Until, limit: Option<Timestamp>) -> Result<bool> {
        self.client.pump();
        self.collect();
        loop {
            if self.is_reached(until) {
                return Ok(true);
            }
            if limit.is_some_and(|limit| self.now >= limit) {
                return Ok(false);
            }
            let next = limit.into_iter().chain(self.next_look(until)).min();
            let need = if until == Until::Room { Need::First } else { self.client.need() };
            self.client.step(next, need)?;
            self.collect();
        }
    }

    /// When the loader itself has something to do, although nothing arrives.
    fn next_look(&mut self, until: Until) -> Option<Timestamp> {
        let rate = match self.blocked {
            Some(Blocked::Rate) if until == Until::Room && self.paused.is_none() => {
                Some(self.now.after(self.commands.grow(self.now).max(self.bytes.grow(self.now))))
            }
            _ => None,
        };
        let pause = self.paused.as_ref().map(|pause| pause.since.after_ms(self.options.pause_ms_max));
        rate.into_iter().chain(pause).chain(self.flush_due()).min()
    }

    fn is_reached(&mut self, until: Until) -> bool {
        match until {
            Until::Mark(mark) => self.is_settled(mark),
            Until::Drained => self.uncounted() == 0,
            Until::Room => self.has_room(),
        }
    }

    fn has_room(&mut self) -> bool {
        if self.stopped.is_some() || self.problems.len() >= self.options.problems_max {
            return true;
        }
        if self.paused.is_some() {
            return false;
        }
        match self.blocked {
            None | Some(Blocked::Halted | Blocked::Problems) => true,
            Some(Blocked::Window(no_room)) => self.client.engine.has_room_again(no_room, self.window),
            Some(Blocked::Uncommitted) => self.ring.bytes <= self.options.window_total_bytes / 2,
            Some(Blocked::Rate) => self.commands.grow(self.now).max(self.bytes.grow(self.now)).is_zero(),
        }
    }

    fn flush_due(&mut self) -> Option<Timestamp> {
        if self.flush_interval_ms == 0 || self.unflushed_commands == 0 {
            return None;
        }
        Some(self.unflushed_since.get_or_insert(self.now).after_ms(self.flush_interval_ms))
    }

    fn flush_if_due(&mut self) {
        if self.flush_interval_ms > 0 && self.unflushed_commands > 0 {
            self.now = self.client.transport.now();
            if self.flush_due().is_some_and(|due| self.now >= due) {
                self.flush();
            }
        }
    }

    /// Sees what has ended, and what follows from it.
    fn collect(&mut self) {
        self.now = self.client.transport.now();
        self.flush_if_due();
        self.watch.looked(&self.client.engine, self.now);
        self.count_ended();
        self.look_at_refusals();
        self.apply_policy();
        self.update_halted();
    }

    fn count_ended(&mut self) {
        let refused = self.has_given_up_refused();
        let Loader { ring, client, counts, problems, is_ending, .. } = self;
        let mut told = |place: &crate::bulk::ring::Place, error: &Error| {
            let is_cut_short = *is_ending || (refused && is_refusal(error));
            counts.count(place.tag, error);
            problems.push_back(Problem {
                tag: place.tag,
                slot: Some(place.slot).filter(|&slot| slot != NO_SLOT),
                error: error.clone(),
                is_cut_short,
            });
            if is_cut_short { Fate::CutShort } else { Fate::Ended }
        };
        let written = ring.advance(&mut client.engine, &mut told);
        counts.outcomes.written += written;
    }

    fn apply_policy(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        let outcomes = self.counts.outcomes;
        let problems = outcomes.problems();
        match self.options.on_error {
            _ if problems == 0 => {}
            OnError::Stop => {
                if let Some(problem) = self.problems.front() {
                    self.stop(Stop::Problem(problem.error.clone()));
                }
            }
            OnError::Skip { count_max, percent_max } => {
                let percent = problems as f64 * 100.0 / outcomes.total() as f64;
                if count_max.is_some_and(|count| problems > count) {
                    self.stop(Stop::Count { problems });
                } else if outcomes.total() >= PERCENT_COMMANDS_MIN
                    && percent_max.is_some_and(|max| percent > max)
                {
                    self.stop(Stop::Percent { percent });
                }
            }
        }
    }

    /// Servers that take no writes pause the load, and stop it when that takes too long.
    fn look_at_refusals(&mut self) {
        let refusals = self.client.engine.refusals();
        if refusals.count == self.refusals_seen && self.paused.is_none() {
            return;
        }
        let last = refusals.last.clone();
        self.refusals_seen = refusals.count;
        if let Some((row, why)) = last.filter(|_| !self.has_given_up_refused()) {
            let node = self.client.engine.node_name(row);
            let since = self.paused.as_ref().map_or(self.now, |pause| pause.since);
            self.paused = Some(Pause { node, why, since });
        }
        let Some(pause) = &self.paused else { return };
        let paused_for = self.now.since(pause.since);
        let is_over = !self.client.engine.holds_refused();
        if !is_over && paused_for < Duration::from_millis(self.options.pause_ms_max) {
            // No command's time runs meanwhile.
            return self.ring.start_deadlines(&mut self.client.engine, self.now, true);
        }
        self.paused_for += paused_for;
        if let Some(pause) = self.paused.take().filter(|_| !is_over) {
            self.stop(Stop::Refused { node: pause.node, why: pause.why });
            self.wait_no_more();
        }
    }

    fn has_given_up_refused(&self) -> bool {
        self.options.pause_ms_max > 0 && !self.batch_options.waits_out_refusals
    }

    /// What servers refuse from now on is refused for good.
    fn wait_no_more(&mut self) {
        self.batch_options.waits_out_refusals = false;
        for batch in self.ring.batches().collect::<Vec<_>>() {
            if let Some(batch) = self.client.engine.batch_mut(batch) {
                batch.options.waits_out_refusals = false;
            }
        }
    }

    /// Takes no more commands, flushes, and waits for the outcomes of all that were pushed, at most for `wait_max`. What has none then is
    /// given one, exactly as far as is known: `Unknown` where it was sent, `NotExecuted` where it was not. (A command that is given up
    /// like this is [`Problem::is_cut_short`].) Problems can still be taken afterwards.
    ///
    /// # Errors
    /// `Io` where waiting itself is impossible.
    pub fn finish(&mut self, wait_max: Duration) -> Result<Summary> {
        self.flush();
        self.stop(Stop::Finished);
        let waited = self.run_until(Until::Drained, Some(wait_max));
        if self.uncounted() > 0 {
            self.is_ending = true;
            for batch in self.ring.batches().collect::<Vec<_>>() {
                self.client.engine.expire_batch(batch, self.now);
            }
            self.client.engine.handle_timeout(self.now);
            self.client.pump();
            self.collect();
        }
        self.ended.get_or_insert(self.now);
        self.client.leave(false);
        waited.map(|_| self.summary())
    }
}

/// Whether a server took no writes.
fn is_refusal(error: &Error) -> bool {
    let code = error.server().map(|server| classify(server.text().as_bytes()).code());
    matches!(code, Some(Code::Oom | Code::Misconf | Code::NoReplicas))
}
