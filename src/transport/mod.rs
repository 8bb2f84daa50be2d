//! Transports move bytes between the engine's buffers and sockets; they decide nothing.
//!
//! A transport has five verbs: `connect`, `close`, `submit` (push what is unsent), `wait`, and `launch` where no wait follows. It uses the engine's transport family
//! ([`Engine::unsent`], [`Engine::lend_recv`], `handle_*`) and nothing else of it, and transports never know of each other.

mod alarm;
pub mod mio;
mod names;
mod net;
mod socket;
#[cfg(all(feature = "io-uring", target_os = "linux"))]
pub mod uring;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::config::Endpoint;
use crate::engine::{ConnId, Engine, Timestamp};

pub use self::mio::Mio;
pub use self::net::Net;
#[cfg(all(feature = "io-uring", target_os = "linux"))]
pub use self::uring::Uring;

/// What a transport has done since it was made. Over mio each write, read and wait is a system call; over io_uring writes and reads are
/// requests, any number of which travel with one enter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Writes to sockets.
    pub writes: u64,
    /// Reads from sockets.
    pub reads: u64,
    /// Waits for readiness or completions, those of zero length included.
    pub waits: u64,
    /// Waits that may have slept.
    pub sleeps: u64,
    /// Calls of io_uring_enter, which submits, waits, or both.
    pub enters: u64,
    /// Sockets made.
    pub connects: u64,
}

impl TransportStats {
    /// System calls that move bytes or wait.
    pub fn system_calls(&self) -> u64 {
        if self.enters > 0 { self.enters } else { self.writes + self.reads + self.waits }
    }
}

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// Whatever happens first: the caller has something to do with it.
    First,
    /// All replies that are owed. The caller need not be woken for each; but what arrives must be told to the engine soon, since a redirect
    /// among them has to be followed and a silent node must not hold it up: a few milliseconds are soon, a silent node's deadline is not.
    All,
}

/// Moves bytes.
///
/// A connection's name ([`ConnId`]) is never used twice, so a late event can be told from a fresh one.
pub trait Transport {
    /// The time, for the engine: read once per turn, never going back.
    fn now(&self) -> Timestamp;

    /// Opens a connection. Success and failure are reported to the engine, at once or later.
    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, engine: &mut Engine);

    /// Closes a connection; nothing is reported.
    fn close(&mut self, conn: ConnId);

    /// Pushes what the engine has to send on a connection, as far as the socket takes it; the rest follows when it takes more. It has left
    /// when the next `wait` or `launch` returns.
    fn submit(&mut self, conn: ConnId, engine: &mut Engine);

    /// Waits until something happens, at most `timeout` (`None`: without limit; zero: not at all), and tells the engine. Answers how many
    /// things happened. `need` says what the caller waits for; waking it earlier than that is always allowed.
    ///
    /// # Errors
    /// Only where waiting itself is impossible; trouble with one connection is told to the engine.
    fn wait(&mut self, timeout: Option<Duration>, need: Need, engine: &mut Engine) -> io::Result<usize>;

    /// Sees to it that what was submitted leaves; called where the caller goes about other business and no `wait` follows. What goes wrong
    /// is told by the next `wait`.
    #[inline]
    fn launch(&mut self) {}

    /// Whether work was left over by the last `wait` (a budget was used up): the next `wait` will not sleep.
    fn has_leftovers(&self) -> bool {
        false
    }

    /// Whether somebody watches the transport's descriptor; only then `arm` is worth calling.
    fn is_pollable(&self) -> bool {
        false
    }

    /// Told at the end of a turn when the engine wants to be woken, so that a pollable descriptor can become readable then.
    fn arm(&mut self, _deadline: Option<Timestamp>, _work_left: bool) {}

    /// What it has done so far.
    fn stats(&self) -> TransportStats;
}

/// A transport that a host can watch with one descriptor.
pub trait Pollable: Transport {
    /// Sees to it that from now on the descriptor speaks for everything, timers included.
    ///
    /// # Errors
    /// Where the system gives no more descriptors.
    fn make_pollable(&mut self) -> io::Result<()>;

    /// The descriptor that becomes readable when [`crate::Client::turn`] has work to do.
    fn pollable(&self) -> BorrowedFd<'_>;
}
