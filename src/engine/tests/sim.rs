//! A driver, a network and a caller for the random test: what can happen, one step at a time. A driver by the book: it calls the engine
//! when `poll_timeout` says so, and writes to connections that `poll_transmit` has named.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::model::{Cluster, PORTS, Socket};
use super::{Cmd, config};
use crate::command::{Arg, Keys, Merge, Request, Route, cmd};
use crate::config::{Config, Endpoint, Order, RetryUnknown};
use crate::engine::rng::Rng;
use crate::engine::{Action, BatchId, ConnId, Engine, Timestamp, Token};
use crate::error::{Error, Outcome};
use crate::resp::reply::ReplyRef;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Append,
    Read,
    /// Over this many keys.
    Exists(usize),
    Ping,
}

#[derive(Debug, Clone)]
pub(super) enum Fate {
    Pending,
    /// The length of the log that the reply told.
    Done(usize),
    Failed(Outcome, String),
    /// Nobody heard.
    Abandoned,
}

pub(super) struct Op {
    pub(super) kind: Kind,
    /// Slot and key, as places in the model.
    pub(super) key: (usize, usize),
    pub(super) fate: Fate,
}

#[derive(Debug)]
pub(super) enum Command {
    Raw(Box<Cmd>),
    /// Over two keys; split where they are in two slots.
    Exists([String; 2]),
}

impl Command {
    fn with<T>(&self, submit: impl FnOnce(&Request<'_>) -> T) -> T {
        match self {
            Command::Raw(command) => submit(&command.request().expect("a good command")),
            Command::Exists(keys) => {
                let args = keys.each_ref().map(|key| Arg::Bytes(key.as_bytes()));
                let request =
                    Request::new("EXISTS", Keys::Range { first: 0, step: 1, count: 2 }, &args).read_only();
                submit(&request.splittable(1, Merge::Sum))
            }
        }
    }
}

pub(super) struct OpenBatch {
    pub(super) id: BatchId,
    /// Numbers and indices of its commands.
    pub(super) commands: Vec<(u32, u32)>,
    pub(super) flushed: bool,
}

pub(super) struct Sim {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    pub(super) rng: Rng,
    pub(super) cluster: Cluster,
    /// Things break.
    pub(super) stormy: bool,
    pub(super) sockets: BTreeMap<ConnId, Socket>,
    pub(super) dials: Vec<(ConnId, u16)>,
    /// Connections the engine has named since they had nothing to write.
    pub(super) writable: BTreeSet<ConnId>,
    pub(super) ops: Vec<Op>,
    pub(super) tokens: Vec<(u32, Token)>,
    pub(super) batches: Vec<OpenBatch>,
}

fn settings(rng: &mut Rng) -> Config {
    let mut config = config();
    config.jitter_seed = rng.next();
    config.connect_timeout_ms = 200;
    config.handshake_timeout_ms = 200;
    config.node_silent_ms = 300 + rng.below(2_000);
    config.reconnect_min_ms = 1 + rng.below(20);
    config.reconnect_max_ms = 200;
    config.refresh_interval_ms = [0, 0, 300][rng.below(3) as usize];
    config.refresh_min_interval_ms = 1 + rng.below(100);
    // Patient callers show commands that only a deadline would free.
    config.command_timeout_ms = if rng.below(3) == 0 { 60_000 } else { 100 + rng.below(3_000) };
    config.tryagain_wait_ms = rng.below(2_000);
    config.sentinel_replies = [0, 1, 5, 65_536][rng.below(4) as usize];
    config.sentinel_ms = [0, 300, 5_000][rng.below(3) as usize];
    config.high_integrity = rng.below(4) == 0;
    config.retry_unknown = [RetryUnknown::ReadOnly, RetryUnknown::Never][rng.below(2) as usize];
    if rng.below(4) == 0 {
        config.limits.tombstones_per_node_max = 1 + rng.below(20) as usize;
    }
    if rng.below(4) == 0 {
        config.order = Order::PerSlot;
    }
    if rng.below(4) == 0 {
        config.hops_max = rng.below(5) as u8;
    }
    if rng.below(4) == 0 {
        config.limits.commands_per_node_max = 8 + rng.below(10) as usize;
        config.limits.bytes_total_max = 2_000;
    }
    config
}

impl Sim {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let now = Timestamp::from_nanos(1_000_000_000);
        let engine = Engine::new(settings(&mut rng), now).expect("seeds");
        Sim {
            engine,
            now,
            rng,
            cluster: Cluster::new(),
            stormy: !seed.is_multiple_of(3),
            sockets: BTreeMap::new(),
            dials: Vec::new(),
            writable: BTreeSet::new(),
            ops: Vec::new(),
            tokens: Vec::new(),
            batches: Vec::new(),
        }
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.rng.below(n) == 0
    }

