//! One node's data connection: its queues, its state, and how it is lost and found again.
//!
//! ```text
//!   Idle ─▶ Connecting ─▶ Handshaking ─▶ Ready
//!    ▲           │             │           │
//!    └─ Backoff ◀┴─────────────┴───────────┘
//! ```
//!
//! Commands may be encoded in every state; their bytes leave in `Ready`. When a connection is lost, what the kernel had not taken
//! whole stays in the queue, and what it had taken is settled command by command.

use std::fmt;

use crate::config::{Config, Endpoint};
use crate::engine::fenced_reconnect::OldConnection;
use crate::engine::handshake::{Handshake, ServerName};
use crate::engine::in_flight::{InFlight, InFlightQueue};
use crate::engine::recv_buf::RecvBuf;
use crate::engine::send_queue::{CommandBytes, SendQueue};
use crate::engine::sentinel::Guard;
use crate::engine::stats::NodeStats;
use crate::engine::time::Timestamp;
use crate::engine::timeline::NodeTrace;
use crate::engine::unit::UnitReplies;
use crate::error::ErrorKind;
use crate::resp::scan::Scanner;

/// Names one connection attempt to one node; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub(crate) node: u16,
    pub(crate) generation: u32,
}

impl ConnId {
    /// As one number, for a transport's own tables.
    pub fn to_u64(self) -> u64 {
        u64::from(self.generation) << 16 | u64::from(self.node)
    }

    /// The inverse of `to_u64`.
    pub fn from_u64(number: u64) -> Self {
        ConnId { node: number as u16, generation: (number >> 16) as u32 }
    }

    /// Counts the attempts to connect to this node, from 0.
    pub fn attempt(self) -> usize {
        // Each has two numbers: one while it lasts, and one behind it.
        (self.generation >> 1) as usize
    }

