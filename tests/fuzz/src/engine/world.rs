//! The caller, the transport and the clock: what drives the engine, by the book.

use panpipe::config::Config;
use panpipe::engine::{Action, BatchId, ConnId, Engine, Timestamp, Token};
use panpipe::error::{Error, ErrorKind};
use panpipe::resp::ReplyRef;
use smallvec::SmallVec;

use super::TIMEOUT_MS_MAX;
use super::server::Socket;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pending,
    Done,
    /// The caller gave its batch up.
    Abandoned,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    /// Numbers of its commands, and their places.
    pub(super) commands: Vec<(u32, u32)>,
    pub(super) flushed: bool,
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    pub(super) sockets: Vec<Socket>,
    pub(super) dials: Vec<(ConnId, u16)>,
    /// Connections that are gone: calls that name them must do nothing.
    pub(super) gone: Vec<ConnId>,
    pub(super) fates: Vec<Fate>,
    /// Commands whose reply is their number, where servers are honest.
    pub(super) echoes: Vec<bool>,
    pub(super) tokens: Vec<(u32, Token)>,
    pub(super) batches: Vec<Batch>,
    /// No server has said anything that a server would not.
    pub(super) honest: bool,
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let now = Timestamp::from_nanos(1_000_000_000);
        let engine = Engine::new(config, now).expect("seeds");
        World {
            engine,
            now,
            sockets: Vec::new(),
            dials: Vec::new(),
            gone: Vec::new(),
            fates: Vec::new(),
            echoes: Vec::new(),
            tokens: Vec::new(),
            batches: Vec::new(),
            honest: true,
        }
    }

    /// What a driver does before it waits.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Connect { conn, endpoint } => self.dials.push((conn, endpoint.port)),
                Action::Close { conn } => {
                    self.sockets.retain(|socket| socket.conn != conn);
                    self.dials.retain(|(dialled, _)| *dialled != conn);
                    self.gone.push(conn);
                }
            }
        }
        while let Some(conn) = self.engine.poll_transmit() {
            let socket = self.sockets.iter_mut().find(|socket| socket.conn == conn);
            socket.expect("bytes for a connection that is open").writable = true;
        }
        while self.engine.poll_event().is_some() {}
    }

    /// Time passes; the engine is called when it asked to be.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        for _ in 0..50 {
            if self.engine.poll_timeout().is_none_or(|due| due > self.now) {
                return;
            }
            self.engine.handle_timeout(self.now);
            self.act();
        }
        panic!("the engine asks to be called again and again: {:?}", self.engine.stats());
    }

    /// The network takes up to `limit` bytes, if the engine has named the connection.
    pub(super) fn write(&mut self, at: usize, limit: usize) {
        let Some(socket) = self.sockets.get_mut(at).filter(|socket| socket.writable) else { return };
        let mut slices = SmallVec::new();
        self.engine.unsent(socket.conn, &mut slices);
        let mut taken = 0;
        for slice in &slices {
            let part = &slice[..slice.len().min(limit - taken)];
            socket.receive(part);
            taken += part.len();
        }
        let none = slices.iter().all(|slice| slice.is_empty());
        drop(slices);
        if none {
            socket.writable = false;
        } else {
            let conn = socket.conn;
            self.engine.handle_sent(conn, taken, self.now);
            self.act();
        }
    }

    /// Up to `limit` bytes reach the client.
    pub(super) fn deliver(&mut self, at: usize, limit: usize) {
        let Some(socket) = self.sockets.get_mut(at) else { return };
        let conn = socket.conn;
        let bytes: Vec<u8> = socket.outbox.drain(..limit.min(socket.outbox.len())).collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let Some(mut recv) = self.engine.lend_recv(conn) else { return };
            let room = recv.spare_mut();
            assert!(!room.is_empty(), "no room to receive into");
            let n = room.len().min(rest.len());
            room[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            self.engine.handle_received(conn, recv, n, self.now);
            self.act();
        }
    }

    pub(super) fn close(&mut self, at: usize) {
        if at < self.sockets.len() {
            let socket = self.sockets.remove(at);
            self.gone.push(socket.conn);
            self.engine.handle_closed(socket.conn, "reset", self.now);
            self.act();
        }
    }

    pub(super) fn answer_dial(&mut self, at: usize, accept: bool) {
        if at < self.dials.len() {
            let (conn, port) = self.dials.remove(at);
            if accept {
                self.sockets.push(Socket::new(conn, port));
                self.engine.handle_connected(conn, self.now);
            } else {
                self.gone.push(conn);
                self.engine.handle_closed(conn, "refused", self.now);
            }
            self.act();
        }
    }

    pub(super) fn flush(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| !batch.flushed) {
            batch.flushed = true;
            self.engine.start_deadline(batch.id, self.now);
        }
        self.engine.flush();
        self.act();
    }

    /// Takes what is there to be taken.
    pub(super) fn take_results(&mut self) {
        while let Some(completion) = self.engine.next_completion() {
            let number = completion.user_data as u32;
            let fate = &mut self.fates[number as usize];
            assert_eq!(*fate, Fate::Pending, "{number} completed twice");
            *fate = Fate::Done;
            if self.honest && self.echoes[number as usize] {
                check_reply(number, &completion.result);
            }
            let token = completion.token;
            assert!(!self.engine.is_pending(token), "{number} has its result and is pending");
            self.tokens.retain(|(live, _)| *live != number);
        }
        let engine = &mut self.engine;
        let (fates, echoes, honest) = (&mut self.fates, &self.echoes, self.honest);
        self.batches.retain(|batch| {
            if !batch.flushed || !engine.is_complete(batch.id) {
                return true;
            }
            engine.join_parts(batch.id);
            for &(number, index) in &batch.commands {
                let fate = &mut fates[number as usize];
                assert_eq!(*fate, Fate::Pending, "{number} completed twice");
                *fate = Fate::Done;
                let result = engine.batch_result(batch.id, index).expect("a batch that is complete");
                if honest && echoes[number as usize] {
                    check_reply(number, &result);
                }
            }
            engine.abandon(batch.id);
            false
        });
        self.act();
    }

    /// Everybody does everything there is to do, honestly, and some time passes.
    pub(super) fn turn(&mut self) {
        self.act();
        while !self.dials.is_empty() {
            self.answer_dial(0, true);
        }
        let mut at = 0;
        while let Some(conn) = self.sockets.get(at).map(|socket| socket.conn) {
            let is_there = |world: &World| world.sockets.get(at).is_some_and(|socket| socket.conn == conn);
            while is_there(self) && self.sockets[at].writable {
                self.write(at, usize::MAX);
            }
            if is_there(self) {
                while self.sockets[at].answer() {}
                self.deliver(at, usize::MAX);
            }
            if is_there(self) {
                at += 1;
            }
        }
        self.take_results();
        self.pass(5);
    }

    /// The engine's own books agree with each other.
    pub(super) fn check_books(&self) {
        assert_eq!(self.engine.audit().problems, Vec::<String>::new());
    }

    /// All is well for as long as a command may take.
    pub(super) fn heal(&mut self) {
        self.flush();
        self.check_books();
        for _ in 0..20 {
            self.turn();
        }
    }

    fn refuse_dials(&mut self) {
        while !self.dials.is_empty() {
            self.answer_dial(0, false);
        }
    }

    /// Every command has had its result, and the engine has let go of all of them.
    fn is_over(&self) -> bool {
        let stats = self.engine.stats();
        !self.fates.contains(&Fate::Pending) && (stats.in_flight, stats.queued_bytes) == (0, 0)
    }

    /// All connections break, none can be made any more, and every deadline passes: every command has had one result, and nothing is left.
    pub(super) fn end(&mut self) {
        self.flush();
        while !self.sockets.is_empty() {
            self.close(0);
        }
        for _ in 0..TIMEOUT_MS_MAX / 200 + 10 {
            self.refuse_dials();
            self.take_results();
            self.pass(200);
            if self.is_over() {
                // All the same from here on: nobody waits, and nobody is there.
                break;
            }
        }
        self.pass(TIMEOUT_MS_MAX);
        self.refuse_dials();
        self.take_results();
        let stats = self.engine.stats();
        let pending = self.fates.iter().position(|fate| *fate == Fate::Pending);
        assert_eq!(pending, None, "a command without a result, {stats:?}");
        assert_eq!((stats.in_flight, stats.queued_bytes, stats.parked), (0, 0, 0));
        assert!(self.engine.next_completion().is_none() && !self.engine.has_completions());
        assert!(self.tokens.is_empty() && self.batches.is_empty());
        let audit = self.engine.audit();
        assert_eq!((audit.rows, audit.problems), (0, Vec::new()));
    }
}

/// An honest server's answer is the number of the command that it answers.
fn check_reply(number: u32, result: &Result<ReplyRef<'_>, Error>) {
    match result {
        Ok(reply) if reply.as_i64().is_some() => {
            assert_eq!(reply.as_i64(), Some(i64::from(number)), "somebody else's reply");
        }
        Ok(reply) => {
            let numbers = reply.elements().filter_map(|element| element.as_i64());
            numbers.for_each(|of| assert_eq!(of, i64::from(number), "somebody else's transaction"));
        }
        Err(error) => {
            // These servers send redirects for any slot, which with `high_integrity` is taken for a reply to another command.
            let is_strange =
                matches!(error.kind(), ErrorKind::Desync { what } if what.contains("names another slot"));
            let never = matches!(error.kind(), ErrorKind::Desync { .. } | ErrorKind::Decode { .. });
            assert!(!never || is_strange, "{number}: {error}");
        }
    }
}
