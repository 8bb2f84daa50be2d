//! The model behind no sockets at all: bytes travel through memory, and time passes only when the client waits.
//!
//! ```
//! use panpipe::Client;
//! use panpipe::prelude::*;
//! use panpipe::testkit::{Memory, ModelConfig};
//!
//! let memory = Memory::new(ModelConfig::default());
//! let mut client = Client::with_transport(memory.client_config(), memory)?;
//! client.set("user:1", "ada")?;
//! // A frozen node never answers; the five seconds of the deadline pass in no time.
//! let owner = client.transport().cluster().owner(panpipe::slot::slot_of(b"user:1")).unwrap();
//! client.transport_mut().cluster_mut().freeze(owner);
//! assert!(client.get("user:1").is_err());
//! # Ok::<(), panpipe::Error>(())
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io;
use std::time::Duration;

use smallvec::SmallVec;

use crate::config::{Config, Endpoint};
use crate::engine::{ConnId, Engine, Timestamp};
use crate::testkit::{ModelCluster, ModelConfig, SessionId};
use crate::transport::{Need, Transport, TransportStats};

/// How long bytes travel one way unless told otherwise.
const LATENCY: Duration = Duration::from_micros(100);

/// A transport to a [`ModelCluster`] in the same process, under virtual time.
#[derive(Debug)]
pub struct Memory {
    cluster: ModelCluster,
    now: Timestamp,
    /// One way, by node; others take `LATENCY`.
    latencies: BTreeMap<usize, Duration>,
    /// Nodes behind a wire that swallows everything for now.
    holes: BTreeSet<usize>,
    /// What such wires have swallowed, in the order it was sent: it is sent again when they are mended.
    swallowed: Vec<(usize, ConnId, What)>,
    /// Connections that exist, by their engine's name.
    sessions: BTreeMap<ConnId, (SessionId, usize)>,
    /// What is on its way, by arrival; the number keeps things of one moment in order.
    travelling: BinaryHeap<Reverse<Arrival>>,
    departures: u64,
    stats: TransportStats,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Timestamp,
    number: u64,
    conn: ConnId,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The connect has come back.
    Connected,
    Refused,
    ToServer(Vec<u8>),
    ToClient(Vec<u8>),
    /// The server has closed.
    Closed,
}

impl Memory {
    /// A cluster of its own.
    pub fn new(config: ModelConfig) -> Self {
        Memory {
            cluster: ModelCluster::new(config),
            now: Timestamp::from_nanos(1),
            latencies: BTreeMap::new(),
            holes: BTreeSet::new(),
            swallowed: Vec::new(),
            sessions: BTreeMap::new(),
            travelling: BinaryHeap::new(),
            departures: 0,
            stats: TransportStats::default(),
        }
    }

    /// A configuration whose seeds are this cluster's nodes, with a fixed jitter: the same calls give the same results.
    pub fn client_config(&self) -> Config {
        let nodes = (0..self.cluster.nodes_len()).map(|node| self.cluster.node(node));
        let mut config = Config::from_seeds(nodes.map(|node| Endpoint::new(node.host(), node.port())));
        config.jitter_seed = 1;
        config
    }

    /// The cluster, to look at.
    pub fn cluster(&self) -> &ModelCluster {
        &self.cluster
    }

    /// The cluster, to break and mend.
    pub fn cluster_mut(&mut self) -> &mut ModelCluster {
        &mut self.cluster
    }

    /// Bytes to and from this node take that long each way.
    pub fn set_latency(&mut self, node: usize, latency: Duration) {
        self.latencies.insert(node, latency);
    }

    /// Packets to and from a node get lost from now on: connects come back neither way, bytes arrive nowhere, and nobody hears that a
    /// connection has ended.
    pub fn cut_wire(&mut self, node: usize) {
        self.holes.insert(node);
    }

    /// Packets arrive again, and those that were lost are sent once more, as TCP does.
    pub fn mend_wire(&mut self, node: usize) {
        self.holes.remove(&node);
        for (at, conn, what) in std::mem::take(&mut self.swallowed) {
            self.send(conn, at, what);
        }
    }

