//! The engine against scripted servers, under a clock that the test moves. The tests read as transcripts: what was written to which node,
//! what it answers, what the caller gets.

mod arbitration;
mod crowds;
mod cuts;
mod deadlines;
#[cfg(feature = "testkit")]
mod dials;
mod doubt;
mod exhaustive;
#[cfg(feature = "testkit")]
mod fenced;
mod fences;
mod identities;
mod loss;
mod model;
mod order;
mod queues;
mod random;
mod redirects;
mod refreshing;
mod sentinels;
mod sim;
mod tombstones;
mod topology;
mod unit_replies;
mod units;
#[cfg(feature = "testkit")]
mod view_rules;
mod views;
mod waiting;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::command::{Arg, Cmd, Keys, Request, cmd};
use crate::config::{Config, Endpoint};
use crate::engine::{Action, BatchId, ConnId, Engine, Timestamp, Token};
use crate::error::{ErrorKind, Outcome};
use crate::slot::slot_of;

/// Nodes A, B, C own a third of the slots each, at ports 1, 2, 3 of host `h`.
pub(super) const A: u16 = 1;
pub(super) const B: u16 = 2;
pub(super) const C: u16 = 3;

/// A driver that moves no bytes by itself.
pub(super) struct Script {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    /// Live connections by port.
    conns: BTreeMap<u16, ConnId>,
    /// Connection attempts that the test has not answered.
    pub(super) dials: Vec<u16>,
    dialled: BTreeMap<u16, ConnId>,
}

/// What happened while time passed.
#[derive(Default)]
pub(super) struct Idle {
    /// Connection attempts, all refused.
    pub(super) dialled: Vec<u16>,
    /// Nodes that were asked for the topology.
    pub(super) asked: Vec<u16>,
    /// What else was written.
    pub(super) written: Vec<(u16, Vec<u8>)>,
}

/// The view that `Script::start` begins with.
pub(super) const THIRDS: [(u16, u16, u16); 3] = [(0, 5460, A), (5461, 10922, B), (10923, 16383, C)];

pub(super) fn config() -> Config {
    let mut config = Config::from_seeds([Endpoint::new("h", A)]);
    config.jitter_seed = 1;
    // Background refreshes would stand between the lines of every transcript.
    config.refresh_interval_ms = 0;
    // So would checks.
    config.sentinel_replies = 0;
    config.sentinel_ms = 0;
    config
}

impl Script {
    /// Connected to A, which has told the topology.
    pub(super) fn start() -> Self {
        Script::start_with(config())
    }

    pub(super) fn start_with(config: Config) -> Self {
        Script::start_with_view(config, &THIRDS)
    }

    pub(super) fn start_with_view(config: Config, ranges: &[(u16, u16, u16)]) -> Self {
        Script::start_with_reply(config, &slots_reply(ranges))
    }

