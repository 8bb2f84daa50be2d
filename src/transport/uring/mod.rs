//! Requests and completions over io_uring: one enter sends to all nodes and sleeps until what is needed has come.
//!
//! ```text
//!   submit A, B, C ─▶ send A  send B  send C ┐
//!   wait ───────────▶ receive A  B  C        ┴▶ enter: submits six, sleeps once ─▶ six completions ─▶ engine
//! ```
//!
//! Every connection has a receive under way at all times, into a buffer of the engine's; a send takes shared bytes of the engine's queue. Both
//! live in the ring until they complete (`ring.rs`), whatever becomes of the connection, the pipeline or the client.
//!
//! # How many completions a wait asks for
//!
//! The gain of io_uring is in the number of sleeps, so this is the whole art. A wait for all replies asks for one completion per send and
//! one per node that owes something; a wait for the first event for one more than the sends, which nearly always complete as they are submitted.
//! What it asks for may not come: a node is silent, a reply comes in pieces, a large send cannot end before
//! replies have been read. So it is patient for 5 ms only, and then takes what there is, or the first that comes. A node that was
//! waited for in vain twice is slow, and not counted beside others until it is heard of again; with a large send under way, any completion will do.
//! A single command enters once to send and once to wait: its reply is often there by then, and nobody has to sleep.
//!
//! # Sent means handed over
//!
//! A request that has not completed may have sent any part of its bytes. The engine is told that all of them are sent when the request is made,
//! so that a command in it that is given up counts as perhaps executed, never as certainly not. A connection that breaks tells first what its last
//! request had sent: what was not, certainly did not run.
//!
//! # One thread
//!
//! The kernel lets only one thread use a ring made for a single issuer. A client may move to another thread, or find itself in a copy of the
//! process; this transport then makes itself a new ring, and what was connected through the old one is lost and dialled again.

mod alarm;
mod connection;
mod home;
mod lane;
mod refusal;
mod ring;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::config::{Config, Endpoint, TcpOptions};
use crate::engine::{ConnId, Engine, Timestamp};
use crate::transport::names::Names;
use crate::transport::{Need, Pollable, Transport, TransportStats};

use self::alarm::Alarm;
use self::connection::Connection;
use self::home::Home;
pub use self::refusal::Refused;
use self::ring::Ring;

/// How long a wait for several nodes insists on all of them. Not less than a tick of the kernel's clock: the timer would be the next that
/// the processor has to be woken for, and to set that costs more than the sleeps that are saved (PERF.md).
const PATIENCE: Duration = Duration::from_millis(5);
/// Waits in vain after which a node is not waited for.
const MISSED_MAX: u8 = 2;

/// The transport for Linux 6.1 and later.
pub struct Uring {
    ring: Ring,
    /// By the connection's row.
    connections: Vec<Option<Connection>>,
    /// Connections without a receive under way.
    unarmed: Vec<ConnId>,
    /// Connections that were lost with the ring of another thread, of which the engine has not been told.
    lost: Vec<ConnId>,
    /// Sends under way that a wait cannot count on.
    large_sends: usize,
    epoch: Instant,
    tcp: TcpOptions,
    names: Names,
    spin: Duration,
    stats: TransportStats,
    /// Where the ring may be used.
    home: Home,
    alarm: Option<Alarm>,
    /// News that were told to the engine ahead of the next wait.
    early: usize,
    /// What `launch` could not tell.
    failure: Option<io::Error>,
}

impl Uring {
    /// A transport with the socket options and the spinning of this configuration.
    ///
    /// # Errors
    /// Where the system refuses a ring; the message names the cause and what to do.
    pub fn new(config: &Config) -> Result<Self, Refused> {
        Home::watch_for_copies();
        Ok(Uring {
            ring: Ring::new().map_err(Refused::new)?,
            connections: Vec::new(),
            unarmed: Vec::new(),
            lost: Vec::new(),
            large_sends: 0,
            epoch: Instant::now(),
            tcp: config.tcp,
            names: Names::new(config.resolver.clone()),
            spin: Duration::from_micros(u64::from(config.spin_us)),
            stats: TransportStats::default(),
            home: Home::here(),
            alarm: None,
            early: 0,
            failure: None,
        })
    }

    /// Requests that the kernel has not completed; each connection has one at least, its receive.
    pub fn requests_under_way(&self) -> usize {
        self.ring.under_way()
    }

    /// Sockets that are open, those included whose connection is closed and whose requests have not ended yet.
    pub fn sockets(&self) -> usize {
        self.ring.open_lanes()
    }

