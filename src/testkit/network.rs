//! A network between a client and a [`ModelCluster`] under virtual time, in which everything that TCP allows can be made to happen.
//!
//! Bytes travel as streams: cut into segments of any size, delayed, held up, lost where a connection breaks. Sockets take what they have
//! room for. Connections are refused, never answered, reset with or without what was on its way, or closed on one side. All of it follows
//! from a seed and from what the test does: equal calls give equal outcomes.
//!
//! It knows streams, and which node an address leads to; it refuses to know what the bytes mean. Invariant: what arrives of one direction
//! of one connection is a prefix of what was sent, in order.
//!
//! A `Network` is a [`Transport`](crate::transport::Transport) like [`Memory`](super::Memory): a client can be driven over it. A test that
//! wants to decide about every moment calls [`Network::step`] instead.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use smallvec::SmallVec;

use self::wire::{ClientEnd, Wire};
use crate::config::Endpoint;
use crate::engine::{ConnId, Engine, Timestamp};
use crate::testkit::{Dice, ModelCluster, SessionId};
use crate::transport::TransportStats;

mod breaking;
mod driving;
mod options;
mod wire;

pub use self::options::{Ending, NetworkOptions, Tap, Way};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The answer to a connect.
    Answer,
    ToServer(Vec<u8>),
    ToClient(Vec<u8>),
    /// The end of what the server says.
    End(&'static str),
    /// The kernel takes some of what it was handed.
    Taken,
    /// The socket has room again.
    Writable,
}

/// Something that will happen to a wire; of one moment, in the order of their numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Happening {
    at: Timestamp,
    number: u64,
    wire: usize,
    what: What,
}

/// What is wrong on the way to one node.
#[derive(Debug, Default, Clone, Copy)]
struct Path {
    refuses: bool,
    is_black_hole: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Network<T: Tap = ()> {
    cluster: ModelCluster,
    options: NetworkOptions,
    dice: Dice,
    now: Timestamp,
    wires: Vec<Wire>,
    /// Connections that the client has.
    live: BTreeMap<ConnId, usize>,
    by_session: BTreeMap<SessionId, usize>,
    ahead: BinaryHeap<Reverse<Happening>>,
    happenings: u64,
    paths: Vec<Path>,
    /// What is held up, by node and direction.
    clogs: BTreeMap<(usize, Way), Vec<Happening>>,
    stats: TransportStats,
    history: u64,
    tap: T,
}

impl<T: Tap> Network<T> {
    /// A network of which a seed decides everything that is left to chance.
    pub fn new(cluster: ModelCluster, options: NetworkOptions, seed: u64, tap: T) -> Self {
        Network {
            cluster,
            options,
            dice: Dice::new(seed),
            now: Timestamp::from_nanos(1_000_000_000),
            wires: Vec::new(),
            live: BTreeMap::new(),
            by_session: BTreeMap::new(),
            ahead: BinaryHeap::new(),
            happenings: 0,
            paths: Vec::new(),
            clogs: BTreeMap::new(),
            stats: TransportStats::default(),
            history: 0,
            tap,
        }
    }

    /// The cluster, to look at.
    pub fn cluster(&self) -> &ModelCluster {
        &self.cluster
    }

    /// The cluster, to break and mend; `Network::collect` afterwards hears what the servers have to say to that.
    pub fn cluster_mut(&mut self) -> &mut ModelCluster {
        &mut self.cluster
    }

    /// Whoever sees all bytes.
    pub fn tap(&self) -> &T {
        &self.tap
    }

    /// Whoever sees all bytes, for changing.
    pub fn tap_mut(&mut self) -> &mut T {
        &mut self.tap
    }