    pub(super) fn start_with_reply(config: Config, view: &str) -> Self {
        let now = Timestamp::from_nanos(1_000_000_000);
        let mut script = Script {
            engine: Engine::new(config, now).expect("seeds"),
            now,
            conns: BTreeMap::new(),
            dials: Vec::new(),
            dialled: BTreeMap::new(),
        };
        script.tick(0);
        script.accept(A);
        assert_eq!(script.written(A), wire(&["CLUSTER", "SLOTS"]));
        script.reply(A, view);
        assert!(script.engine.has_topology());
        script
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.engine.handle_timeout(self.now);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Connect { conn, endpoint } => {
                    self.dials.push(endpoint.port);
                    self.dialled.insert(endpoint.port, conn);
                }
                Action::Close { conn } => self.conns.retain(|_, open| *open != conn),
            }
        }
    }

    /// The node accepts the connection and answers the handshake.
    pub(super) fn accept(&mut self, port: u16) {
        self.act();
        self.dials.retain(|dialled| *dialled != port);
        let conn = self.dialled.remove(&port).expect("the engine dialled this node");
        self.conns.insert(port, conn);
        self.engine.handle_connected(conn, self.now);
        let handshake = String::from_utf8(self.written(port)).expect("text");
        assert!(handshake.starts_with("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), "{handshake}");
        self.reply(port, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n");
        self.reply(port, format!("$40\r\n{port:040}\r\n"));
        self.tick(0);
    }

    /// As `accept`, whatever the engine makes of it.
    pub(super) fn accept_quietly(&mut self, port: u16) {
        self.dials.retain(|dialled| *dialled != port);
        let Some(conn) = self.dialled.remove(&port) else { return };
        self.conns.insert(port, conn);
        self.engine.handle_connected(conn, self.now);
        self.written(port);
        self.reply(port, "%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n+OK\r\n+OK\r\n");
        if self.is_open(port) {
            self.reply(port, format!("$40\r\n{port:040}\r\n"));
        }
        self.tick(0);
    }

    /// The connection attempt fails.
    pub(super) fn refuse(&mut self, port: u16) {
        self.act();
        self.dials.retain(|dialled| *dialled != port);
        let conn = self.dialled.remove(&port).expect("the engine dialled this node");
        self.engine.handle_closed(conn, "refused", self.now);
        self.act();
    }

    /// The connection breaks.
    pub(super) fn reset(&mut self, port: u16) {
        let conn = self.conns.remove(&port).expect("connected");
        self.engine.handle_closed(conn, "reset", self.now);
        self.act();
    }

    /// The socket did not take the last bytes after all.
    pub(super) fn untaken(&mut self, port: u16, n: usize) {
        self.engine.handle_unsent(self.conns[&port], n);
    }

    pub(super) fn is_open(&self, port: u16) -> bool {
        self.conns.contains_key(&port)
    }

    /// Everything the engine writes to a node now.
    pub(super) fn written(&mut self, port: u16) -> Vec<u8> {
        self.written_at_most(port, usize::MAX)
    }

    /// The socket takes no more than `limit` bytes.
    pub(super) fn written_at_most(&mut self, port: u16, limit: usize) -> Vec<u8> {
        let Some(&conn) = self.conns.get(&port) else { return Vec::new() };
        let mut taken = Vec::new();
        loop {
            let mut slices = SmallVec::new();
            self.engine.unsent(conn, &mut slices);
            let bytes: Vec<u8> =
                slices.iter().flat_map(|slice| slice.iter().copied()).take(limit - taken.len()).collect();
            drop(slices);
            if bytes.is_empty() {
                return taken;
            }
            self.engine.handle_sent(conn, bytes.len(), self.now);
            taken.extend_from_slice(&bytes);
        }
    }

    /// The node sends bytes.
    pub(super) fn reply(&mut self, port: u16, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        let conn = *self.conns.get(&port).expect("connected");
        while !bytes.is_empty() {
            let Some(mut recv) = self.engine.lend_recv(conn) else { break };
            let spare = recv.spare_mut();
            let n = spare.len().min(bytes.len());
            spare[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.engine.handle_received(conn, recv, n, self.now);
        }
        self.act();
    }

    pub(super) fn batch(&mut self) -> BatchId {
        self.engine.open_batch()
    }

    pub(super) fn submit(&mut self, batch: BatchId, command: &Cmd) -> u32 {
        let request = command.request().expect("a good command");
        let index = self.engine.submit(batch, &request, self.now);
        self.act();
        index
    }

    pub(super) fn flush(&mut self, batch: BatchId) {
        self.engine.start_deadline(batch, self.now);
        self.engine.flush();
        self.act();
    }

    /// A lone command, submitted and flushed.
    pub(super) fn send(&mut self, command: &Cmd) -> BatchId {
        let batch = self.batch();
        self.submit(batch, command);
        self.flush(batch);
        batch
    }

    /// The result of one command, as text: the frame, or the error's kind and outcome.
    pub(super) fn result(&mut self, batch: BatchId, index: u32) -> String {
        let rows = self.engine.batch(batch).expect("an open batch");
        if rows.is_pending(index) {
            return "pending".to_owned();
        }
        match rows.reply(index) {
            Ok(reply) => reply.frame().escape_ascii().to_string(),
            Err(error) => format!("{} {:?}", kind_name(error.kind()), error.outcome()),
        }
    }

    /// Submits a command of the event-driven use.
    pub(super) fn stream(&mut self, command: &Cmd, user_data: u64, timeout_ms: u64) -> Token {
        let request = command.request().expect("a good command");
        let token = self.engine.submit_stream(&request, user_data, timeout_ms, self.now).expect("room");
        self.act();
        token
    }

    /// All completions: user data and frame or error.
    pub(super) fn completions(&mut self) -> Vec<(u64, String)> {
        let mut done = Vec::new();
        while let Some(completion) = self.engine.next_completion() {
            let text = match completion.result {
                Ok(reply) => reply.frame().escape_ascii().to_string(),
                Err(error) => format!("{} {:?}", kind_name(error.kind()), error.outcome()),
            };
            done.push((completion.user_data, text));
        }
        done
    }

    /// Time passes, questions for the topology are answered, connection attempts fail.
    pub(super) fn idle(&mut self, ms: u64, ranges: &[(u16, u16, u16)]) -> Idle {
        let mut idle = Idle::default();
        for _ in 0..ms {
            self.tick(1);
            for port in std::mem::take(&mut self.dials) {
                idle.dialled.push(port);
                self.refuse(port);
            }
            for port in self.conns.keys().copied().collect::<Vec<_>>() {
                match self.written(port) {
                    bytes if bytes == wire(&["CLUSTER", "SLOTS"]) => {
                        idle.asked.push(port);
                        self.reply(port, slots_reply(ranges));
                    }
                    bytes if bytes.is_empty() => {}
                    bytes => idle.written.push((port, bytes)),
                }
            }
        }
        idle
    }

    /// Nothing is held any more.
    pub(super) fn assert_empty(&self) {
        let stats = self.engine.stats();
        assert_eq!((stats.in_flight, stats.queued_bytes, stats.parked), (0, 0, 0));
        assert!(self.engine.fences.is_empty(), "a fence around nothing");
    }
}

fn kind_name(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Server(error) => error.text().to_owned(),
        other => format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
    }
}

/// A command in its wire form.
pub(super) fn wire(words: &[&str]) -> Vec<u8> {
    let args: Vec<Arg<'_>> = words[1..].iter().map(|word| Arg::Bytes(word.as_bytes())).collect();
    let mut out = Vec::new();
    Request::new(words[0], Keys::None, &args).write(&mut out);
    out
}

/// Several commands, one behind the other.
pub(super) fn wires(commands: &[&[&str]]) -> Vec<u8> {
    commands.iter().flat_map(|words| wire(words)).collect()
}

pub(super) fn set(key: &str, value: &str) -> Cmd {
    cmd("SET").key(key).arg(value)
}

pub(super) fn get(key: &str) -> Cmd {
    cmd("GET").key(key)
}

/// The redirect of a key's slot to another owner.
pub(super) fn moved(key: &str, port: u16) -> String {
    format!("-MOVED {} h:{port}\r\n", slot_of(key.as_bytes()))
}

/// The redirect of one command while its slot migrates.
pub(super) fn ask(key: &str, port: u16) -> String {
    format!("-ASK {} h:{port}\r\n", slot_of(key.as_bytes()))
}

/// A key of the node's slots, different for each `n`; all with the same `tag` share a slot.
pub(super) fn key_of(port: u16, tag: u32) -> String {
    let third = |slot: u16| {
        if slot <= 5460 {
            A
        } else if slot <= 10922 {
            B
        } else {
            C
        }
    };
    (0..)
        .map(|n| format!("{{{tag}.{n}}}"))
        .find(|tag| third(slot_of(tag.as_bytes())) == port)
        .expect("a key of every node")
}

/// The reply to CLUSTER SLOTS: ranges and the port of their primary.
pub(super) fn slots_reply(ranges: &[(u16, u16, u16)]) -> String {
    let mut reply = format!("*{}\r\n", ranges.len());
    for (start, end, port) in ranges {
        reply += &format!("*3\r\n:{start}\r\n:{end}\r\n*3\r\n$1\r\nh\r\n:{port}\r\n$40\r\n{port:040}\r\n");
    }
    reply
}

/// The reply to CLUSTER NODES: as `slots_reply`, with the config epoch of each node.
pub(super) fn nodes_reply(ranges: &[(u16, u16, u16)], epoch: impl Fn(u16) -> u64) -> String {
    let mut text = String::new();
    for port in ranges.iter().map(|range| range.2).collect::<BTreeSet<_>>() {
        text += &format!("{port:040} h:{port}@1 master - 0 0 {} connected", epoch(port));
        for (start, end, _) in ranges.iter().filter(|range| range.2 == port) {
            text += &format!(" {start}-{end}");
        }
        text += "\n";
    }
    format!("={}\r\ntxt:{text}\r\n", text.len() + 4)
}

pub(super) fn not_executed(kind: &str) -> String {
    format!("{kind} {:?}", Outcome::NotExecuted)
}
