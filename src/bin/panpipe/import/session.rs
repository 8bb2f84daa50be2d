//! The loop: read, push until there is no room, flush, turn; wait only where there is nothing to read or no room.
//!
//! Knows when to wait, when to look after checkpoint and progress, and how a load ends. Refuses to know records and commands.
//! Invariant: however it ends, what is under way gets the time to have its outcome, and the checkpoint says how far it got.

use std::time::{Duration, Instant};

use panpipe::bulk::{Full, State, Stop, Until};

use super::feed::{Fed, Feed};
use super::ledger::Position;
use super::log::Log;
use super::meter::{Meter, NodeSample, Sample};
use super::signals::Signals;
use crate::failure::{CLUSTER, Failure, STOPPED};

/// No wait is longer: progress, checkpoint and signals are looked at in between.
const TICK: Duration = Duration::from_millis(100);
/// How long one look at a quiet input may last while replies are owed.
const GLANCE: Duration = Duration::from_millis(5);
/// How long an interrupted load waits for what is under way.
const DRAIN: Duration = Duration::from_secs(10);

/// How it ended.
#[derive(Debug)]
pub(super) enum Ending {
    Complete,
    Stopped(Failure),
    Interrupted,
}

/// What is left of a session when it is over.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) ending: Ending,
    pub(super) loader: panpipe::bulk::Summary,
    pub(super) began: Instant,
    pub(super) elapsed: Duration,
}

pub(super) struct Session<'s, 'c> {
    pub(super) feed: &'s mut Feed<'c>,
    pub(super) log: &'s mut Log,
    pub(super) meter: &'s mut Meter,
    pub(super) signals: &'s Signals,
    /// How long a command may take.
    pub(super) patience: Duration,
    /// How long what was pushed may wait for more, where the input is quiet.
    pub(super) flush_interval: Duration,
}

impl Session<'_, '_> {
    /// Loads, ends in good order, and says how that was.
    pub(super) fn run(mut self) -> Closed {
        let began = Instant::now();
        self.meter.begin(sample(self.feed));
        let ending = self.load().unwrap_or_else(Ending::Stopped);
        self.close(ending, began)
    }

    fn load(&mut self) -> Result<Ending, Failure> {
        let mut quiet_since: Option<Instant> = None;
        loop {
            if self.signals.is_asked() {
                return Ok(Ending::Interrupted);
            }
            let fed = self.feed.feed()?;
            if let Fed::Waiting = fed {
                self.wait_for_input(&mut quiet_since)?;
            } else {
                quiet_since = None;
                self.feed.turn()?;
            }
            self.tend()?;
            // What a load that stopped has cut short is no reason of its own.
            if let State::Stopped(stop) = self.feed.loader.state() {
                return Err(stopped(&stop));
            }
            if let Some(verdict) = self.feed.verdict() {
                return Err(verdict);
            }
            match fed {
                Fed::Batch | Fed::Waiting => {}
                Fed::Stopped(stop) => return Err(stopped(&stop)),
                Fed::Ended if self.feed.is_settled() => return Ok(Ending::Complete),
                Fed::Ended => self.wait(Until::Drained, TICK)?,
                // When the oldest flush is answered, the watermark moves.
                Fed::Kept => match self.feed.oldest_flush() {
                    Some(mark) => self.wait(Until::Mark(mark), TICK)?,
                    None => self.wait(Until::Drained, TICK)?,
                },
                Fed::Full(Full::Rate { wait }) => self.wait(Until::Room, wait.min(TICK))?,
                Fed::Full(_) => self.wait(Until::Room, TICK)?,
            }
        }
    }

    /// The input is quiet: what was pushed leaves after a moment, and replies are taken as they come.
    fn wait_for_input(&mut self, quiet_since: &mut Option<Instant>) -> Result<(), Failure> {
        let since = *quiet_since.get_or_insert_with(Instant::now);
        let more = self.flush_interval.saturating_sub(since.elapsed());
        if !more.is_zero() {
            self.feed.input.wait(more.min(TICK));
            return self.feed.settle();
        }
        self.feed.turn()?;
        if self.feed.is_answered() {
            self.feed.input.wait(TICK);
            return Ok(());
        }
        self.wait(Until::Drained, GLANCE)
    }