    /// How bytes travel from now on.
    pub fn options_mut(&mut self) -> &mut NetworkOptions {
        &mut self.options
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Milliseconds since the beginning, as the model counts them.
    pub fn now_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    /// Lets time pass. What is due by then is late, not lost.
    pub fn pass(&mut self, until: Timestamp) {
        self.now = self.now.max(until);
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.ahead.peek().map(|next| next.0.at)
    }

    /// A number that two runs have in common exactly if all that happened was the same.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// Connections that the client has now, those that are being made included.
    pub fn live(&self) -> impl Iterator<Item = ConnId> {
        self.live.keys().copied()
    }

    /// The node that a connection leads to; none while it is being made.
    pub fn node_of(&self, conn: ConnId) -> Option<usize> {
        let wire = self.wires.get(*self.live.get(&conn)?)?;
        wire.session.map(|_| wire.node)
    }

    /// The server's name for a connection, while it knows it.
    pub fn session_of(&self, conn: ConnId) -> Option<SessionId> {
        self.wires.get(*self.live.get(&conn)?)?.session
    }

    /// How many connections are being made.
    pub fn connecting(&self) -> usize {
        let is_connecting = |&&wire: &&usize| self.wires[wire].client == ClientEnd::Connecting;
        self.live.values().filter(is_connecting).count()
    }

    /// Whether nothing of a connection is on its way, in either direction.
    pub fn is_quiet(&self, conn: ConnId) -> bool {
        let Some(wire) = self.live.get(&conn).and_then(|&wire| self.wires.get(wire)) else { return false };
        wire.is_quiet()
    }

    /// Whether any bytes are on their way to a server.
    pub fn is_settled(&self) -> bool {
        self.wires.iter().all(|wire| wire.travelling_up == 0)
    }

    fn path(&mut self, node: usize) -> &mut Path {
        if self.paths.len() <= node {
            self.paths.resize(node + 1, Path::default());
        }
        &mut self.paths[node]
    }

    fn latency(&mut self) -> Duration {
        let (least, most) = self.options.latency_us;
        Duration::from_micros(self.dice.between(least, most))
    }

    fn schedule(&mut self, at: Timestamp, wire: usize, what: What) {
        self.happenings += 1;
        self.ahead.push(Reverse(Happening { at, number: self.happenings, wire, what }));
    }

    fn note(&mut self, numbers: [u64; 3]) {
        for number in numbers {
            self.history = (self.history ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    pub(super) fn node_at(&self, endpoint: &Endpoint) -> Option<usize> {
        (0..self.cluster.nodes_len()).find(|&node| {
            let node = self.cluster.node(node);
            node.host() == endpoint.host && node.port() == endpoint.port && !node.is_removed()
        })
    }

    /// Opens a connection.
    pub fn connect(&mut self, conn: ConnId, endpoint: &Endpoint) {
        self.stats.connects += 1;
        let node = self.node_at(endpoint);
        let wire = self.wires.len();
        self.wires.push(Wire::new(conn, endpoint.clone(), self.options.retracts, self.now));
        self.live.insert(conn, wire);
        if node.is_some_and(|node| self.path(node).is_black_hole) {
            return;
        }
        self.wires[wire].node = node.unwrap_or(usize::MAX);
        let at = self.now.after(self.latency()).after(self.latency());
        self.schedule(at, wire, What::Answer);
    }

    /// Closes the client's end of a connection.
    pub fn close(&mut self, conn: ConnId) {
        let Some(wire) = self.live.get(&conn).copied() else { return };
        let loses = self.dice.per_mille(self.options.lossy_closes_per_mille);
        if loses {
            self.wires[wire].cut = self.now;
        }
        self.let_go(wire);
    }

    /// Takes what the engine has to send on a connection, as far as there is room.
    pub fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        if let Some(wire) = self.live.get(&conn).copied() {
            self.pump(wire, engine);
        }
    }

    fn pump(&mut self, wire: usize, engine: &mut Engine) {
        loop {
            let conn = self.wires[wire].conn;
            let mut slices = SmallVec::new();
            engine.unsent(conn, &mut slices);
            let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
            self.wires[wire].wants = wanted > 0;
            let held = self.wires[wire].travelling_up + self.wires[wire].staged.len();
            let room = self.options.window_bytes.saturating_sub(held).min(wanted);
            // One request at a time, where bytes are handed over by request.
            if room == 0 || !self.wires[wire].staged.is_empty() {
                return;
            }
            let is_short = self.dice.per_mille(self.options.short_writes_per_mille);
            let take = if is_short { 1 + self.dice.below(room as u64) as usize } else { room };
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(take).collect();
            drop(slices);
            self.stats.writes += 1;
            engine.handle_sent(conn, take, self.now);
            self.note([1, conn.to_u64(), take as u64]);
            self.tap.sent(conn, self.wires[wire].node, &bytes);
            if self.wires[wire].retracts {
                self.wires[wire].staged.extend(bytes);
                let at = self.now.after(Duration::from_micros(self.dice.below(200)));
                self.schedule(at, wire, What::Taken);
            } else {
                self.launch(wire, &bytes);
            }
            if is_short {
                let at = self.now.after(self.latency());
                return self.schedule(at, wire, What::Writable);
            }
        }
    }

    /// Hears what all servers have to say.
    pub fn collect(&mut self) {
        for wire in self.live.values().copied().collect::<Vec<_>>() {
            self.listen(wire);
        }
        self.collect_closed();
    }

    fn collect_closed(&mut self) {
        for session in self.cluster.take_closed() {
            if let Some(&wire) = self.by_session.get(&session) {
                self.listen(wire);
            }
        }
    }

    fn is_open(&self, wire: usize) -> bool {
        self.wires[wire].client != ClientEnd::Gone
    }
}
