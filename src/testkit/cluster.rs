//! The cluster as a byte machine: sessions are opened, fed, drained and closed; time is an argument.
//!
//! Knows sessions, replication and the log of writes. What happens *to* a cluster (migrations, failovers, faults) is
//! in `operations.rs`. Invariants: a session's commands run in the order of its bytes and are answered in that order;
//! a replica that is in sync has its primary's content; equal calls give equal outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::ModelConfig;
use super::dispatch::Exec;
use super::journal::{Execution, Journal};
use super::node::{ClusterDown, ModelNode, PreferredEndpoint, Process};
use super::reply::{CommandError, Reply, Resp};
use super::session::{Life, Session, SessionId};
use super::table::{Command, Handler};
use super::view::View;

/// A write that a primary has executed without an error reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedWrite {
    /// Counts all writes of the cluster in the order of their execution.
    pub sequence: u64,
    /// Index of the node that executed it.
    pub node: usize,
    /// The session it came from.
    pub session: SessionId,
    /// The command's words.
    pub words: Arc<[Vec<u8>]>,
    /// Whether it changed anything (`DEL` of a missing key does not).
    pub changed: bool,
}

/// A whole cluster in memory.
#[derive(Debug)]
pub struct ModelCluster {
    config: ModelConfig,
    pub(crate) nodes: Vec<ModelNode>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// What every node would believe if news travelled at once.
    pub(crate) truth: View,
    pub(crate) epoch: u64,
    sessions_ever: u64,
    closed_by_server: Vec<SessionId>,
    writes_ever: u64,
    writes: BTreeMap<Vec<u8>, Vec<ExecutedWrite>>,
    pub(crate) journal: Journal,
}

