//! What a load tells its caller: refusals of a push, problems, states.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Outcome, ServerError};

/// Why a command was not pushed now. Nothing was queued; push it again after [`Loader::run_until`](super::Loader::run_until) with
/// [`Until::Room`], or after turns of your own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Full {
    /// Its node's window, or that between the watermark and the newest command, is full, and some of what fills it has not been flushed.
    Unflushed,
    /// Its node's window is full.
    InFlight,
    /// The window between the watermark and the newest command is full: the oldest command without an outcome holds it up.
    Uncommitted,
    /// As much as a window is held back by redirects, or waits for a node to serve its slot.
    Held,
    /// Too many problems wait to be taken; see [`Loader::next_problem`](super::Loader::next_problem).
    Problems,
    /// Earlier than the rates allow.
    Rate {
        /// How much earlier.
        wait: Duration,
    },
    /// Servers refuse writes for the time being; see [`State::Paused`].
    Paused,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Unflushed => f.write_str("the window is full, some of it not flushed"),
            Full::InFlight => f.write_str("the window of the node is full"),
            Full::Uncommitted => f.write_str("too much has been pushed beyond the oldest unanswered command"),
            Full::Held => f.write_str("too much is held back by redirects"),
            Full::Problems => f.write_str("too many problems wait to be taken"),
            Full::Rate { wait } => write!(f, "the rate allows the next command in {wait:?}"),
            Full::Paused => f.write_str("servers refuse writes"),
        }
    }
}

/// Why a command was not pushed.
#[derive(Debug, Clone, PartialEq)]
pub enum PushError {
    /// Not now.
    Full(Full),
    /// Not any more.
    Stopped(Stop),
    /// This command never: it makes no sense, or does not belong into a load. No count of the loader knows of it.
    Refused(Error),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full(full) => full.fmt(f),
            PushError::Stopped(stop) => stop.fmt(f),
            PushError::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PushError {}

/// Why a load stopped.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// A problem, and the policy is to stop at the first.
    Problem(Error),
    /// More problems than the policy allows.
    Count {
        /// How many.
        problems: u64,
    },
    /// A greater share of problems than the policy allows.
    Percent {
        /// The share.
        percent: f64,
    },
    /// Servers have refused writes for too long.
    Refused {
        /// Who refused last.
        node: String,
        /// With what words.
        why: ServerError,
    },
    /// [`Loader::finish`](super::Loader::finish) was called.
    Finished,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Problem(error) => write!(f, "stopped at the first problem: {error}"),
            Stop::Count { problems } => write!(f, "stopped after {problems} problems"),
            Stop::Percent { percent } => write!(f, "stopped after {percent:.2} % problems"),
            Stop::Refused { node, why } => write!(f, "stopped: {node} takes no writes: {why}"),
            Stop::Finished => f.write_str("the load is finished"),
        }
    }
}

/// How a load stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It takes commands.
    Running,
    /// Servers refuse writes: nothing is taken, what they refused is tried again from time to time.
    Paused {
        /// Who refused last.
        node: String,
        /// With what words.
        why: ServerError,
        /// For how long by now.
        since: Duration,
    },
    /// It takes nothing any more. What was pushed goes on to its outcomes.
    Stopped(Stop),
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Every command pushed before this flush has its outcome.
    Mark(FlushMark),
    /// Every command pushed so far has its outcome.
    Drained,
    /// Pushing is worth another try after [`Full`]: half of the window that was full is free again. Also where it never will be, because the
    /// load has stopped or problems wait to be taken: the push says so.
    Room,
}

/// Names one flush of a loader: later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FlushMark {
    /// Commands pushed before it.
    pub(super) pushed: u64,
}

/// A command that was not simply written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The number that it was pushed with.
    pub tag: u64,
    /// Its hash slot, where it has one.
    pub slot: Option<u16>,
    /// What went wrong; see its [`outcome`](Error::outcome), [`node`](Error::node) and [`attempts`](Error::attempts).
    pub error: Error,
    /// It ended because the load did: its time was cut short by [`Loader::finish`](super::Loader::finish), or it had been refused for so long
    /// that the load stopped. The watermark does not pass it.
    pub is_cut_short: bool,
}

impl Problem {
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        self.error.kind()
    }

    /// Whether the command ran.
    pub fn outcome(&self) -> Outcome {
        self.error.outcome()
    }

    /// The node that it was last sent to.
    pub fn node(&self) -> Option<&str> {
        self.error.node()
    }

    /// How often it was sent.
    pub fn attempts(&self) -> u32 {
        self.error.attempts()
    }

    /// What went wrong in words: those of the server where it was the server, with the place of the command within a transaction.
    pub fn text(&self) -> String {
        match self.error.kind() {
            ErrorKind::Server(error) | ErrorKind::Auth(error) => error.text().to_owned(),
            kind @ ErrorKind::UnitRefused { .. } => kind.to_string(),
            _ => self.error.to_string(),
        }
    }
}
