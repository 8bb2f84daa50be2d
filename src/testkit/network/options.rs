//! How a network behaves by itself, what a test can do to a connection, and who may watch.

use crate::engine::{ConnId, Timestamp};

/// How bytes travel when nothing is broken.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Least and most time one way.
    pub latency_us: (u64, u64),
    /// Segments have between one byte and this many.
    pub segment_bytes_max: usize,
    /// What a socket takes beyond what has arrived.
    pub window_bytes: usize,
    /// How often a socket takes less than it has room for.
    pub short_writes_per_mille: u64,
    /// Whether bytes count as sent when the client hands them over, and what was not taken is told at the end, as io_uring does.
    pub retracts: bool,
    /// How often a client that closes its end thereby destroys what it has sent and the server has not read.
    pub lossy_closes_per_mille: u64,
}

impl Default for NetworkOptions {
    /// A calm local network.
    fn default() -> Self {
        NetworkOptions {
            latency_us: (100, 100),
            segment_bytes_max: 1 << 16,
            window_bytes: 1 << 20,
            short_writes_per_mille: 0,
            retracts: false,
            lossy_closes_per_mille: 0,
        }
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Requests.
    ToServer,
    /// Replies.
    ToClient,
}

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client hears of it at once. What it had sent arrives nevertheless.
    Reset,
    /// As `Reset`, but what has not arrived by this time is lost.
    ResetLosing(Timestamp),
    /// As `Reset`, but what was sent arrives at this time only: lost packets are sent again and again, also after the client has closed.
    ResetLate(Timestamp),
    /// The client reads the end of the stream behind what is on its way; what the server says later is lost. What the client had sent
    /// arrives.
    HalfClosed,
    /// Nothing arrives any more, in either direction, and nobody is told: the other end is gone.
    Silent,
}

/// Somebody who sees all bytes.
pub trait Tap {
    /// A socket has taken these bytes.
    fn sent(&mut self, conn: ConnId, node: usize, bytes: &[u8]);
    /// These bytes are about to be told to the client.
    fn delivered(&mut self, conn: ConnId, bytes: &[u8]);
    /// The client has no such connection any more.
    fn ended(&mut self, conn: ConnId);
}

impl Tap for () {
    fn sent(&mut self, _: ConnId, _: usize, _: &[u8]) {}
    fn delivered(&mut self, _: ConnId, _: &[u8]) {}
    fn ended(&mut self, _: ConnId) {}
}
