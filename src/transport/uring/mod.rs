//! Requests and completions over io_uring: one enter sends to all nodes and sleeps until what is needed has come.
//!
//! ```text
//!   submit A, B, C ─▶ send A  send B  send C ┐
//!   wait ───────────▶ receive A  B  C        ┴▶ enter: submits six, sleeps once ─▶ six completions ─▶ engine
//! ```
//!
//! Every connection has a receive under way at all times, into a buffer of the engine's; a send takes shared bytes of the engine's queue. Both
//! live in the ring until they complete ([`ring`]), whatever becomes of the connection, the pipeline or the client.
//!
//! # How many completions a wait asks for
//!
//! The gain of io_uring is in the number of sleeps, so this is the whole art. A wait for all replies asks for one completion per send and
//! one per node that owes something; a wait for the first event for one more than the sends, which nearly always complete as they are submitted.
//! What it asks for may not come: a node is silent, a reply comes in pieces, a large send cannot end before
//! replies have been read. So it is patient for 5 ms only, and then takes what there is, or the first that comes. A node that was
//! waited for in vain twice is not counted until it is heard of again; with a large send under way, any completion will do.
//!
//! # Sent means handed over
//!
//! A request that has not completed may have sent any part of its bytes. The engine is told that all of them are sent when the request is made,
//! so that a command in it that is lost counts as perhaps executed, never as certainly not.
//!
//! # One thread
//!
//! The kernel lets only one thread use a ring made for a single issuer. A client may move to another thread; this transport then makes
//! itself a new ring, and what was connected through the old one is lost and dialled again.

mod alarm;
mod refusal;
mod ring;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::{Config, Endpoint, Resolver, TcpOptions};
use crate::engine::{ConnId, Engine, Timestamp};
use crate::transport::socket::{open_socket, resolve};
use crate::transport::{Need, Pollable, Transport, TransportStats};

use self::alarm::Alarm;
pub use self::refusal::Refused;
use self::ring::{Completion, PIECES_MAX, Ring};

/// How long a wait for several nodes insists on all of them. Not less than a tick of the kernel's clock: the timer would be the next that
/// the processor has to be woken for, and to set that costs more than the sleeps that are saved (PERF.md).
const PATIENCE: Duration = Duration::from_millis(5);
/// Waits in vain after which a node is not waited for.
const MISSED_MAX: u8 = 2;
/// A send of more bytes may have to wait until the node's replies are read: sockets hold this much each way.
const FITS_BYTES: usize = 128 << 10;

/// The transport for Linux 6.1 and later.
pub struct Uring {
    ring: Ring,
    /// By the connection's row.
    connections: Vec<Option<Connection>>,
    /// Connections without a receive under way.
    unarmed: Vec<ConnId>,
    /// Sends under way that a wait cannot count on.
    large_sends: usize,
    epoch: Instant,
    tcp: TcpOptions,
    resolver: Option<Resolver>,
    spin: Duration,
    stats: TransportStats,
    /// The thread that may use the ring.
    thread: u64,
    alarm: Option<Alarm>,
    /// What `launch` could not tell.
    failure: Option<io::Error>,
}

#[derive(Debug)]
struct Connection {
    conn: ConnId,
    lane: usize,
    /// Not connected yet; the addresses that are left to try.
    connecting: Option<Vec<SocketAddr>>,
    /// Bytes of the send under way that are too many to count on its end.
    is_large: bool,
    /// The wait under way counts on it.
    counted: bool,
    /// Waits in a row that counted on it in vain.
    missed: u8,
    /// Why sending failed; told when everything that had arrived is read.
    failure: Option<String>,
}

