//! Bulk loading: a stream of commands without end, in bounded memory, each with exactly one outcome.
//!
//! A [`Loader`] borrows a client. [`Loader::push`] and [`Loader::push_raw`] take commands, each with a number of the caller's (its *tag*), and
//! never block: they say [`Full`] instead, before anything is queued. What was pushed leaves with the next flush, to all nodes at once;
//! replies are counted and not kept. What was not simply written comes back as a [`Problem`] with its tag. [`Loader::committed`] is the
//! watermark: all tags up to it have their outcome, whatever the nodes in between did, so that a load can be taken up again from there.
//!
#![cfg_attr(feature = "testkit", doc = "```")]
#![cfg_attr(not(feature = "testkit"), doc = "```ignore")]
//! use std::time::Duration;
//!
//! use panpipe::prelude::*;
//! use panpipe::testkit::EmbeddedCluster; // a cluster in this process; yours has a URL of its own
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = EmbeddedCluster::builder().primaries(3).start()?;
//! let mut client = Client::connect(&cluster.url())?;
//! let on_error = OnError::Skip { count_max: Some(100), percent_max: None };
//! let mut loader = client.loader(LoadOptions { on_error, ..LoadOptions::default() })?;
//! for number in 1..=10_000 {
//!     let command = cmd("SET").key(format!("plane:{number}")).arg(number);
//!     loop {
//!         match loader.push(&command, number) {
//!             Ok(()) => break,
//!             Err(PushError::Full(_)) => loader.run_until(Until::Room, None)?,
//!             Err(error) => return Err(error.into()),
//!         };
//!     }
//! }
//! let summary = loader.finish(Duration::from_secs(10))?;
//! while let Some(problem) = loader.next_problem() {
//!     println!("record {}: {}", problem.tag, problem.error);
//! }
//! assert_eq!(loader.committed(), Some(10_000));
//! assert_eq!(summary.outcomes.written, 10_000);
//! # Ok(())
//! # }
//! ```
//!
//! # What it keeps to
//!
//! * **Order.** As everywhere in this library: commands that share a key run in the order in which they were pushed, across redirects,
//!   migrations and reconnects; one that lost its place fails as `Overtaken`.
//! * **Outcomes.** Each command that was pushed has exactly one, at the end of [`Loader::finish`] at the latest: written, or one problem,
//!   whose [`Outcome`](crate::Outcome) says whether it ran.
//! * **Memory.** At most [`LoadOptions::window_total_bytes`] lie between the watermark and the newest command, and of them a node's windows in
//!   the queues; replies of 16 KiB and more are dropped as they come, smaller ones when their chunk of 2048 commands is complete.
//! * **Slow nodes.** A node that lags behind stops nobody until its own window is full, or until it holds up the watermark for longer than
//!   `window_total_bytes` last.
//! * **Servers that take no writes** (OOM, MISCONF, NOREPLICAS) pause the load; what they refuse keeps its place and is tried again.
//!
//! The loader works while it is called, and only then: a caller that does other things for longer calls [`Loader::turn`] meanwhile.
//!
//! This module knows chunks, tags and policies; it refuses to know connections and redirects, which are the engine's. Invariant: outcomes that
//! were counted and commands that are on their way add up to the commands pushed.

mod drive;
mod frame;
mod known;
mod options;
mod outcome;
mod push;
mod rate;
mod ring;
mod summary;
mod unit;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use options::{Flush, LoadOptions, OnError};
pub use outcome::{FlushMark, Full, Problem, PushError, State, Stop, Until};
pub use push::RawKeys;
pub use summary::{ErrorClass, Latency, NodeSummary, Outcomes, Stall, Summary};

use crate::bulk::known::Known;
use crate::bulk::rate::Credit;
use crate::bulk::ring::Ring;
use crate::bulk::summary::{Counts, Watch};
use crate::client::Client;
use crate::engine::{BatchOptions, NoRoom, Timestamp, Window};
use crate::error::{Error, Result, ServerError};
use crate::transport::{Net, Transport};

