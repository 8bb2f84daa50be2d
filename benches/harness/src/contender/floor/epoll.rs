//! Readiness through mio: one thread, one nonblocking socket per node, edge-triggered.
//!
//! An edge is told once, so it is used up at once: a write goes on until the kernel takes no more, a read until it brings less than it
//! could. Reads and writes of one node do not wait for each other: a server that stops reading until its answers are read is served.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Carrier, Wire, sockets};
use crate::contender::{Counters, Setting, Setup};
use crate::plan::Plan;

const INBOX_BYTES: usize = 64 << 10;
const EVENTS_MAX: usize = 1024;

pub(super) struct Epoll {
    poll: Poll,
    events: Events,
    sockets: Vec<TcpStream>,
    /// What was read is looked at before anything else is read: one is enough, and stays in the cache.
    inbox: Box<[u8]>,
    spin: Duration,
    counters: Counters,
}

impl Carrier for Epoll {
    type Choice = ();

    fn new(setup: &Setup, _plan: &Plan, (): ()) -> Result<Epoll> {
        let poll = Poll::new()?;
        let mut sockets = Vec::new();
        for (node, stream) in sockets::connect(setup)?.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(stream);
            // Both for good: a socket is told writable again only after it has been full.
            poll.registry().register(&mut socket, Token(node), Interest::READABLE | Interest::WRITABLE)?;
            sockets.push(socket);
        }
        Ok(Epoll {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            sockets,
            inbox: vec![0; INBOX_BYTES].into(),
            spin: Duration::from_micros(u64::from(setup.spin_us)),
            counters: Counters::default(),
        })
    }

    fn pump<W: Wire>(&mut self, wire: &mut W, in_flight_max: u64) -> Result<u64> {
        for node in 0..self.sockets.len() {
            self.write(wire, node)?;
        }
        let mut errors = 0;
        while wire.in_flight() > in_flight_max {
            self.wait()?;
            // All of them, whatever is reached meanwhile: nobody tells them again.
            let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
            for event in &events {
                let node = event.token().0;
                if event.is_writable() {
                    self.write(wire, node)?;
                }
                if event.is_readable() {
                    errors += self.read(wire, node)?;
                }
            }
            self.events = events;
        }
        Ok(errors)
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn settings(&self) -> Vec<Setting> {
        vec![
            ("transport".into(), "epoll, edge-triggered, through mio".into()),
            ("receive buffer".into(), format!("{INBOX_BYTES} bytes, one for all nodes")),
            ("spin".into(), format!("{} us", self.spin.as_micros())),
        ]
    }
}

impl Epoll {
    /// Writes until all has left or the kernel takes no more.
    fn write<W: Wire>(&mut self, wire: &mut W, node: usize) -> Result<()> {
        loop {
            let bytes = wire.unsent(node);
            if bytes.is_empty() {
                return Ok(());
            }
            self.counters.writes += 1;
            match self.sockets[node].write(bytes) {
                Ok(sent) => {
                    self.counters.bytes_written += sent as u64;
                    wire.sent(node, sent);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection broke"),
            }
        }
    }

    /// Reads until there is less than would fit: of a stream that means that it is empty, and that more of it is a new edge.
    fn read<W: Wire>(&mut self, wire: &mut W, node: usize) -> Result<u64> {
        let mut errors = 0;
        loop {
            self.counters.reads += 1;
            match self.sockets[node].read(&mut self.inbox) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => {
                    self.counters.bytes_read += read as u64;
                    errors += wire.received(node, &self.inbox[..read])?;
                    if read < self.inbox.len() {
                        return Ok(errors);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(errors),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection broke"),
            }
        }
    }

    /// Waits for an edge: awake for a while, then asleep.
    fn wait(&mut self) -> Result<()> {
        if !self.spin.is_zero() {
            let end = Instant::now() + self.spin;
            while Instant::now() < end {
                self.poll(Some(Duration::ZERO))?;
                if !self.events.is_empty() {
                    return Ok(());
                }
            }
        }
        self.poll(None)
    }

    fn poll(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.counters.waits += 1;
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            polled => Ok(polled?),
        }
    }
}
