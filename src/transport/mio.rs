//! Nonblocking sockets over mio.
//!
//! Each socket is registered once, for both directions; mio is edge-triggered, so a flush costs one write per node and no
//! `epoll_ctl`. A read that fills less than the buffer ends a drain (the next byte makes a new edge), unless the peer has closed. Writes
//! go out at once; only a socket that took less than it was offered waits for its writable edge.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ::mio::event::Event;
use ::mio::net::TcpStream;
use ::mio::{Events, Interest, Poll, Token};
use smallvec::SmallVec;

use crate::config::{Config, Endpoint, TcpOptions};
use crate::engine::{ConnId, Engine, Timestamp};
use crate::transport::alarm::Alarm;
use crate::transport::names::Names;
use crate::transport::socket::{open_socket, write};
use crate::transport::{Need, Pollable, Transport, TransportStats};

/// Most bytes read from one node before the others get their turn.
const READ_QUANTUM_BYTES: usize = 1 << 20;
const EVENTS_MAX: usize = 512;

/// The default transport.
pub struct Mio {
    poll: Poll,
    events: Events,
    /// By the connection's row.
    sockets: Vec<Option<Socket>>,
    /// Connections whose turn ended before they were drained.
    unread: VecDeque<ConnId>,
    unwritten: VecDeque<ConnId>,
    epoch: Instant,
    tcp: TcpOptions,
    names: Names,
    spin: Duration,
    stats: TransportStats,
    /// Makes the pollable descriptor readable for timers and leftovers; made when somebody asks for the descriptor.
    alarm: Option<Alarm>,
}

#[derive(Debug)]
struct Socket {
    conn: ConnId,
    stream: TcpStream,
    /// Not connected yet; the addresses that are left to try.
    connecting: Option<Vec<SocketAddr>>,
    /// The peer will send no more: a short read does not end a drain any more.
    read_closed: bool,
    /// The kernel's buffer is full; its writable edge will come.
    blocked: bool,
}

impl Mio {
    /// A transport with the socket options and the spinning of this configuration.
    ///
    /// # Errors
    /// Where the system gives no poll descriptor.
    pub fn new(config: &Config) -> io::Result<Self> {
        Ok(Mio {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            sockets: Vec::new(),
            unread: VecDeque::new(),
            unwritten: VecDeque::new(),
            epoch: Instant::now(),
            tcp: config.tcp,
            names: Names::new(config.resolver.clone()),
            spin: Duration::from_micros(u64::from(config.spin_us)),
            stats: TransportStats::default(),
            alarm: None,
        })
    }

    fn socket(&mut self, conn: ConnId) -> Option<&mut Socket> {
        self.sockets.get_mut(conn.row()).and_then(Option::as_mut).filter(|socket| socket.conn == conn)
    }