    fn wait(&mut self, until: Until, limit: Duration) -> Result<(), Failure> {
        if let State::Stopped(stop) = self.feed.loader.state() {
            return Err(stopped(&stop));
        }
        let waited = self.feed.loader.run_until(until, Some(limit));
        waited.map_err(|error| Failure::new(CLUSTER, format!("cannot go on: {error}")))?;
        self.feed.settle()
    }

    /// What is due now and then.
    fn tend(&mut self) -> Result<(), Failure> {
        let feed = &mut *self.feed;
        self.meter.tick(|| sample(feed));
        self.log.note(&mut feed.ledger)
    }

    /// What is under way gets its outcome, or the time for it; then the books are closed.
    fn close(mut self, mut ending: Ending, began: Instant) -> Closed {
        let limit = match &ending {
            Ending::Interrupted => DRAIN.min(self.patience),
            Ending::Complete | Ending::Stopped(_) => self.patience,
        };
        if let Err(failure) = self.drain(Instant::now() + limit) {
            ending.worsen(failure);
        }
        let loader = self.feed.loader.finish(Duration::ZERO).unwrap_or_else(|error| {
            ending.worsen(Failure::new(CLUSTER, format!("cannot go on: {error}")));
            self.feed.loader.summary()
        });
        if let Err(failure) = self.feed.give_up() {
            ending.worsen(failure);
        }
        let is_complete = matches!(ending, Ending::Complete);
        if let Err(failure) = self.log.end(&mut self.feed.ledger, is_complete) {
            ending.worsen(failure);
        }
        self.meter.end();
        Closed { ending, loader, began, elapsed: began.elapsed() }
    }

    fn drain(&mut self, limit: Instant) -> Result<(), Failure> {
        while Instant::now() < limit {
            if self.feed.is_within_record() {
                self.feed.push_begun();
            }
            self.feed.turn()?;
            let is_stopped = matches!(self.feed.loader.state(), State::Stopped(_));
            // A loader that has stopped takes no second half of a record.
            if self.feed.loader.pending() == 0 && (is_stopped || !self.feed.is_within_record()) {
                break;
            }
            if is_stopped {
                self.feed
                    .loader
                    .run_until(Until::Drained, Some(TICK))
                    .map_err(|error| Failure::new(CLUSTER, format!("cannot go on: {error}")))?;
            } else {
                self.wait(Until::Drained, TICK)?;
            }
            self.tend()?;
        }
        Ok(())
    }
}

impl Ending {
    /// Something went wrong on the way out.
    fn worsen(&mut self, failure: Failure) {
        let before = std::mem::replace(self, Ending::Complete);
        *self = Ending::Stopped(match before {
            Ending::Stopped(first) => first.join(failure),
            Ending::Complete | Ending::Interrupted => failure,
        });
    }
}

fn stopped(stop: &Stop) -> Failure {
    let failure = Failure::new(STOPPED, stop.to_string());
    match stop {
        Stop::Refused { .. } => {
            failure.hint("give the servers what they lack, then go on: with --checkpoint by --resume")
        }
        _ => failure,
    }
}

/// The load at this moment.
fn sample(feed: &mut Feed<'_>) -> Sample {
    let Position { record, offset } = feed.ledger.done();
    let done = crate::input::Position { records: record, offset };
    let stats = feed.loader.client().stats().total;
    let stalls = feed.loader.stalls(Duration::ZERO);
    let node = |info: panpipe::engine::NodeInfo| {
        let name = info.endpoint?.to_string();
        let silent =
            stalls.iter().find(|stall| stall.node == name).map_or(Duration::ZERO, |stall| stall.silent);
        (info.primary && !info.slots.is_empty()).then_some(NodeSample {
            name,
            replies: info.stats.replies,
            silent,
        })
    };
    let paused = match feed.loader.state() {
        State::Paused { node, why, since } => {
            Some(format!("{node} refuses writes for {} s: {why}", since.as_secs()))
        }
        State::Running | State::Stopped(_) => None,
    };
    Sample {
        // What is done, not what was read: a small input is read at once.
        share: feed.input.share_of(done),
        records: record,
        failures: feed.ledger.failures,
        redirects: stats.moved + stats.asks,
        nodes: feed.loader.client().nodes().into_iter().filter_map(node).collect(),
        paused,
    }
}