    /// Milliseconds since the beginning, as the model counts them.
    pub fn now_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    fn send(&mut self, conn: ConnId, node: usize, what: What) {
        if self.holes.contains(&node) {
            return self.swallowed.push((node, conn, what));
        }
        let latency = self.latencies.get(&node).copied().unwrap_or(LATENCY);
        self.departures += 1;
        self.travelling.push(Reverse(Arrival {
            at: self.now.after(latency),
            number: self.departures,
            conn,
            what,
        }));
    }

    /// Sends off what the servers have to say.
    fn collect(&mut self) {
        let sessions: Vec<(ConnId, SessionId, usize)> =
            self.sessions.iter().map(|(&conn, &(session, node))| (conn, session, node)).collect();
        for (conn, session, node) in sessions {
            let mut output = Vec::new();
            self.cluster.take_output(session, &mut output);
            if !output.is_empty() {
                self.send(conn, node, What::ToClient(output));
            }
            if self.cluster.session_closed_by_server(session) {
                self.sessions.remove(&conn);
                self.cluster.close(session);
                self.send(conn, node, What::Closed);
            }
        }
    }

    fn arrive(&mut self, conn: ConnId, what: What, engine: &mut Engine) {
        match what {
            What::Connected => engine.handle_connected(conn, self.now),
            What::Refused => engine.handle_closed(conn, "connection refused", self.now),
            What::Closed => engine.handle_closed(conn, "the server closed the connection", self.now),
            What::ToServer(bytes) => {
                let now_ms = self.now_ms();
                if let Some(&(session, _)) = self.sessions.get(&conn) {
                    self.cluster.feed(session, &bytes, now_ms);
                }
            }
            What::ToClient(bytes) => self.deliver(conn, &bytes, engine),
        }
    }

    fn deliver(&mut self, conn: ConnId, mut bytes: &[u8], engine: &mut Engine) {
        while !bytes.is_empty() {
            let Some(mut recv) = engine.lend_recv(conn) else { return };
            let spare = recv.spare_mut();
            let (now, later) = bytes.split_at(spare.len().min(bytes.len()));
            spare[..now.len()].copy_from_slice(now);
            self.stats.reads += 1;
            engine.handle_received(conn, recv, now.len(), self.now);
            bytes = later;
        }
    }

    fn node_at(&self, endpoint: &Endpoint) -> Option<usize> {
        (0..self.cluster.nodes_len()).find(|&node| {
            let node = self.cluster.node(node);
            node.host() == endpoint.host && node.port() == endpoint.port
        })
    }
}

impl Transport for Memory {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, _engine: &mut Engine) {
        self.stats.connects += 1;
        let now_ms = self.now_ms();
        let opened = self.node_at(endpoint).and_then(|node| Some((self.cluster.open(node, now_ms)?, node)));
        match opened {
            Some((session, node)) => {
                self.sessions.insert(conn, (session, node));
                self.send(conn, node, What::Connected);
            }
            None => self.send(conn, usize::MAX, What::Refused),
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some((session, _)) = self.sessions.remove(&conn) {
            self.cluster.close(session);
        }
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        loop {
            let mut slices = SmallVec::new();
            engine.unsent(conn, &mut slices);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            drop(slices);
            if bytes.is_empty() {
                return;
            }
            self.stats.writes += 1;
            engine.handle_sent(conn, bytes.len(), self.now);
            if let Some(&(_, node)) = self.sessions.get(&conn) {
                self.send(conn, node, What::ToServer(bytes));
            }
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, _need: Need, engine: &mut Engine) -> io::Result<usize> {
        self.stats.waits += 1;
        self.collect();
        let next = self.travelling.peek().map(|arrival| arrival.0.at);
        let limit = timeout.map(|timeout| self.now.after(timeout));
        let until = match next.into_iter().chain(limit).min() {
            Some(until) => until,
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::Deadlock,
                    "nothing is on its way and no deadline is set",
                ));
            }
        };
        self.now = self.now.max(until);
        let mut happened = 0;
        while self.travelling.peek().is_some_and(|arrival| arrival.0.at <= self.now) {
            let Some(Reverse(arrival)) = self.travelling.pop() else { break };
            self.arrive(arrival.conn, arrival.what, engine);
            happened += 1;
        }
        self.collect();
        Ok(happened)
    }

    fn stats(&self) -> TransportStats {
        self.stats
    }
}