    /// The node's row; at most one connection of a row is alive at a time.
    pub fn row(self) -> usize {
        usize::from(self.node)
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Not connected, nothing to send.
    Idle,
    /// Not connected, the next attempt is due at this time.
    Backoff {
        until: Timestamp,
    },
    /// Not connected, in line for an attempt.
    Queued,
    Connecting {
        deadline: Timestamp,
    },
    Handshaking {
        deadline: Timestamp,
    },
    Ready,
}

/// The handshake's bytes. They hold the password, so they are not shown.
#[derive(Default)]
pub(crate) struct Prelude(pub(crate) Vec<u8>);

impl Prelude {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Prelude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// A node's connection and everything that hangs on it.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where to connect; `None` while the node is known by id only.
    pub(crate) endpoint: Option<Endpoint>,
    /// The address, as the topology tells it, that was dialled last: the node may have another by now.
    pub(crate) dialled: Option<Endpoint>,
    pub(crate) state: LinkState,
    pub(crate) generation: u32,
    pub(crate) queue: SendQueue,
    pub(crate) in_flight: InFlightQueue,
    pub(crate) recv: RecvBuf,
    /// Bytes that the frame at the front of `recv` still needs.
    pub(crate) recv_wanted: usize,
    pub(crate) scanner: Scanner,
    pub(crate) handshake: Handshake,
    /// Handshake bytes that the kernel has not taken.
    pub(crate) prelude: Prelude,
    /// What the server calls this connection.
    pub(crate) server_name: ServerName,
    /// Earlier connections on which commands may still run; only with `Config::fenced_reconnect`.
    pub(crate) old_ids: Vec<OldConnection>,
    /// Entries in flight with the flag `GIVEN_UP`.
    pub(crate) tombstones: u32,
    /// A reply that nobody waits for is being dropped as it comes: its beginning is gone.
    pub(crate) skipping: bool,
    pub(crate) guard: Guard,
    /// Where the front command is a unit and some of it has been answered.
    pub(crate) unit: Option<Box<UnitReplies>>,
    /// The server has said +OK to MULTI on this connection: it is not forbidden.
    pub(crate) allows_multi: bool,
    /// Since when a reply is owed without progress worth the name, and replies and bytes at that time.
    pub(crate) crawling: Option<(Timestamp, u64, u64)>,
    /// Since when the node has had nothing to do and its buffers are large.
    pub(crate) idle_since: Option<Timestamp>,
    /// Failed attempts in a row; reset by the first result of a command, or ten seconds in service, not by a connect.
    pub(crate) attempts: u32,
    /// Connections that were closed since replies and commands did not match, without ten seconds in service between them.
    pub(crate) desyncs_in_a_row: u32,
    /// Last time bytes arrived, or the first were sent after a pause.
    pub(crate) last_progress: Timestamp,
    pub(crate) ready_since: Timestamp,
    /// Why the last attempt failed.
    pub(crate) last_failure: Option<ErrorKind>,
    /// The server refused our credentials; commands fail at once until the next attempt.
    pub(crate) refused: bool,
    /// The last attempt failed for a reason that passes: the server is full, or still loading.
    pub(crate) for_now: bool,
    /// Reached another server than the one that was meant: dial again once nothing is owed.
    pub(crate) redial: bool,
    /// In the present view of the topology.
    pub(crate) in_view: bool,
    /// Has been in a view: closed once it is in none and owes nothing.
    pub(crate) was_in_view: bool,
    /// In `Engine::dirty`.
    pub(crate) dirty: bool,
    /// In `Engine::transmit`.
    pub(crate) transmitting: bool,
    /// Commands encoded since the last flush.
    pub(crate) unflushed_commands: u32,
    pub(crate) trace: NodeTrace,
    pub(crate) stats: NodeStats,
}

impl Link {
    pub(crate) fn new(endpoint: Option<Endpoint>, config: &Config) -> Self {
        Link {
            endpoint,
            dialled: None,
            state: LinkState::Idle,
            generation: 0,
            queue: SendQueue::default(),
            in_flight: InFlightQueue::default(),
            recv: RecvBuf::default(),
            recv_wanted: 0,
            scanner: Scanner::new(config.limits.frame),
            handshake: Handshake::default(),
            prelude: Prelude::default(),
            server_name: ServerName::default(),
            old_ids: Vec::new(),
            tombstones: 0,
            skipping: false,
            guard: Guard::default(),
            unit: None,
            allows_multi: false,
            crawling: None,
            idle_since: None,
            attempts: 0,
            desyncs_in_a_row: 0,
            last_progress: Timestamp::ZERO,
            ready_since: Timestamp::ZERO,
            last_failure: None,
            refused: false,
            for_now: false,
            redial: false,
            in_view: false,
            was_in_view: false,
            dirty: false,
            transmitting: false,
            unflushed_commands: 0,
            trace: NodeTrace::default(),
            stats: NodeStats::default(),
        }
    }

    /// The node as messages name it.
    pub(crate) fn name(&self) -> String {
        self.endpoint
            .as_ref()
            .map_or_else(|| "a node without a known address".to_owned(), Endpoint::to_string)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == LinkState::Ready
    }

    /// Whether a socket exists or is being made.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, LinkState::Idle | LinkState::Backoff { .. } | LinkState::Queued)
    }

    /// Whether the transport has something to write.
    pub(crate) fn wants_to_send(&self) -> bool {
        !self.prelude.is_empty() || (self.is_ready() && !self.redial && self.queue.has_unsent())
    }

    /// When the state runs out.
    pub(crate) fn state_deadline(&self) -> Timestamp {
        match self.state {
            LinkState::Idle | LinkState::Queued | LinkState::Ready => Timestamp::NEVER,
            LinkState::Backoff { until } => until,
            LinkState::Connecting { deadline } | LinkState::Handshaking { deadline } => deadline,
        }
    }

    /// Whether anything but the engine's own traffic is on its way.
    pub(crate) fn serves_callers(&self) -> bool {
        self.handshake.is_done() && self.in_flight.iter().any(InFlight::is_callers)
    }

