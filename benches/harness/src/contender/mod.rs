//! The contenders: what is compared, behind one trait.
//!
//! A contender lives in a process of its own (see `worker`), so that its processor time, memory, allocations and context switches
//! are its own. Invariant: every contender is given the same plan, sends every command of it, and looks at every reply: an error reply or a
//! value of the wrong kind ends the round or is counted, never skipped.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::measure::Latencies;
use crate::plan::Plan;

mod blocking;
mod floor;
#[cfg(feature = "peers")]
mod fred;
mod loader;
#[cfg(feature = "peers")]
mod on_tokio;
pub(crate) mod panpipe;
#[cfg(feature = "peers")]
mod redis_async;
mod redis_benchmark;
#[cfg(feature = "peers")]
mod redis_standalone;
#[cfg(feature = "peers")]
mod redis_sync;
#[cfg(feature = "peers")]
mod rustis;

/// What a contender is told before it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Addresses of the primaries; each is a seed.
    pub(crate) nodes: Vec<SocketAddr>,
    /// User name and password, where the target asks for them.
    pub(crate) credentials: Option<(Option<String>, String)>,
    /// Whether the nodes form a cluster; a standalone server has one node.
    pub(crate) cluster: bool,
    /// For how long it may look for replies before it sleeps, where it can.
    pub(crate) spin_us: u32,
    /// When the event-driven contenders let commands leave.
    pub(crate) flush_policy: Flush,
}

/// When commands leave, in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flush {
    /// When the caller says so: after each round of taking results.
    Explicit,
    /// Each command at once.
    EachCommand,
    /// With each turn of the loop.
    EachTurn,
    /// When this many bytes or commands wait for a node.
    Threshold { bytes: usize, commands: usize },
}

/// What a contender says of itself: a name and a value.
pub(crate) type Setting = (String, String);

/// What a contender counted itself since it was started, where it can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// System calls that send.
    pub(crate) writes: u64,
    /// System calls that receive.
    pub(crate) reads: u64,
    /// System calls that wait, or that submit and wait.
    pub(crate) waits: u64,
    /// Of the waits, those that may have slept; `None` where it does not tell them from those that only look.
    #[serde(default)]
    pub(crate) sleeps: Option<u64>,
    pub(crate) bytes_written: u64,
    pub(crate) bytes_read: u64,
    /// MOVED and ASK.
    pub(crate) redirects: u64,
}

impl Counters {
    /// What happened since `earlier`.
    pub(crate) fn since(self, earlier: Counters) -> Counters {
        Counters {
            writes: self.writes - earlier.writes,
            reads: self.reads - earlier.reads,
            waits: self.waits - earlier.waits,
            sleeps: self.sleeps.zip(earlier.sleeps).map(|(now, before)| now - before),
            bytes_written: self.bytes_written - earlier.bytes_written,
            bytes_read: self.bytes_read - earlier.bytes_read,
            redirects: self.redirects - earlier.redirects,
        }
    }
}

/// What a contender did by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) flushes: u64,
    pub(crate) commands: u64,
    pub(crate) errors: u64,
}

/// One client, connected.
pub(crate) trait Contender {
    /// Everything about its configuration that could matter to a sceptic: versions, protocol, threads, buffers.
    fn settings(&self) -> Vec<Setting>;

    /// Sends flush `at` of the plan and waits for all its replies. Answers how many of them were errors.
    ///
    /// # Errors
    /// Where the flush as a whole failed.
    fn flush(&mut self, plan: &Plan, at: usize) -> Result<u64>;

    /// Sends flushes one after the other until `commands` are answered, with at most `window` commands in flight. A client without a
    /// window of its own sends a flush at a time.
    ///
    /// # Errors
    /// As [`Contender::flush`].
    fn stream(&mut self, plan: &Plan, commands: u64, window: usize) -> Result<Done> {
        let _a_flush_is_its_window = window;
        let mut done = Done::default();
        while done.commands < commands {
            let at = done.flushes as usize % plan.flushes.len();
            done.errors += self.flush(plan, at)?;
            done.commands += plan.flushes[at].len() as u64;
            done.flushes += 1;
        }
        Ok(done)
    }

    /// Keeps `lanes` batches in flight for that long, each lane with one batch after the other, and records how long each took.
    /// `None` where the client can have but one.
    ///
    /// # Errors
    /// As [`Contender::flush`].
    fn stress(
        &mut self,
        _plan: &Plan,
        _lanes: usize,
        _time: Duration,
        _latencies: &mut Latencies,
    ) -> Result<Option<Done>> {
        Ok(None)
    }

    /// A contender that is another program runs by itself, for about that long. `None`: it is driven flush by flush.
    ///
    /// # Errors
    /// Where the program failed.
    fn run_alone(
        &mut self,
        _plan: &Plan,
        _time: Duration,
        _latencies: &mut Latencies,
    ) -> Result<Option<Done>> {
        Ok(None)
    }

    /// Whether it is another program. Then it is given a number of commands as a stream of them, never as batches.
    fn runs_alone(&self) -> bool {
        false
    }

    /// What it counted itself.
    fn counters(&self) -> Option<Counters> {
        None
    }
}

type Start = fn(&Setup, &Plan) -> Result<Box<dyn Contender>>;