    /// Begins to connect to the first address that the system lets us try.
    fn dial(&mut self, conn: ConnId, mut addresses: Vec<SocketAddr>) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            self.stats.connects += 1;
            match open_socket(address, &self.tcp) {
                Ok(socket) => {
                    let mut stream = TcpStream::from_std(socket.into());
                    self.poll.registry().register(
                        &mut stream,
                        token(conn),
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    let socket = Socket {
                        conn,
                        stream,
                        connecting: Some(addresses),
                        read_closed: false,
                        blocked: false,
                    };
                    if self.sockets.len() <= conn.row() {
                        self.sockets.resize_with(conn.row() + 1, || None);
                    }
                    self.sockets[conn.row()] = Some(socket);
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

    fn on_event(&mut self, conn: ConnId, readiness: Readiness, engine: &mut Engine, now: Timestamp) {
        let Some(socket) = self.socket(conn) else { return };
        if socket.connecting.is_some() && !self.finish_connect(conn, engine, now) {
            return;
        }
        let Some(socket) = self.socket(conn) else { return };
        socket.read_closed |= readiness.read_closed;
        // Readable first: an end of file seen now saves a write whose fate would be unknown.
        if readiness.readable {
            self.drain(conn, engine, now);
        }
        if readiness.writable
            && let Some(socket) = self.socket(conn)
        {
            socket.blocked = false;
            self.push(conn, engine, now);
        }
    }

    /// Learns how a nonblocking connect ended. Answers whether the connection is usable.
    fn finish_connect(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) -> bool {
        let Some(socket) = self.socket(conn) else { return false };
        let error = match socket.stream.take_error() {
            Ok(Some(error)) | Err(error) => error,
            Ok(None) => match socket.stream.peer_addr() {
                Ok(_) => {
                    socket.connecting = None;
                    engine.handle_connected(conn, now);
                    return true;
                }
                // Spurious: the connect is still under way.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return false,
                Err(error) => error,
            },
        };
        let rest = socket.connecting.take().unwrap_or_default();
        self.close(conn);
        if rest.is_empty() || self.dial(conn, rest).is_err() {
            engine.handle_closed(conn, &error.to_string(), now);
        }
        false
    }

    /// Reads until the socket is empty or the node has had its share of the turn.
    fn drain(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) {
        let mut total = 0;
        while let Some(mut recv) = engine.lend_recv(conn) {
            let Some(socket) = self
                .sockets
                .get_mut(conn.row())
                .and_then(Option::as_mut)
                .filter(|socket| socket.conn == conn)
            else {
                return engine.handle_received(conn, recv, 0, now);
            };
            let spare = recv.spare_mut();
            let room = spare.len();
            self.stats.reads += 1;
            let read = socket.stream.read(spare);
            let drained = !socket.read_closed;
            match read {
                Ok(0) => {
                    engine.handle_received(conn, recv, 0, now);
                    return self.fail(conn, "the server closed the connection", engine, now);
                }
                Ok(n) => {
                    engine.handle_received(conn, recv, n, now);
                    total += n;
                    if n < room && drained {
                        return;
                    }
                    if total >= READ_QUANTUM_BYTES {
                        if !self.unread.contains(&conn) {
                            self.unread.push_back(conn);
                        }
                        return;
                    }
                }
                Err(error) => {
                    engine.handle_received(conn, recv, 0, now);
                    match error.kind() {
                        io::ErrorKind::WouldBlock => return,
                        io::ErrorKind::Interrupted => {}
                        _ => return self.fail(conn, &error.to_string(), engine, now),
                    }
                }
            }
        }
    }

    /// Writes what the engine has for the node, as far as the socket takes it.
    fn push(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) {
        loop {
            let Some(socket) = self
                .sockets
                .get_mut(conn.row())
                .and_then(Option::as_mut)
                .filter(|socket| socket.conn == conn)
            else {
                return;
            };
            if socket.blocked || socket.connecting.is_some() {
                return;
            }
            let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
            engine.unsent(conn, &mut slices);
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            if offered == 0 {
                return;
            }
            self.stats.writes += 1;
            let written = write(&mut socket.stream, &slices);
            drop(slices);
            match written {
                Ok(n) => {
                    let full = n < offered;
                    socket.blocked = full;
                    engine.handle_sent(conn, n, now);
                    if !full && offered >= crate::engine::WRITE_QUANTUM_BYTES {
                        if !self.unwritten.contains(&conn) {
                            self.unwritten.push_back(conn);
                        }
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What had arrived before the failure counts: read it first.
                    self.drain(conn, engine, now);
                    return self.fail(conn, &error.to_string(), engine, now);
                }
            }
        }
    }

    fn poll_once(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stats.waits += 1;
        self.stats.sleeps += u64::from(timeout != Some(Duration::ZERO));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// Polls busily for a while before it sleeps.
    fn poll_spinning(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.spin.is_zero() || timeout == Some(Duration::ZERO) {
            return self.poll_once(timeout);
        }
        let began = Instant::now();
        let spin = timeout.map_or(self.spin, |timeout| timeout.min(self.spin));
        loop {
            self.poll_once(Some(Duration::ZERO))?;
            let spent = began.elapsed();
            if !self.events.is_empty() {
                return Ok(());
            }
            if spent >= spin {
                return self.poll_once(timeout.map(|timeout| timeout.saturating_sub(spent)));
            }
            std::hint::spin_loop();
        }
    }
}

impl Transport for Mio {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, engine: &mut Engine) {
        let addresses = self.names.resolve(conn, endpoint);
        let dialled = addresses.and_then(|addresses| self.dial(conn, addresses));
        if let Err(error) = dialled {
            let now = self.now();
            engine.handle_closed(conn, &error.to_string(), now);
        }
    }

    fn close(&mut self, conn: ConnId) {
        if self.socket(conn).is_none() {
            return;
        }
        if let Some(mut socket) = self.sockets.get_mut(conn.row()).and_then(Option::take) {
            // Closing the descriptor would deregister it too; a failure here changes nothing.
            let _ = self.poll.registry().deregister(&mut socket.stream);
        }
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        let now = self.now();
        self.push(conn, engine, now);
    }

    fn wait(&mut self, timeout: Option<Duration>, _need: Need, engine: &mut Engine) -> io::Result<usize> {
        let timeout = if self.has_leftovers() { Some(Duration::ZERO) } else { timeout };
        self.poll_spinning(timeout)?;
        let now = self.now();
        // Only those of earlier turns: a connection whose share is used up in this one waits for the next.
        let (unread, unwritten) = (self.unread.len(), self.unwritten.len());
        let mut happened = unread + unwritten;
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            happened += 1;
            match conn_of(event.token()) {
                Some(conn) => self.on_event(conn, Readiness::of(event), engine, now),
                None => self.alarm.iter_mut().for_each(Alarm::acknowledge),
            }
        }
        self.events = events;
        for _ in 0..unread {
            let Some(conn) = self.unread.pop_front() else { break };
            self.drain(conn, engine, now);
        }
        for _ in 0..unwritten {
            let Some(conn) = self.unwritten.pop_front() else { break };
            self.push(conn, engine, now);
        }
        Ok(happened)
    }

    fn has_leftovers(&self) -> bool {
        !self.unread.is_empty() || !self.unwritten.is_empty()
    }

    fn is_pollable(&self) -> bool {
        self.alarm.is_some()
    }

    fn arm(&mut self, deadline: Option<Timestamp>, work_left: bool) {
        let work_left = work_left || self.has_leftovers();
        let now = self.now();
        if let Some(alarm) = &mut self.alarm {
            alarm.set(deadline, work_left, now);
        }
    }

    fn stats(&self) -> TransportStats {
        self.stats
    }
}

impl Pollable for Mio {
    fn make_pollable(&mut self) -> io::Result<()> {
        if self.alarm.is_none() {
            self.alarm = Some(Alarm::new(self.poll.registry())?);
        }
        Ok(())
    }

    fn pollable(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

impl fmt::Debug for Mio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.sockets.iter().flatten().count();
        f.debug_struct("Mio").field("sockets", &open).field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// What an event says, copied out of the event list.
#[derive(Clone, Copy)]
struct Readiness {
    readable: bool,
    writable: bool,
    read_closed: bool,
}

impl Readiness {
    fn of(event: &Event) -> Self {
        let broken = event.is_error() || event.is_read_closed();
        Readiness {
            readable: event.is_readable() || broken,
            writable: event.is_writable(),
            read_closed: broken,
        }
    }
}

/// The token of timers and leftovers; no connection has it.
pub(super) const ALARM_TOKEN: Token = Token(usize::MAX);

fn token(conn: ConnId) -> Token {
    Token(conn.to_u64() as usize)
}

fn conn_of(token: Token) -> Option<ConnId> {
    (token != ALARM_TOKEN).then(|| ConnId::from_u64(token.0 as u64))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream as Peer};

    use super::*;
    use crate::engine::Action;

    /// An engine whose first connection has been made, and the peer of it.
    fn connected() -> (Mio, Engine, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let config = Config::from_seeds([Endpoint::new("127.0.0.1", port)]);
        let mut mio = Mio::new(&config).expect("a poll descriptor");
        let mut engine = Engine::new(config, mio.now()).expect("a seed");
        engine.handle_timeout(mio.now());
        let Some(Action::Connect { conn, endpoint }) = engine.poll_action() else { panic!("no dial") };
        mio.connect(conn, &endpoint, &mut engine);
        let (peer, _) = listener.accept().expect("a connection");
        while mio.stats().writes == 0 {
            mio.wait(None, Need::First, &mut engine).expect("wait");
        }
        (mio, engine, peer)
    }

    #[test]
    fn an_end_that_came_with_the_last_bytes_is_read_with_them() {
        let (mut mio, mut engine, mut peer) = connected();
        // Fewer bytes than there is room for: the rule of the short read would stop before the end, whose edge is the same one.
        peer.write_all(b"%1\r\n").expect("the client reads");
        drop(peer);
        std::thread::sleep(Duration::from_millis(50));
        let before = mio.stats().reads;
        mio.wait(Some(Duration::from_secs(5)), Need::First, &mut engine).expect("wait");
        assert_eq!(mio.stats().reads - before, 2);
        assert_eq!(engine.stats().total.disconnects, 1);
        assert!(mio.sockets.iter().all(Option::is_none));
    }

    #[test]
    fn a_short_read_ends_a_drain() {
        let (mut mio, mut engine, mut peer) = connected();
        peer.write_all(b"%1\r\n").expect("the client reads");
        let before = mio.stats().reads;
        mio.wait(Some(Duration::from_secs(5)), Need::First, &mut engine).expect("wait");
        assert_eq!(mio.stats().reads - before, 1);
        assert_eq!(engine.stats().total.disconnects, 0);
    }
}
