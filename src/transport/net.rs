//! The transport that a configuration asks for.
//!
//! This module knows which transports there are, and how the choice falls. It refuses to know how any of them works.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

#[cfg(all(feature = "io-uring", target_os = "linux"))]
use super::Uring;
use super::{Mio, Need, Pollable, Transport, TransportStats};
use crate::config::{Config, Endpoint, Transport as Choice};
use crate::engine::{ConnId, Engine, Timestamp};
use crate::error::{Error, ErrorKind, Result};

/// One of the transports to sockets, chosen by [`Config::transport`].
pub struct Net {
    inner: Inner,
    /// Why it is not io_uring, where that was left to us.
    refusal: Option<String>,
}

enum Inner {
    Mio(Box<Mio>),
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    Uring(Box<Uring>),
}

/// The same call on whichever it is.
macro_rules! with {
    ($net:expr, $transport:ident => $call:expr) => {
        match $net {
            Inner::Mio($transport) => $call,
            #[cfg(all(feature = "io-uring", target_os = "linux"))]
            Inner::Uring($transport) => $call,
        }
    };
}

impl Net {
    /// Opens what the configuration asks for.
    ///
    /// # Errors
    /// `Io` where the system gives no poll descriptor, or refuses io_uring and nothing else was allowed; the reason says what to do about it.
    pub fn open(config: &Config) -> Result<Self> {
        match config.transport {
            Choice::Mio => Net::open_mio(config, None),
            Choice::Uring => open_uring(config).map_err(|reason| io_error("cannot use io_uring", reason)),
            Choice::Auto => open_uring(config).or_else(|refusal| Net::open_mio(config, Some(refusal))),
        }
    }

    fn open_mio(config: &Config, refusal: Option<String>) -> Result<Self> {
        let mio =
            Mio::new(config).map_err(|error| io_error("cannot make a poll descriptor", error.to_string()))?;
        Ok(Net { inner: Inner::Mio(Box::new(mio)), refusal })
    }

    /// Which transport it became; never `Auto`.
    pub fn kind(&self) -> Choice {
        match self.inner {
            Inner::Mio(_) => Choice::Mio,
            #[cfg(all(feature = "io-uring", target_os = "linux"))]
            Inner::Uring(_) => Choice::Uring,
        }
    }

    /// Why [`Choice::Auto`] did not become io_uring.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }
}

#[cfg(all(feature = "io-uring", target_os = "linux"))]
fn open_uring(config: &Config) -> std::result::Result<Net, String> {
    let uring = Uring::new(config).map_err(|refused| refused.to_string())?;
    Ok(Net { inner: Inner::Uring(Box::new(uring)), refusal: None })
}

#[cfg(not(all(feature = "io-uring", target_os = "linux")))]
fn open_uring(_config: &Config) -> std::result::Result<Net, String> {
    Err(if cfg!(target_os = "linux") {
        "this program was built without it; build panpipe with the feature io-uring, or choose the transport mio"
    } else {
        "there is io_uring on Linux only; choose the transport mio"
    }
    .to_owned())
}

fn io_error(what: &'static str, reason: String) -> Error {
    Error::not_executed(ErrorKind::Io { what, reason })
}

impl Transport for Net {
    fn now(&self) -> Timestamp {
        with!(&self.inner, transport => transport.now())
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, engine: &mut Engine) {
        with!(&mut self.inner, transport => transport.connect(conn, endpoint, engine))
    }

    fn close(&mut self, conn: ConnId) {
        with!(&mut self.inner, transport => transport.close(conn))
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        with!(&mut self.inner, transport => transport.submit(conn, engine))
    }

    fn wait(&mut self, timeout: Option<Duration>, need: Need, engine: &mut Engine) -> io::Result<usize> {
        with!(&mut self.inner, transport => transport.wait(timeout, need, engine))
    }

    fn launch(&mut self) {
        with!(&mut self.inner, transport => transport.launch())
    }

    fn has_leftovers(&self) -> bool {
        with!(&self.inner, transport => transport.has_leftovers())
    }

    fn is_pollable(&self) -> bool {
        with!(&self.inner, transport => transport.is_pollable())
    }

    fn arm(&mut self, deadline: Option<Timestamp>, work_left: bool) {
        with!(&mut self.inner, transport => transport.arm(deadline, work_left))
    }

    fn stats(&self) -> TransportStats {
        with!(&self.inner, transport => transport.stats())
    }
}

impl Pollable for Net {
    fn make_pollable(&mut self) -> io::Result<()> {
        with!(&mut self.inner, transport => transport.make_pollable())
    }

    fn pollable(&self) -> BorrowedFd<'_> {
        with!(&self.inner, transport => transport.pollable())
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with!(&self.inner, transport => fmt::Debug::fmt(transport, f))
    }
}