/// Starts the contender that was named.
pub(crate) type Starter = Box<dyn Fn(&Setup, &Plan) -> Result<Box<dyn Contender>>>;

/// A contender as it is listed.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    start: Start,
}

const ENTRIES: &[Entry] = &[
    Entry {
        name: "panpipe",
        about: "this library, mio transport, a pipeline per flush",
        start: panpipe::over_mio,
    },
    #[cfg(target_os = "linux")]
    Entry {
        name: "panpipe-uring",
        about: "the same over its io_uring transport",
        start: panpipe::over_uring,
    },
    Entry {
        name: "loader",
        about: "this library's loader: commands encoded beforehand, a stream with windows of its own",
        start: loader::with_its_windows,
    },
    Entry {
        name: "loader-window",
        about: "the same with the window of the workload",
        start: loader::with_the_window,
    },
    Entry {
        name: "floor",
        about: "no client at all: bytes made beforehand, epoll through mio, replies counted",
        start: floor::prebuilt,
    },
    Entry {
        name: "floor-full",
        about: "no client library, but its least work: slot, owner, encoding, scanning; epoll through mio",
        start: floor::full,
    },
    #[cfg(target_os = "linux")]
    Entry {
        name: "floor-ring",
        about: "floor over io_uring",
        start: |setup, plan| floor::prebuilt_ring(setup, plan, floor::Variant::default()),
    },
    #[cfg(target_os = "linux")]
    Entry {
        name: "floor-full-ring",
        about: "floor-full over io_uring",
        start: |setup, plan| floor::full_ring(setup, plan, floor::Variant::default()),
    },
    Entry {
        name: "blocking-sequential",
        about: "blocking sockets, one node after the other",
        start: blocking::sequential,
    },
    Entry {
        name: "blocking-threads",
        about: "blocking sockets, a thread per node, woken for each flush",
        start: blocking::threads,
    },
    Entry {
        name: "blocking-multiplexed",
        about: "blocking sockets, one thread: write to all nodes, then read from all",
        start: blocking::multiplexed,
    },
    Entry {
        name: "redis-benchmark",
        about: "the program that comes with Redis: neither routes by key nor keeps replies; SET and GET only",
        start: redis_benchmark::start,
    },
    #[cfg(feature = "peers")]
    Entry {
        name: "redis-rs",
        about: "redis-rs, blocking: a cluster pipeline per flush",
        start: redis_sync::start,
    },
    #[cfg(feature = "peers")]
    Entry {
        name: "redis-rs-async",
        about: "redis-rs on tokio: a future per command, as its pipelines cannot span slots",
        start: redis_async::start,
    },
    #[cfg(feature = "peers")]
    Entry {
        name: "redis-rs-standalone",
        about: "redis-rs, blocking, one connection to the first node: for standalone servers and the sink",
        start: redis_standalone::start,
    },
    #[cfg(feature = "peers")]
    Entry {
        name: "fred",
        about: "fred on tokio: a future per command, which it pipelines by itself",
        start: fred::start,
    },
    #[cfg(feature = "peers")]
    Entry { name: "rustis", about: "rustis on tokio: a pipeline per flush", start: rustis::start },
];

/// All that this build has.
pub(crate) fn all() -> impl Iterator<Item = Entry> {
    ENTRIES.iter().copied()
}

/// The ways in which the contenders over io_uring can be told to use it, with what they mean: `floor-ring:first+plain-files` is
/// `floor-ring` with two of them. None of them is one of [`all`].
pub(crate) fn ring_choices() -> &'static [(&'static str, &'static str)] {
    #[cfg(target_os = "linux")]
    return &floor::CHOICES;
    #[cfg(not(target_os = "linux"))]
    return &[];
}

/// The contender of this name, with the choices that stand behind a colon.
///
/// # Errors
/// Where there is none; the message lists them.
pub(crate) fn named(name: &str) -> Result<Starter> {
    if let Some((name, choices)) = name.split_once(':') {
        return with_choices(name, choices);
    }
    let entry = all().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = all().map(|entry| entry.name).collect();
        anyhow::anyhow!("there is no contender {name:?} in this build; there are {}", names.join(", "))
    })?;
    Ok(Box::new(entry.start))
}

/// Refuses a name that [`named`] would refuse.
///
/// # Errors
/// As [`named`].
pub(crate) fn check(name: &str) -> Result<()> {
    named(name).map(drop)
}

#[cfg(target_os = "linux")]
fn with_choices(name: &str, choices: &str) -> Result<Starter> {
    let start = match name {
        "floor-ring" => floor::prebuilt_ring,
        "floor-full-ring" => floor::full_ring,
        _ => anyhow::bail!("{name:?} has no choices: floor-ring and floor-full-ring have"),
    };
    let variant = floor::Variant::with_choices(choices)?;
    Ok(Box::new(move |setup, plan| start(setup, plan, variant)))
}

#[cfg(not(target_os = "linux"))]
fn with_choices(name: &str, choices: &str) -> Result<Starter> {
    anyhow::bail!("{name}:{choices} is a choice of io_uring, which only Linux has");
}

/// The time until which something may run.
pub(crate) fn until(time: Duration) -> Instant {
    Instant::now() + time
}