    fn connection(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.connections.get_mut(conn.row()).and_then(Option::as_mut).filter(|found| found.conn == conn)
    }

    /// Makes a new ring where the client has moved to another thread, and tells what was lost with the old one.
    fn settle_on_this_thread(&mut self, engine: &mut Engine) -> io::Result<()> {
        self.move_to_this_thread()?;
        if !self.lost.is_empty() {
            let now = self.now();
            for lost in std::mem::take(&mut self.lost) {
                self.early += 1;
                engine.handle_closed(lost, "the client has moved to another thread", now);
            }
        }
        Ok(())
    }

    /// Makes a new ring where the client has moved to another thread.
    fn move_to_this_thread(&mut self) -> io::Result<()> {
        let here = Home::here();
        if self.home == here {
            return Ok(());
        }
        let mut ring = Ring::new()?;
        ring.enters += self.ring.enters;
        match &mut self.alarm {
            Some(alarm) if self.home.is_of_same_process(here) => alarm.attach(&mut ring)?,
            // What a copy reads from the bell, the original would not hear.
            Some(alarm) => *alarm = Alarm::new(&mut ring)?,
            None => {}
        }
        // The old one lets go of everything here.
        self.ring = ring;
        self.home = here;
        self.unarmed.clear();
        self.large_sends = 0;
        // What went wrong with the old ring says nothing of the new one.
        self.failure = None;
        self.lost.extend(self.connections.drain(..).flatten().map(|lost| lost.conn));
        Ok(())
    }

    /// Makes a receive for every connection that has none.
    fn arm_receives(&mut self, engine: &mut Engine) {
        while let Some(conn) = self.unarmed.pop() {
            let Some(lane) = self.connection(conn).map(|found| found.lane) else { continue };
            let Some(room) = engine.lend_recv(conn) else { continue };
            self.stats.reads += 1;
            if let Err(error) = self.ring.receive(lane, room) {
                let now = self.now();
                self.early += 1;
                self.fail(conn, &error.to_string(), engine, now);
            }
        }
    }

    /// How many completions end this wait.
    fn wanted(&mut self, need: Need, engine: &Engine) -> usize {
        if self.large_sends > 0 {
            return 1;
        }
        let fresh_sends = self.ring.fresh_sends();
        if need == Need::First {
            return fresh_sends + 1;
        }
        let (mut prompt, mut slow) = (0, 0);
        for found in self.connections.iter_mut().flatten() {
            let is_owed = found.connecting.is_some() || engine.is_owed(found.conn);
            found.counted = is_owed && found.missed < MISSED_MAX;
            prompt += usize::from(found.counted);
            slow += usize::from(is_owed && !found.counted);
        }
        // Once the slow ones are all that is owed, nobody is held up by waiting for several of them at a time.
        fresh_sends + if prompt > 0 { prompt } else { slow.max(1) }
    }

    /// Enters the ring, after a while of looking for completions without it.
    fn enter(&mut self, wanted: usize, timeout: Option<Duration>) -> io::Result<()> {
        self.stats.waits += 1;
        let mut timeout = timeout;
        let is_lone = wanted == 2 && self.ring.fresh_sends() == 1;
        if timeout == Some(Duration::ZERO) {
            if self.ring.has_unsubmitted() || self.ring.has_task_work() {
                self.ring.enter(0, None, None)?;
            }
            return Ok(());
        }
        if !self.spin.is_zero() {
            self.ring.enter(0, None, None)?;
            let (began, mut spent) = (Instant::now(), Duration::ZERO);
            let spin = timeout.map_or(self.spin, |timeout| timeout.min(self.spin));
            // As patient as asleep: what has come is not held up by what has not.
            while self.ring.ready() < wanted && spent < spin && (spent < PATIENCE || self.ring.ready() == 0) {
                // The kernel has completions, and wants this thread to come for them.
                if self.ring.has_task_work() {
                    self.ring.enter(0, None, None)?;
                }
                std::hint::spin_loop();
                spent = began.elapsed();
            }
            if self.ring.ready() >= wanted || (spent >= PATIENCE && self.ring.ready() > 0) {
                return Ok(());
            }
            timeout = timeout.map(|timeout| timeout.saturating_sub(spent));
        }
        if is_lone && self.spin.is_zero() {
            // A lone reply is often back before the second enter sleeps, and that is worth more than the enter costs (PERF.md).
            self.ring.enter(0, None, None)?;
            if self.ring.ready() >= wanted {
                return Ok(());
            }
        }
        self.stats.sleeps += 1;
        // Nothing is held up by a wait for one completion more.
        let patience = Some(PATIENCE).filter(|_| wanted > self.ring.ready() + 1);
        self.ring.enter(wanted, timeout, patience)
    }