impl Uring {
    /// A transport with the socket options and the spinning of this configuration.
    ///
    /// # Errors
    /// Where the system refuses a ring; the message names the cause and what to do.
    pub fn new(config: &Config) -> Result<Self, Refused> {
        Ok(Uring {
            ring: Ring::new().map_err(Refused::new)?,
            connections: Vec::new(),
            unarmed: Vec::new(),
            large_sends: 0,
            epoch: Instant::now(),
            tcp: config.tcp,
            resolver: config.resolver.clone(),
            spin: Duration::from_micros(u64::from(config.spin_us)),
            stats: TransportStats::default(),
            thread: this_thread(),
            alarm: None,
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

    /// Makes a new ring where the client has moved to another thread.
    fn settle_on_this_thread(&mut self, engine: &mut Engine) -> io::Result<()> {
        if self.thread == this_thread() {
            return Ok(());
        }
        // The old one lets go of everything here.
        self.ring = Ring::new()?;
        self.thread = this_thread();
        self.unarmed.clear();
        self.large_sends = 0;
        if let Some(alarm) = &mut self.alarm {
            *alarm = Alarm::default();
        }
        let now = self.now();
        for lost in std::mem::take(&mut self.connections).into_iter().flatten() {
            engine.handle_closed(lost.conn, "the client has moved to another thread", now);
        }
        Ok(())
    }

    /// Begins to connect to the first address that the system lets us try.
    fn dial(&mut self, conn: ConnId, mut addresses: Vec<SocketAddr>) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            self.stats.connects += 1;
            match open_socket(address, &self.tcp) {
                Ok(socket) => {
                    let lane = self.ring.open(socket, conn.to_u64());
                    if let Err(error) = self.ring.watch(lane) {
                        self.ring.close(lane);
                        return Err(error);
                    }
                    if self.connections.len() <= conn.row() {
                        self.connections.resize_with(conn.row() + 1, || None);
                    }
                    self.connections[conn.row()] = Some(Connection {
                        conn,
                        lane,
                        connecting: Some(addresses),
                        is_large: false,
                        counted: false,
                        missed: 0,
                        failure: None,
                    });
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn fail(&mut self, conn: ConnId, reason: &str, engine: &mut Engine, now: Timestamp) {
        self.close(conn);
        engine.handle_closed(conn, reason, now);
    }

    /// Learns how a connect ended.
    fn finish_connect(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) {
        let Some(lane) = self.connection(conn).map(|found| found.lane) else { return };
        let Some(socket) = self.ring.socket(lane) else { return };
        let connected = match socket.take_error() {
            Ok(None) => socket.peer_addr().map(|_| ()),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        // A request on a nonblocking socket would fail at once where it should wait.
        let error = match connected.and_then(|()| socket.set_nonblocking(false)) {
            Ok(()) => {
                if let Some(found) = self.connection(conn) {
                    found.connecting = None;
                }
                self.unarmed.push(conn);
                return engine.handle_connected(conn, now);
            }
            Err(error) => error,
        };
        let rest = self.connection(conn).and_then(|found| found.connecting.take()).unwrap_or_default();
        self.close(conn);
        if rest.is_empty() || self.dial(conn, rest).is_err() {
            engine.handle_closed(conn, &error.to_string(), now);
        }
    }

    /// Makes a send of what the engine has for the node, unless one is under way.
    fn push(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) {
        let Some(found) =
            self.connections.get_mut(conn.row()).and_then(Option::as_mut).filter(|found| found.conn == conn)
        else {
            return;
        };
        if found.connecting.is_some() || found.failure.is_some() {
            return;
        }
        let lane = found.lane;
        let Some(pieces) = self.ring.pieces(lane) else { return };
        engine.share_unsent(conn, pieces, PIECES_MAX);
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        if offered == 0 {
            return;
        }
        found.is_large = offered > FITS_BYTES;
        self.large_sends += usize::from(found.is_large);
        self.stats.writes += 1;
        engine.handle_sent(conn, offered, now);
        if let Err(error) = self.ring.send(lane) {
            self.fail(conn, &error.to_string(), engine, now);
        }
    }

    /// Makes a receive for every connection that has none.
    fn arm_receives(&mut self, engine: &mut Engine) {
        while let Some(conn) = self.unarmed.pop() {
            let Some(lane) = self.connection(conn).map(|found| found.lane) else { continue };
            let Some(room) = engine.lend_recv(conn) else { continue };
            self.stats.reads += 1;
            if let Err(error) = self.ring.receive(lane, room) {
                let now = self.now();
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
        let mut owed = 0;
        for found in self.connections.iter_mut().flatten() {
            found.counted = found.missed < MISSED_MAX
                && if found.connecting.is_some() { true } else { engine.is_owed(found.conn) };
            owed += usize::from(found.counted);
        }
        fresh_sends + owed.max(1)
    }

    /// Enters the ring, after a while of looking for completions without it.
    fn enter(&mut self, wanted: usize, timeout: Option<Duration>) -> io::Result<()> {
        self.stats.waits += 1;
        let mut timeout = timeout;
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
            while self.ring.ready() < wanted && spent < spin {
                // The kernel has completions, and wants this thread to come for them.
                if self.ring.has_task_work() {
                    self.ring.enter(0, None, None)?;
                }
                std::hint::spin_loop();
                spent = began.elapsed();
            }
            if self.ring.ready() >= wanted {
                return Ok(());
            }
            timeout = timeout.map(|timeout| timeout.saturating_sub(spent));
        }
        self.stats.sleeps += 1;
        self.ring.enter(wanted, timeout, Some(PATIENCE))
    }

    /// Tells the engine of a completion. Answers whether it is news.
    fn on_completion(&mut self, completion: Completion, engine: &mut Engine, now: Timestamp) -> bool {
        match completion {
            Completion::Sent { tag, result } => {
                let conn = ConnId::from_u64(tag);
                let Some(found) = self.connection(conn) else { return false };
                let was_large = std::mem::take(&mut found.is_large);
                if let Err(error) = result {
                    // What had arrived before the failure counts: it is read first, up to the end.
                    found.failure = Some(error.to_string());
                    let lane = found.lane;
                    self.ring.shut_down(lane);
                }
                self.large_sends -= usize::from(was_large);
                self.push(conn, engine, now);
                self.ring.fresh_sends() > 0
            }
            Completion::Received { tag, room, result } => {
                let conn = ConnId::from_u64(tag);
                let received = *result.as_ref().unwrap_or(&0);
                engine.handle_received(conn, room, received, now);
                let Some(found) = self.connection(conn) else { return true };
                found.missed = 0;
                found.counted = false;
                match result {
                    Ok(0) => {
                        let failure = found.failure.take();
                        let reason = failure.as_deref().unwrap_or("the server closed the connection");
                        self.fail(conn, reason, engine, now);
                    }
                    Err(error) if !is_transient(&error) => {
                        let reason = found.failure.take().unwrap_or_else(|| error.to_string());
                        self.fail(conn, &reason, engine, now);
                    }
                    _ => self.unarmed.push(conn),
                }
                true
            }
            Completion::Writable { tag } => {
                self.finish_connect(ConnId::from_u64(tag), engine, now);
                true
            }
            Completion::Timer | Completion::Bell => {
                if let Some(alarm) = &mut self.alarm {
                    alarm.acknowledge(matches!(completion, Completion::Bell));
                }
                true
            }
        }
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
            .and_then(|()| resolve(conn, endpoint, self.resolver.as_ref()))
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
        self.push(conn, engine, now);
    }

    fn wait(&mut self, timeout: Option<Duration>, need: Need, engine: &mut Engine) -> io::Result<usize> {
        self.settle_on_this_thread(engine)?;
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.arm_receives(engine);
        let wanted = self.wanted(need, engine);
        self.enter(wanted, timeout)?;
        let now = self.now();
        let mut happened = 0;
        // Only those that are there: what these set off is for the next wait.
        for _ in 0..self.ring.ready() {
            let Some(completion) = self.ring.next_completion() else { break };
            happened += usize::from(self.on_completion(completion, engine, now));
        }
        if need == Need::All {
            self.note_missed();
        }
        Ok(happened)
    }

    fn launch(&mut self) {
        // Receives wait for company, unless somebody watches the descriptor for what they bring.
        if self.ring.fresh_sends() == 0 && (self.alarm.is_none() || !self.ring.has_unsubmitted()) {
            return;
        }
        if let Err(error) = self.ring.enter(0, None, None) {
            self.failure = Some(error);
        }
    }

    fn is_pollable(&self) -> bool {
        self.alarm.is_some()
    }

    fn arm(&mut self, deadline: Option<Timestamp>, work_left: bool) {
        let now = self.now();
        let Some(alarm) = &mut self.alarm else { return };
        if let Err(error) = alarm.set(&mut self.ring, deadline, work_left, now) {
            self.failure = Some(error);
        }
    }

    fn stats(&self) -> TransportStats {
        TransportStats { enters: self.ring.enters, ..self.stats }
    }
}

impl Pollable for Uring {
    fn make_pollable(&mut self) -> io::Result<()> {
        self.alarm.get_or_insert_default();
        Ok(())
    }

    fn pollable(&self) -> BorrowedFd<'_> {
        self.ring.descriptor()
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

/// Whether a receive that failed so is made again.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// A number that no other thread of the process has or had.
fn this_thread() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