/// What a push has been refused for.
#[derive(Debug, Clone, Copy)]
enum Blocked {
    Window(NoRoom),
    Uncommitted,
    Problems,
    Rate,
    /// Paused, or stopped.
    Halted,
}

/// Servers that refuse writes.
#[derive(Debug)]
struct Pause {
    node: String,
    why: ServerError,
    since: Timestamp,
}

/// Takes commands; see the [module's documentation](self).
///
/// Dropping it gives up what has not left, and reads and discards the replies to what has.
pub struct Loader<'c, T: Transport = Net> {
    client: &'c mut Client<T>,
    options: LoadOptions,
    batch_options: BatchOptions,
    window: Window,
    ring: Ring,
    known: Known,
    /// The last look at the clock.
    now: Timestamp,
    began: Timestamp,
    ended: Option<Timestamp>,
    /// Why nothing is taken: the load is paused or stopped, or problems wait to be taken. One test on the way of each command.
    halted: bool,
    commands: Credit,
    bytes: Credit,
    unflushed_commands: usize,
    unflushed_bytes: usize,
    flush_commands: usize,
    flush_bytes: usize,
    flush_interval_ms: u64,
    /// When the first of the unflushed was seen by a turn.
    unflushed_since: Option<Timestamp>,
    /// What stood in the way of the last push.
    blocked: Option<Blocked>,
    /// How long the command was.
    blocked_bytes: usize,
    problems: VecDeque<Problem>,
    counts: Counts,
    watch: Watch,
    pushed: u64,
    pushed_bytes: u64,
    flushes: u64,
    refusals_before: u64,
    refusals_seen: u64,
    paused: Option<Pause>,
    paused_for: Duration,
    stopped: Option<Stop>,
    /// What ends now ends because the load does.
    is_ending: bool,
}

impl<'c, T: Transport> Loader<'c, T> {
    pub(crate) fn new(client: &'c mut Client<T>, options: LoadOptions) -> Result<Self> {
        let zero = [options.window_per_node_commands, options.window_per_node_bytes, options.problems_max];
        if zero.contains(&0) || options.window_total_bytes == 0 {
            return Err(Error::config("the windows of a load, and problems_max, must be greater than 0"));
        }
        if options.rate_commands == Some(0) || options.rate_bytes == Some(0) {
            return Err(Error::config("a load at a rate of 0 never ends; leave the rate out for none"));
        }
        let limits = &client.engine.config().limits;
        let window = Window {
            commands: options.window_per_node_commands.min(limits.commands_per_node_max),
            bytes: options.window_per_node_bytes.min(limits.bytes_per_node_max),
        };
        let batch_options = BatchOptions {
            retry_unknown: Some(options.retry_unknown),
            waits_out_refusals: options.pause_ms_max > 0,
            counts_only: true,
            ..BatchOptions::new(options.command_timeout_ms)
        };
        let (flush_bytes, flush_commands, flush_interval_ms) = match options.flush {
            Flush::Explicit => (usize::MAX, usize::MAX, 0),
            Flush::Every { bytes, commands, interval_ms } => (bytes.max(1), commands.max(1), interval_ms),
        };
        let now = client.transport.now();
        let refusals_before = client.engine.refusals().count;
        Ok(Loader {
            ring: Ring::new(&mut client.engine, batch_options),
            watch: Watch::new(&client.engine),
            client,
            batch_options,
            window,
            known: Known::default(),
            now,
            began: now,
            ended: None,
            halted: false,
            commands: Credit::new(options.rate_commands, now),
            bytes: Credit::new(options.rate_bytes, now),
            options,
            unflushed_commands: 0,
            unflushed_bytes: 0,
            flush_commands,
            flush_bytes,
            flush_interval_ms,
            unflushed_since: None,
            blocked: None,
            blocked_bytes: 0,
            problems: VecDeque::new(),
            counts: Counts::default(),
            pushed: 0,
            pushed_bytes: 0,
            flushes: 0,
            refusals_before,
            refusals_seen: refusals_before,
            paused: None,
            paused_for: Duration::ZERO,
            stopped: None,
            is_ending: false,
        })
    }