    /// Takes those completions that are there: what these set off is for the next time. Answers how many are news.
    fn take_completions(&mut self, engine: &mut Engine, now: Timestamp) -> usize {
        let mut happened = 0;
        for _ in 0..self.ring.ready() {
            let Some(completion) = self.ring.next_completion() else { break };
            happened += usize::from(self.on_completion(completion, engine, now));
        }
        happened
    }

    /// Those that the wait counted on and that did not come.
    fn note_missed(&mut self) {
        for found in self.connections.iter_mut().flatten() {
            if std::mem::take(&mut found.counted) {
                found.missed = found.missed.saturating_add(1);
            }
        }
    }
}

impl Transport for Uring {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, engine: &mut Engine) {
        let dialled = self
            .settle_on_this_thread(engine)
            .and_then(|()| self.names.resolve(conn, endpoint))
            .and_then(|addresses| self.dial(conn, addresses));
        if let Err(error) = dialled {
            let now = self.now();
            engine.handle_closed(conn, &error.to_string(), now);
        }
    }

    fn close(&mut self, conn: ConnId) {
        let Some(found) = self.connection(conn) else { return };
        let (lane, is_large) = (found.lane, found.is_large);
        self.large_sends -= usize::from(is_large);
        self.connections[conn.row()] = None;
        self.ring.close(lane);
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        if let Err(error) = self.settle_on_this_thread(engine) {
            self.failure = Some(error);
            return;
        }
        let now = self.now();
        // The send that is in the way has nearly always ended; no wait may come for a while, and these bytes are to leave now.
        let lane = self.connection(conn).map(|found| found.lane);
        if lane.is_some_and(|lane| self.ring.is_sending(lane)) {
            self.early += self.take_completions(engine, now);
        }
        self.push(conn, engine, now);
    }

    fn wait(&mut self, timeout: Option<Duration>, need: Need, engine: &mut Engine) -> io::Result<usize> {
        self.settle_on_this_thread(engine)?;
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if let Some(alarm) = &mut self.alarm {
            alarm.hush(&mut self.ring)?;
        }
        self.arm_receives(engine);
        let timeout = if self.early > 0 { Some(Duration::ZERO) } else { timeout };
        let wanted = self.wanted(need, engine);
        self.enter(wanted, timeout)?;
        let now = self.now();
        let happened = std::mem::take(&mut self.early) + self.take_completions(engine, now);
        if need == Need::All {
            self.note_missed();
        }
        if self.alarm.is_some() {
            // They bring what the host waits for: they leave with `launch`, not with the next wait.
            self.arm_receives(engine);
        }
        Ok(happened)
    }

    fn launch(&mut self) {
        // Receives wait for company, unless somebody watches the descriptor for what they bring.
        if self.ring.fresh_sends() == 0 && (self.alarm.is_none() || !self.ring.has_unsubmitted()) {
            return;
        }
        if let Err(error) = self.move_to_this_thread().and_then(|()| self.ring.enter(0, None, None)) {
            self.failure = Some(error);
        }
    }

    fn is_pollable(&self) -> bool {
        self.alarm.is_some()
    }

    fn arm(&mut self, deadline: Option<Timestamp>, work_left: bool) {
        let now = self.now();
        let moved = self.move_to_this_thread();
        let work_left = work_left || !self.lost.is_empty();
        let Some(alarm) = &mut self.alarm else { return };
        // Receives that were left to the next wait when nobody watched yet.
        let work_left = work_left || !self.unarmed.is_empty() || self.early > 0;
        if let Err(error) = moved.and_then(|()| alarm.set(&mut self.ring, deadline, work_left, now)) {
            self.failure = Some(error);
        }
    }

    fn stats(&self) -> TransportStats {
        TransportStats { enters: self.ring.enters, ..self.stats }
    }
}

impl Pollable for Uring {
    fn make_pollable(&mut self) -> io::Result<()> {
        self.move_to_this_thread()?;
        if self.alarm.is_none() {
            self.alarm = Some(Alarm::new(&mut self.ring)?);
        }
        Ok(())
    }

    fn pollable(&self) -> BorrowedFd<'_> {
        self.alarm.as_ref().map_or_else(|| self.ring.descriptor(), Alarm::descriptor)
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("sockets", &self.sockets())
            .field("requests_under_way", &self.requests_under_way())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
