//! The peer in memory: it drives an engine through its public surface, with no socket in between.

use std::io::IoSlice;

use panpipe::engine::{Action, ConnId, Engine, Timestamp};
use smallvec::SmallVec;

use super::{Answers, measured};

/// Most replies handed over at once.
const REPLIES_MAX: usize = 4096;

/// One node.
struct Node {
    port: u16,
    conn: Option<ConnId>,
    /// Received and not answered; used while commands differ in size.
    inbox: Vec<u8>,
    /// Not yet handed over.
    outbox: Vec<u8>,
    /// In the steady state: bytes received of commands that are not whole yet.
    partial_bytes: usize,
    /// In the steady state: replies owed.
    owed: usize,
}

/// All commands have the same size from here on and get the same reply: counting them is a division.
struct Steady {
    command_bytes: usize,
    reply_bytes: usize,
    /// The reply, many times over.
    replies: Vec<u8>,
}

/// The peer.
pub(crate) struct Memory {
    answers: Answers,
    nodes: Vec<Node>,
    /// Which node a connection's row is.
    by_row: Vec<usize>,
    steady: Option<Steady>,
}

impl Memory {
    pub(crate) fn new(ports: &[u16]) -> Self {
        let node = |&port: &u16| Node {
            port,
            conn: None,
            inbox: Vec::new(),
            outbox: Vec::new(),
            partial_bytes: 0,
            owed: 0,
        };
        Memory {
            answers: Answers::new(ports),
            nodes: ports.iter().map(node).collect(),
            by_row: Vec::new(),
            steady: None,
        }
    }

    /// Nothing but this command follows.
    pub(crate) fn settle(&mut self, name: &str, command_bytes: usize) {
        let reply = self.answers.reply(name.as_bytes());
        self.steady =
            Some(Steady { command_bytes, reply_bytes: reply.len(), replies: reply.repeat(REPLIES_MAX) });
    }

    /// Connects what the engine wants connected.
    pub(crate) fn connect(&mut self, engine: &mut Engine, now: Timestamp) {
        while let Some(action) = engine.poll_action() {
            let Action::Connect { conn, endpoint } = action else { continue };
            let number = self.nodes.iter().position(|node| node.port == endpoint.port);
            let number = number.expect("the engine connects to the nodes of the view");
            self.nodes[number].conn = Some(conn);
            if self.by_row.len() <= conn.row() {
                self.by_row.resize(conn.row() + 1, 0);
            }
            self.by_row[conn.row()] = number;
            engine.handle_connected(conn, now);
        }
    }

    /// Takes everything the engine has to send, and answers it; answers how many bytes it took.
    pub(crate) fn exchange(&mut self, engine: &mut Engine, now: Timestamp) -> usize {
        let mut taken = 0;
        while let Some(conn) = measured::next_to_send(engine) {
            taken += self.take(engine, conn, now);
        }
        for number in 0..self.nodes.len() {
            if self.steady.is_some() {
                self.give_steady(number, engine, now)
            } else {
                self.give(number, engine, now)
            }
        }
        taken
    }

    fn take(&mut self, engine: &mut Engine, conn: ConnId, now: Timestamp) -> usize {
        let node = &mut self.nodes[self.by_row[conn.row()]];
        let mut total = 0;
        loop {
            let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
            measured::unsent(engine, conn, &mut slices);
            let n: usize = slices.iter().map(|slice| slice.len()).sum();
            if n == 0 {
                return total;
            }
            match &self.steady {
                Some(steady) => {
                    let bytes = node.partial_bytes + n;
                    node.owed += bytes / steady.command_bytes;
                    node.partial_bytes = bytes % steady.command_bytes;
                }
                None => slices.iter().for_each(|slice| node.inbox.extend_from_slice(slice)),
            }
            drop(slices);
            total += n;
            measured::sent(engine, conn, n, now);
        }
    }

    /// Answers commands of any size.
    fn give(&mut self, number: usize, engine: &mut Engine, now: Timestamp) {
        let node = &mut self.nodes[number];
        let answered = self.answers.answer(number, &node.inbox, &mut node.outbox);
        node.inbox.drain(..answered.consumed);
        while let (Some(conn), false) = (node.conn, node.outbox.is_empty()) {
            let Some(mut recv) = engine.lend_recv(conn) else { return };
            let spare = recv.spare_mut();
            let n = spare.len().min(node.outbox.len());
            spare[..n].copy_from_slice(&node.outbox[..n]);
            node.outbox.drain(..n);
            engine.handle_received(conn, recv, n, now);
        }
    }

    /// Answers commands of one size.
    fn give_steady(&mut self, number: usize, engine: &mut Engine, now: Timestamp) {
        let node = &mut self.nodes[number];
        let (Some(conn), Some(steady)) = (node.conn, &self.steady) else { return };
        while node.owed > 0 {
            let Some(mut recv) = measured::lend(engine, conn) else { return };
            let spare = recv.spare_mut();
            let replies = node.owed.min(spare.len() / steady.reply_bytes).min(REPLIES_MAX);
            let n = replies * steady.reply_bytes;
            spare[..n].copy_from_slice(&steady.replies[..n]);
            node.owed -= replies;
            measured::received(engine, conn, recv, n, now);
        }
    }
}