impl ModelCluster {
    /// A healthy cluster in which every node knows everything.
    pub fn new(config: ModelConfig) -> Self {
        let mut cluster = ModelCluster {
            config,
            nodes: Vec::new(),
            sessions: BTreeMap::new(),
            truth: View::new(),
            epoch: 0,
            sessions_ever: 0,
            closed_by_server: Vec::new(),
            writes_ever: 0,
            writes: BTreeMap::new(),
            journal: Journal::default(),
        };
        cluster.lay_out();
        cluster
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Nodes that have ever been part of it, removed ones included.
    pub fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// One node. Panics when there is no such index.
    pub fn node(&self, node: usize) -> &ModelNode {
        &self.nodes[node]
    }

    /// Connects to a node. None when the node is dead: the connection is refused. A node at its `clients_max` accepts,
    /// says so and closes.
    pub fn open(&mut self, node: usize, _now_ms: u64) -> Option<SessionId> {
        let is_authenticated = self.config.password.is_none();
        let server = self.nodes.get_mut(node).filter(|server| server.is_reachable())?;
        server.clients_ever += 1;
        server.clients_now += 1;
        self.sessions_ever += 1;
        let id = SessionId(self.sessions_ever);
        let is_full = server.clients_now > self.config.clients_max;
        let mut session = Session::new(id, node, server.clients_ever, is_authenticated);
        if is_full {
            session.output.extend_from_slice(b"-ERR max number of clients reached\r\n");
        }
        self.sessions.insert(id, session);
        if is_full {
            self.close_by_server(id);
        }
        Some(id)
    }

    /// Hands over bytes that arrive at the server. Complete commands are executed at once, unless the node is frozen:
    /// then they wait until it thaws. Bytes for a session that is closed are lost.
    pub fn feed(&mut self, session: SessionId, bytes: &[u8], now_ms: u64) {
        let Some(mut taken) = self.sessions.remove(&session) else { return };
        if taken.life == Life::Open {
            taken.input.extend_from_slice(bytes);
            if self.nodes[taken.node].runs() {
                self.execute_input(&mut taken, now_ms);
                self.hang_up_if_due(&mut taken);
            }
        }
        let (is_closing, client_is_gone) = (taken.life == Life::Closing, taken.client_is_gone);
        self.sessions.insert(session, taken);
        if is_closing {
            self.close_by_server(session);
        }
        if client_is_gone {
            self.close(session);
        }
    }

    /// Runs every complete command of the session's input.
    fn execute_input(&mut self, session: &mut Session, now_ms: u64) {
        let input = std::mem::take(&mut session.input);
        let mut parser = std::mem::take(&mut session.parser);
        let mut output = std::mem::take(&mut session.output);
        let mut start = 0;
        while session.life == Life::Open {
            let rest = &input[start..];
            match parser.advance(rest, session.is_authenticated) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    let words = parser.arguments(rest);
                    let resp = session.resp;
                    if !words.is_empty() {
                        let mut exec = Exec { cluster: self, session, now_ms };
                        exec.answer(&words, &mut Reply::new(&mut output, resp));
                    }
                    start += length;
                }
                Err(text) => {
                    let error = CommandError::from(format!("ERR Protocol error: {text}"));
                    Reply::new(&mut output, session.resp).error(&error);
                    session.life = Life::Closing;
                }
            }
        }
        session.input = input;
        session.input.drain(..start);
        session.parser = parser;
        session.output = output;
    }

    fn hang_up_if_due(&mut self, session: &mut Session) {
        let due = &mut self.nodes[session.node].hangs_up_at;
        if due.take_if(|bytes| session.input.len() >= *bytes).is_some() {
            session.life = Life::Closing;
        }
    }

    /// Executes what sessions of a node have sent while it did not run.
    pub(crate) fn catch_up(&mut self, node: usize, now_ms: u64) {
        let of_node = |(id, session): (&SessionId, &Session)| (session.node == node).then_some(*id);
        let waiting: Vec<SessionId> = self.sessions.iter().filter_map(of_node).collect();
        waiting.into_iter().for_each(|id| self.feed(id, b"", now_ms));
    }

    /// Appends what the server has to say to `out`.
    pub fn take_output(&mut self, session: SessionId, out: &mut Vec<u8>) {
        if let Some(session) = self.sessions.get_mut(&session) {
            out.append(&mut session.output);
        }
    }

    /// Bytes that wait for `take_output`.
    pub fn output_len(&self, session: SessionId) -> usize {
        self.sessions.get(&session).map_or(0, |session| session.output.len())
    }

    /// Puts bytes of the test's own into a session's output: a stray reply, a push, half a frame.
    pub fn inject_output(&mut self, session: SessionId, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.output.extend_from_slice(bytes);
        }
    }

    /// The client's end closes. What it had sent completely has been executed, or will be when a frozen node thaws.
    pub fn close(&mut self, session: SessionId) {
        let Some(closed) = self.sessions.get_mut(&session) else { return };
        if closed.life == Life::Open && self.nodes[closed.node].is_frozen() && !closed.input.is_empty() {
            // The bytes are in the socket's buffer: the server reads them before it sees the end.
            closed.client_is_gone = true;
            return;
        }
        self.forget(session);
    }

    fn forget(&mut self, session: SessionId) {
        let Some(session) = self.sessions.remove(&session) else { return };
        let node = &mut self.nodes[session.node];
        node.forget_watches(session.id, &session.watched);
        if session.life != Life::Closed {
            node.clients_now -= 1;
        }
    }

    /// Whether the server has closed its end, or has never heard of the session. Its last output can still be taken.
    pub fn session_closed_by_server(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_none_or(|session| session.life != Life::Open)
    }

    /// Sessions that the server has closed since the last call.
    pub fn take_closed(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.closed_by_server)
    }

    /// The node a session is connected to.
    pub fn node_of(&self, session: SessionId) -> Option<usize> {
        self.sessions.get(&session).map(|session| session.node)
    }

    pub(crate) fn close_by_server(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.life == Life::Closed {
            return;
        }
        session.life = Life::Closed;
        let watched = std::mem::take(&mut session.watched);
        let node = &mut self.nodes[session.node];
        node.clients_now -= 1;
        node.forget_watches(id, &watched);
        self.closed_by_server.push(id);
    }

    /// What this node refuses because of the state of the cluster.
    pub(crate) fn down_state(&self, node: usize) -> Option<ClusterDown> {
        let server = &self.nodes[node];
        let uncovered = self.config.full_coverage_required && !server.view.covers_all();
        server.refusals.cluster_down.or(uncovered.then_some(ClusterDown::Everything))
    }

    /// How `me` names `target` in a redirect; none where CLUSTER SLOTS says NULL.
    pub(crate) fn endpoint_seen_by(&self, me: usize, target: usize) -> Option<&str> {
        match self.nodes[me].preferred_endpoint {
            PreferredEndpoint::Ip => Some(self.ip_seen_by(me, target)),
            PreferredEndpoint::Hostname => Some(self.nodes[target].hostname.as_deref().unwrap_or("?")),
            PreferredEndpoint::Unknown => None,
        }
    }

    /// The address of `target`: every node knows the others', not each knows its own.
    pub(crate) fn ip_seen_by(&self, me: usize, target: usize) -> &str {
        let node = &self.nodes[target];
        if me == target && !node.knows_own_ip { "" } else { &node.host }
    }

    /// Replicas that hold this node's content.
    pub(crate) fn synced_replicas(&self, node: usize) -> impl Iterator<Item = usize> {
        let in_sync = |replica: &usize| !self.nodes[*replica].needs_sync;
        self.nodes[node].replicas.iter().copied().filter(in_sync)
    }

    /// Replays an executed write on the replicas.
    pub(crate) fn replicate(&mut self, node: usize, command: &Command, words: &[&[u8]], now_ms: u64) {
        let Handler::Keys(handler) = command.handler else { return };
        let mut ignored = Vec::new();
        for position in 0..self.nodes[node].replicas.len() {
            let replica = self.nodes[node].replicas[position];
            let replica = &mut self.nodes[replica];
            if replica.process == Process::Dead || replica.replication_is_held {
                replica.needs_sync = true;
            }
            if !replica.needs_sync {
                replica.keyspace.set_time(now_ms);
                // Same content, same command, same time: same effect. The primary has sent the answer.
                let _ = handler(&mut replica.keyspace, words, &mut Reply::new(&mut ignored, Resp::Two));
                ignored.clear();
            }
        }
    }

    pub(crate) fn record_write(
        &mut self,
        session: SessionId,
        node: usize,
        command: &Command,
        words: &[&[u8]],
        changed: bool,
    ) {
        self.writes_ever += 1;
        if !self.config.records_writes || !matches!(command.handler, Handler::Keys(_)) {
            return;
        }
        let sequence = self.writes_ever;
        let owned: Arc<[Vec<u8>]> = words.iter().map(|word| word.to_vec()).collect();
        for key in command.keys_of(words) {
            let write = ExecutedWrite { sequence, node, session, words: Arc::clone(&owned), changed };
            self.writes.entry(key.to_vec()).or_default().push(write);
        }
    }

    /// The writes executed on a key, oldest first. Empty unless `records_writes` is on.
    pub fn writes(&self, key: &[u8]) -> &[ExecutedWrite] {
        self.writes.get(key).map_or(&[], Vec::as_slice)
    }

    /// Everything that nodes have run, oldest first. Empty unless `records_executions` is on.
    pub fn executions(&self) -> &[Execution] {
        &self.journal.executions
    }

    /// What a node stores under a key: a string, or a list's elements one after the other. None for other types too.
    pub fn stored(&self, node: usize, key: &[u8]) -> Option<Vec<u8>> {
        self.nodes[node].keyspace.text_of(key)
    }

    /// Every recorded key with its writes.
    pub fn all_writes(&self) -> impl Iterator<Item = (&[u8], &[ExecutedWrite])> {
        self.writes.iter().map(|(key, writes)| (key.as_slice(), writes.as_slice()))
    }
}
