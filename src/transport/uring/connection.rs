//! A connection from its dial to its end.
//!
//! This module knows what each completion means for its connection, and what the engine is told. It refuses to know when to wait, and for
//! how many.

use std::io;
use std::net::SocketAddr;

use super::Uring;
use super::alarm::Alarm;
use super::lane::PIECES_MAX;
use super::ring::Completion;
use crate::engine::{ConnId, Engine, Timestamp};
use crate::transport::Transport;
use crate::transport::socket::open_socket;

/// The kernel waits for room in a socket 128 times for one request, then it gives the request to a thread of its own, which counts as the
/// process's. A request has at most 256 KiB; so with buffers as large as this it is far from that.
const WHOLE_BUFFER_BYTES: usize = 64 << 10;
/// A send of more bytes may have to wait until the node's replies are read: sockets hold this much each way.
const FITS_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) conn: ConnId,
    pub(super) lane: usize,
    /// Not connected yet; the addresses that are left to try.
    pub(super) connecting: Option<Vec<SocketAddr>>,
    /// Bytes of the send under way that are too many to count on its end.
    pub(super) is_large: bool,
    /// The wait under way counts on it.
    pub(super) counted: bool,
    /// Waits in a row that counted on it in vain.
    pub(super) missed: u8,
    /// Why sending or receiving failed; told when everything that had arrived is read, and what had been sent is known.
    failure: Option<String>,
    /// Nothing more will be received.
    has_ended: bool,
}

impl Uring {
    /// Begins to connect to the first address that the system lets us try.
    pub(super) fn dial(&mut self, conn: ConnId, mut addresses: Vec<SocketAddr>) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            self.stats.connects += 1;
            match open_socket(address, &self.tcp) {
                Ok(socket) => {
                    let lane = self.ring.open(socket, conn.to_u64(), self.sends_whole());
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
                        has_ended: false,
                    });
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether a send may be left to the kernel until all of it has gone.
    fn sends_whole(&self) -> bool {
        let configured = self.tcp.send_buffer_bytes;
        configured == 0 || configured >= WHOLE_BUFFER_BYTES
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
                    found.counted = false;
                    found.missed = 0;
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
    pub(super) fn push(&mut self, conn: ConnId, engine: &mut Engine, now: Timestamp) {
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
            engine.handle_unsent(conn, offered);
            self.fail(conn, &error.to_string(), engine, now);
        }
    }

    /// Tells the engine of a completion. Answers whether it is news.
    pub(super) fn on_completion(
        &mut self,
        completion: Completion,
        engine: &mut Engine,
        now: Timestamp,
    ) -> bool {
        match completion {
            Completion::Sent { tag, untaken, failure } => {
                self.on_sent(ConnId::from_u64(tag), untaken, failure, engine, now)
            }
            Completion::Received { tag, room, result } => {
                let conn = ConnId::from_u64(tag);
                let received = *result.as_ref().unwrap_or(&0);
                engine.handle_received(conn, room, received, now);
                let Some(found) = self.connection(conn) else { return true };
                found.missed = 0;
                found.counted = false;
                match result {
                    Ok(0) => self.on_end(conn, "the server closed the connection".to_owned(), engine, now),
                    Err(error) if !is_transient(&error) => self.on_end(conn, error.to_string(), engine, now),
                    _ => self.unarmed.push(conn),
                }
                true
            }
            Completion::Writable { tag } => {
                self.finish_connect(ConnId::from_u64(tag), engine, now);
                true
            }
            Completion::Timer => {
                self.alarm.iter_mut().for_each(Alarm::timer_rang);
                true
            }
            Completion::Nothing => false,
        }
    }

    /// A send has ended; there may be more to send.
    fn on_sent(
        &mut self,
        conn: ConnId,
        untaken: usize,
        failure: Option<io::Error>,
        engine: &mut Engine,
        now: Timestamp,
    ) -> bool {
        let Some(found) = self.connection(conn) else { return false };
        let was_large = std::mem::take(&mut found.is_large);
        if let Some(error) = failure {
            engine.handle_unsent(conn, untaken);
            found.failure.get_or_insert_with(|| error.to_string());
        }
        let (lane, has_failed, has_ended) = (found.lane, found.failure.is_some(), found.has_ended);
        self.large_sends -= usize::from(was_large);
        if has_ended {
            self.on_end(conn, String::new(), engine, now);
        } else if has_failed {
            // What had arrived before the failure counts: it is read first, up to the end.
            self.ring.shut_down(lane);
        } else {
            self.push(conn, engine, now);
        }
        has_ended || self.ring.fresh_sends() > 0
    }

    /// Nothing more will be received. A send that is under way tells first how much of it was taken: what was not certainly did not run.
    fn on_end(&mut self, conn: ConnId, reason: String, engine: &mut Engine, now: Timestamp) {
        let Some(found) = self.connection(conn) else { return };
        let reason = found.failure.get_or_insert(reason).clone();
        found.has_ended = true;
        let lane = found.lane;
        if self.ring.is_sending(lane) {
            self.ring.shut_down(lane);
        } else {
            self.fail(conn, &reason, engine, now);
        }
    }

    pub(super) fn fail(&mut self, conn: ConnId, reason: &str, engine: &mut Engine, now: Timestamp) {
        self.close(conn);
        engine.handle_closed(conn, reason, now);
    }
}

/// Whether a receive that failed so is made again.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