    pub(super) fn any_socket(&mut self) -> Option<ConnId> {
        let pick = self.rng.below(self.sockets.len() as u64) as usize;
        self.sockets.keys().nth(pick).copied()
    }

    /// What a driver does before it waits.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Connect { conn, endpoint } => self.dials.push((conn, endpoint.port)),
                Action::Close { conn } => {
                    self.sockets.remove(&conn);
                    self.dials.retain(|(dialled, _)| *dialled != conn);
                }
            }
        }
        while let Some(conn) = self.engine.poll_transmit() {
            self.writable.insert(conn);
        }
        while self.engine.poll_event().is_some() {}
    }

    /// Time passes; the engine is called only when it asked to be.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        let mut calls = 0;
        while self.engine.poll_timeout().is_some_and(|due| due <= self.now) {
            self.engine.handle_timeout(self.now);
            self.act();
            calls += 1;
            assert!(calls < 20, "the engine asks to be called again and again");
        }
    }

    pub(super) fn next_command(&mut self) -> (u32, Command) {
        let number = self.ops.len() as u32;
        let key = (self.rng.below(3) as usize, self.rng.below(2) as usize);
        let name = |sim: &Sim, key: (usize, usize)| sim.cluster.slots[key.0].keys[key.1].name.clone();
        let (kind, command) = match self.rng.below(12) {
            0..=5 => {
                let padding = if self.one_in(20) { 20 << 10 } else { 1 };
                let command = cmd("RPUSH").key(name(self, key)).arg(number).arg("x".repeat(padding));
                (Kind::Append, Command::Raw(Box::new(command)))
            }
            6..=9 => (Kind::Read, Command::Raw(Box::new(cmd("GET").key(name(self, key)).arg(number)))),
            10 => {
                let other = (self.rng.below(3) as usize, 1 - key.1);
                (Kind::Exists(2), Command::Exists([name(self, key), name(self, other)]))
            }
            _ => {
                let port = PORTS[self.rng.below(3) as usize];
                let known = Route::Node(Endpoint::new("h", port));
                let route = if self.one_in(2) { Route::AnyPrimary } else { known };
                (Kind::Ping, Command::Raw(Box::new(cmd("PING").arg(number).route(route))))
            }
        };
        self.ops.push(Op { kind, key, fate: Fate::Pending });
        (number, command)
    }

    pub(super) fn submit_stream(&mut self, timeout_ms: u64) {
        let (number, command) = self.next_command();
        self.submit_as_stream(number, &command, timeout_ms);
    }

    pub(super) fn submit_as_stream(&mut self, number: u32, command: &Command, timeout_ms: u64) {
        let (engine, now) = (&mut self.engine, self.now);
        match command.with(|request| engine.submit_stream(request, u64::from(number), timeout_ms, now)) {
            Ok(token) => self.tokens.push((number, token)),
            Err(error) => self.finish(number, Err(&error)),
        }
    }

    pub(super) fn submit_batch(&mut self) {
        if self.batches.iter().all(|batch| batch.flushed) {
            let id = self.engine.open_batch();
            self.batches.push(OpenBatch { id, commands: Vec::new(), flushed: false });
        }
        let (number, command) = self.next_command();
        let batch = self.batches.iter_mut().find(|batch| !batch.flushed).expect("an open batch");
        let (engine, now) = (&mut self.engine, self.now);
        let index = command.with(|request| engine.submit(batch.id, request, now));
        batch.commands.push((number, index));
    }

    pub(super) fn flush(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| !batch.flushed) {
            batch.flushed = true;
            self.engine.start_deadline(batch.id, self.now);
        }
        self.engine.flush();
    }

    pub(super) fn abandon(&mut self) {
        let pick = self.rng.below(self.batches.len() as u64) as usize;
        if pick < self.batches.len() {
            let batch = self.batches.remove(pick);
            self.engine.abandon(batch.id);
            for (number, _) in batch.commands {
                self.ops[number as usize].fate = Fate::Abandoned;
            }
        }
    }

    pub(super) fn cancel(&mut self) {
        let pick = self.rng.below(self.tokens.len() as u64) as usize;
        if let Some(&(number, token)) = self.tokens.get(pick) {
            let pending = matches!(self.ops[number as usize].fate, Fate::Pending);
            if self.engine.cancel(token) {
                assert!(pending, "{number} had its result and was cancelled");
            }
        }
    }

    /// A command has its result.
    pub(super) fn finish(&mut self, number: u32, result: Result<ReplyRef<'_>, &Error>) {
        let op = &mut self.ops[number as usize];
        assert!(matches!(op.fate, Fate::Pending), "{number} completed twice: {:?}, {result:?}", op.fate);
        op.fate = match (result, op.kind) {
            (Err(error), _) => Fate::Failed(error.outcome(), error.to_string()),
            (Ok(reply), Kind::Exists(keys)) => {
                assert_eq!(reply.as_i64(), Some(keys as i64), "{number}: {reply:?}");
                Fate::Done(0)
            }
            (Ok(reply), _) => {
                let mut words = reply.as_str().unwrap_or_default().split(':');
                assert_eq!(
                    words.next(),
                    Some(number.to_string().as_str()),
                    "somebody else's reply: {reply:?}"
                );
                Fate::Done(words.next().and_then(|len| len.parse().ok()).expect("a length"))
            }
        };
    }

    pub(super) fn take_results(&mut self) {
        let mut done = Vec::new();
        while let Some(completion) = self.engine.next_completion() {
            let frame = completion.result.map(|reply| reply.frame().to_vec());
            done.push((completion.user_data as u32, frame));
        }
        for (number, result) in done {
            self.tokens.retain(|(live, _)| *live != number);
            self.finish(number, result.as_deref().map(ReplyRef::new));
        }
        let (whole, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batches)
            .into_iter()
            .partition(|batch| batch.flushed && self.engine.is_complete(batch.id));
        self.batches = open;
        for OpenBatch { id, commands, .. } in whole {
            self.engine.merge_splits(id);
            for (number, index) in commands {
                let reply = self.engine.batch(id).expect("not abandoned").reply(index);
                let result = reply.map(|reply| reply.frame().to_vec()).map_err(Error::clone);
                self.finish(number, result.as_deref().map(ReplyRef::new));
            }
            self.engine.abandon(id);
        }
    }

    /// The socket takes up to `limit` bytes, if the engine asked for it.
    pub(super) fn write(&mut self, conn: ConnId, limit: usize) {
        let Some(socket) = self.sockets.get_mut(&conn).filter(|_| self.writable.contains(&conn)) else {
            return;
        };
        let mut slices = SmallVec::new();
        self.engine.unsent(conn, &mut slices);
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(limit).collect();
        drop(slices);
        if bytes.is_empty() {
            self.writable.remove(&conn);
            return;
        }
        socket.inbox.extend_from_slice(&bytes);
        self.engine.handle_sent(conn, bytes.len(), self.now);
    }

    pub(super) fn deliver(&mut self, conn: ConnId, limit: usize) {
        let Some(socket) = self.sockets.get_mut(&conn) else { return };
        let bytes = socket.take_out(limit);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let Some(mut recv) = self.engine.lend_recv(conn) else { return };
            let n = recv.spare_mut().len().min(rest.len());
            recv.spare_mut()[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            self.engine.handle_received(conn, recv, n, self.now);
            self.act();
        }
    }

    pub(super) fn reset(&mut self, conn: ConnId) {
        self.sockets.remove(&conn);
        self.writable.remove(&conn);
        self.engine.handle_closed(conn, "reset", self.now);
    }

    pub(super) fn answer_dial(&mut self, pick: usize) {
        if pick < self.dials.len() {
            let (conn, port) = self.dials.remove(pick);
            if self.cluster.is_down(port) {
                self.engine.handle_closed(conn, "refused", self.now);
            } else {
                self.sockets.insert(conn, Socket::new(port));
                self.engine.handle_connected(conn, self.now);
            }
        }
    }
}