    /// Whether a reply is owed for bytes that were sent.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.queue.sent() > self.queue.acked()
    }

    /// Whether a reply is owed for a command that was sent whole.
    pub(crate) fn owes_reply(&self) -> bool {
        self.in_flight
            .first()
            .is_some_and(|front| self.queue.acked() + u64::from(front.len) <= self.queue.sent())
    }

    /// Whether the next reply is the result of the front command, not one of the handshake, nor that to an ASKING, nor one within a unit.
    pub(crate) fn expects_result(&self) -> bool {
        let behind_asking =
            |entry: &InFlight| entry.has(InFlight::ASKED) && !entry.has(InFlight::ASKING_ANSWERED);
        let within_unit = |unit: &UnitReplies| unit.is_broken() || !unit.awaits_exec();
        let front = self.in_flight.first();
        let is_within = front.is_some_and(|front| match &self.unit {
            Some(unit) => within_unit(unit),
            None => front.is_unit(),
        });
        self.handshake.is_done() && !front.is_some_and(behind_asking) && !is_within
    }

    /// Takes the commands that `wanted` accepts out of what the kernel has not begun to take; the rest keeps its order. Their entries are as
    /// they stood; their bytes come without ASKING.
    pub(crate) fn take_unsent(
        &mut self,
        wanted: impl Fn(&InFlight) -> bool,
    ) -> Vec<(InFlight, CommandBytes)> {
        let (first, start) = self.first_unsent();
        if !self.in_flight.iter().skip(first).any(&wanted) {
            return Vec::new();
        }
        let flushed = self.queue.encoded() - self.queue.unflushed_bytes();
        let starts = self.queue.segment_starts();
        let mut at = start;
        let mut taken = Vec::new();
        let mut runs = Runs::default();
        let mut kept = Vec::new();
        for entry in self.in_flight.drain_from(first) {
            if wanted(&entry) {
                let asking = u64::from(entry.asking_len());
                taken.push((
                    entry,
                    self.queue.share_from(&starts, at + asking, u64::from(entry.len) - asking),
                ));
            } else {
                runs.add(at, u64::from(entry.len), at < flushed);
                kept.push(entry);
            }
            at += u64::from(entry.len);
        }
        let runs = runs.share(&self.queue, &starts);
        self.queue.truncate(start);
        self.queue.append_runs(runs);
        self.in_flight.extend(kept);
        if self.queue.unflushed_bytes() == 0 {
            self.unflushed_commands = 0;
        }
        taken
    }

    /// The first command none of whose bytes were sent: its place in the in-flight queue and its position.
    fn first_unsent(&self) -> (usize, u64) {
        let mut index = self.in_flight.len();
        let mut at = self.queue.encoded();
        while let Some(entry) = index.checked_sub(1).and_then(|before| self.in_flight.get(before)) {
            let start = at - u64::from(entry.len);
            if start < self.queue.sent() {
                break;
            }
            at = start;
            index -= 1;
        }
        (index, at)
    }

    /// Forgets the socket; queues and statistics stay.
    pub(crate) fn forget_socket(&mut self, config: &Config) {
        self.generation = self.generation.wrapping_add(1);
        self.recv.clear();
        self.recv_wanted = 0;
        self.scanner = Scanner::new(config.limits.frame);
        self.handshake = Handshake::default();
        self.prelude.0.clear();
        self.server_name = ServerName::default();
        self.skipping = false;
        self.guard.reset();
        self.unit = None;
        self.crawling = None;
    }
}

/// Neighbouring commands that stay, joined so that they are shared as one.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<(u64, u64, bool)>);

impl Runs {
    pub(crate) fn add(&mut self, start: u64, len: u64, flushed: bool) {
        match self.0.last_mut() {
            Some((last, last_len, last_flushed))
                if *last + *last_len == start && *last_flushed == flushed =>
            {
                *last_len += len
            }
            _ => self.0.push((start, len, flushed)),
        }
    }

    pub(crate) fn share(self, queue: &SendQueue, starts: &[u64]) -> Vec<(CommandBytes, bool)> {
        let share = |(start, len, flushed)| (queue.share_from(starts, start, len), flushed);
        self.0.into_iter().map(share).collect()
    }
}