    /// The client, for its getters.
    pub fn client(&self) -> &Client<T> {
        self.client
    }

    /// The client, for commands of another kind in between: they find the commands pushed so far ahead of them. What they wait for, the load
    /// waits for.
    pub fn client_mut(&mut self) -> &mut Client<T> {
        self.client
    }

    /// The options that it was made with.
    pub fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// The watermark: every command with this tag or a lesser one, of those pushed so far, has its outcome, and its problem was taken where it
    /// has one. Never goes back. `None` while there is no such tag. As of the last turn, wait or flush.
    ///
    /// Several commands may share a tag. The watermark reaches it once all that were pushed have ended: a caller in the middle of such a
    /// group takes that into account.
    pub fn committed(&self) -> Option<u64> {
        let committed = self.ring.committed()?;
        match self.problems.iter().map(|problem| problem.tag).min() {
            Some(tag) if tag <= committed => tag.checked_sub(1),
            _ => Some(committed),
        }
    }

    /// Takes a problem. Those of a tag come before the watermark reaches it.
    pub fn next_problem(&mut self) -> Option<Problem> {
        let problem = self.problems.pop_front();
        if self.problems.len() < self.options.problems_max {
            self.update_halted();
        }
        problem
    }

    /// Whether the load goes on.
    pub fn state(&self) -> State {
        match (&self.stopped, &self.paused) {
            (Some(stop), _) => State::Stopped(stop.clone()),
            (None, Some(pause)) => State::Paused {
                node: pause.node.clone(),
                why: pause.why.clone(),
                since: self.now.since(pause.since),
            },
            (None, None) => State::Running,
        }
    }

    /// Nodes that owe replies and have sent nothing for at least this long.
    pub fn stalls(&self, at_least: Duration) -> Vec<Stall> {
        summary::stalls(&self.client.engine, self.client.transport.now(), at_least)
    }

    /// Commands without an outcome; of split ones, their parts.
    pub fn pending(&self) -> u64 {
        self.ring.unanswered(&self.client.engine)
    }

    /// Commands whose outcome is not counted.
    fn uncounted(&self) -> u64 {
        self.pushed - self.counts.outcomes.total()
    }

    /// Outcomes counted so far. One behind a command that has none yet is counted when all of its chunk of 2048 commands have theirs.
    pub fn outcomes(&self) -> Outcomes {
        self.counts.outcomes
    }

    /// What the load has come to so far. As of the last turn, wait or flush.
    pub fn summary(&self) -> Summary {
        let paused_now = self.paused.as_ref().map_or(Duration::ZERO, |pause| self.now.since(pause.since));
        Summary {
            pushed: self.pushed,
            bytes: self.pushed_bytes,
            outcomes: self.counts.outcomes,
            classes: self.counts.classes(),
            nodes: self.watch.nodes(&self.client.engine),
            flushes: self.flushes,
            refusals: self.client.engine.refusals().count - self.refusals_before,
            paused: self.paused_for + paused_now,
            elapsed: self.ended.unwrap_or(self.now).since(self.began),
        }
    }

    fn update_halted(&mut self) {
        self.halted = self.stopped.is_some()
            || self.paused.is_some()
            || self.problems.len() >= self.options.problems_max;
    }
}

impl<T: Transport> Client<T> {
    /// Opens a loader: a stream of commands without end, each with a number of its own, in bounded memory; see [`bulk`](crate::bulk).
    ///
    /// # Errors
    /// `Config` where the options make no sense.
    pub fn loader(&mut self, options: LoadOptions) -> Result<Loader<'_, T>> {
        Loader::new(self, options)
    }
}

impl<T: Transport> Drop for Loader<'_, T> {
    fn drop(&mut self) {
        for batch in self.ring.batches().collect::<Vec<_>>() {
            self.client.engine.abandon(batch);
        }
    }
}

impl<T: Transport> fmt::Debug for Loader<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("pushed", &self.pushed)
            .field("outcomes", &self.counts.outcomes)
            .field("committed", &self.committed())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
