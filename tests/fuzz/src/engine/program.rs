//! What can happen, one operation at a time, and programs to begin with.

use panpipe::command::{Arg, Keys, Merge, Request, Route};
use panpipe::config::Endpoint;
use panpipe::engine::{BatchId, ConnId, Engine};

use super::server::{self, Kind};
use super::world::{Batch, Fate, World};
use crate::input::Input;

/// Keys of a few slots; some share one.
const KEYS: [&str; 8] = ["a", "b", "c", "{a}1", "{a}2", "{b}1", "foo", "bar"];
/// Different ways to say how much.
const AMOUNTS: [usize; 8] = [1, 3, 20, 60, 200, 1_000, 100_000, 0];

impl World {
    /// Something happens.
    pub(super) fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 32 {
            0..=3 => self.submit(input, true),
            4..=6 => self.submit(input, false),
            7..=8 => self.flush(),
            9..=11 => self.turn(),
            12 => {
                let (at, accept) = (input.below(4), input.below(4) > 0);
                self.answer_dial(at, accept);
            }
            13..=14 => self.write(input.below(6), input.pick(&AMOUNTS)),
            15..=19 => self.serve(input),
            20..=21 => self.deliver(input.below(6), input.pick(&AMOUNTS)),
            22 => self.lose(input),
            23..=24 => self.pass([0, 1, 5, 20, 60, 150, 600, 2_500][input.below(8)]),
            25 => self.cancel(input.below(8)),
            26 => self.abandon(input.below(4)),
            27 => {
                self.take_results();
                self.check_books();
            }
            28 => self.engine.refresh_topology(self.now),
            29 => self.damage(input),
            30 => self.spurious(input),
            _ => self.write_and_serve(input),
        }
        self.act();
    }

    fn submit(&mut self, input: &mut Input<'_>, as_stream: bool) {
        let number = self.fates.len() as u32;
        let choice = input.byte();
        let key = KEYS[usize::from(choice >> 4) % KEYS.len()].as_bytes();
        let other = KEYS[usize::from(choice >> 5) % KEYS.len()].as_bytes();
        let last = Arg::Integer(i64::from(number));
        let big;
        let node = Route::Node(Endpoint::new("h", u16::from(1 + (choice >> 4) % 4)));
        let one = [Arg::Bytes(key), last];
        let pair = [Arg::Bytes(key), Arg::Bytes(other), last];
        let keys = [Arg::Bytes(key), Arg::Bytes(other)];
        let echoes = !matches!(choice % 16, 9..=12);
        let request = match choice % 16 {
            0..=3 => Request::new("GET", Keys::FIRST, &one).read_only(),
            4..=7 => Request::new("SET", Keys::FIRST, &one),
            8 => Request::new("RENAME", Keys::Range { first: 0, step: 1, count: 2 }, &pair),
            9..=10 => Request::new("EXISTS", Keys::all(2), &keys).read_only().splittable(1, Merge::Sum),
            11 => Request::new("DBSIZE", Keys::None, &[]).route(&Route::AllPrimaries).merged(Merge::Sum),
            12 => Request::new("DBSIZE", Keys::None, &[]).route(&Route::AllNodes),
            13 => Request::new("PING", Keys::None, &one[1..]).route(&Route::AnyPrimary),
            14 => Request::new("PING", Keys::None, &one[1..]).route(&node),
            _ => {
                big = [one[0], Arg::Bytes(&[b'x'; 20_000]), one[1]];
                Request::new("SET", Keys::FIRST, &big)
            }
        };
        self.echoes.push(echoes);
        self.fates.push(Fate::Pending);
        if as_stream {
            let timeout_ms = [400, 100, 1_000, 2_500, 0, 10, 50, 2_000][input.below(8)];
            match self.engine.submit_stream(&request, u64::from(number), timeout_ms, self.now) {
                Ok(token) => self.tokens.push((number, token)),
                Err(_) => self.fates[number as usize] = Fate::Done,
            }
            return;
        }
        if choice % 16 == 3 {
            let frames = transaction(key, number, 1 + usize::from(choice >> 7));
            let now = self.now;
            self.submit_to_batch(number, |engine, batch| {
                engine.submit_transaction(batch, &frames, panpipe::slot::slot_of(key), now)
            });
            return;
        }
        let now = self.now;
        self.submit_to_batch(number, |engine, batch| engine.submit(batch, &request, now));
    }

    fn submit_to_batch(&mut self, number: u32, submit: impl FnOnce(&mut Engine, BatchId) -> u32) {
        if self.batches.iter().all(|batch| batch.flushed) {
            let id = self.engine.open_batch();
            self.batches.push(Batch { id, commands: Vec::new(), flushed: false });
        }
        let batch = self.batches.iter_mut().find(|batch| !batch.flushed).expect("an open batch");
        let index = submit(&mut self.engine, batch.id);
        batch.commands.push((number, index));
    }

    /// A server answers its oldest command, one way or another.
    fn serve(&mut self, input: &mut Input<'_>) {
        let (at, how) = (input.below(6), input.byte());
        let Some(socket) = self.sockets.get_mut(at) else { return };
        let Some(&kind) = socket.owed.front() else { return };
        if how < 100 {
            socket.answer();
            return;
        }
        socket.owed.pop_front();
        let text = match (kind, how) {
            (Kind::User { slot, .. }, 100..=219) => {
                socket.note_refusal(slot);
                server::error(slot, input)
            }
            (Kind::Exec, 100..=219) => socket.refuse_exec(input),
            (Kind::Multi, 100..=219) => server::odd_handshake(kind, input).to_owned(),
            (Kind::Ping { .. } | Kind::Sum, 100..=219) => server::error(0, input),
            (Kind::Topology, 100..=219) => server::other_view(input),
            (Kind::Info | Kind::Nodes, 100..=219) => server::other_witness(kind, input),
            (Kind::Echo(_), 100..=159) => {
                // With `high_integrity` this ends the connection.
                self.honest = false;
                "-NOPERM this user has no permissions\r\n".to_owned()
            }
            (Kind::Hello | Kind::NodeId | Kind::Setting, 100..=199) => {
                self.honest = false;
                server::odd_handshake(kind, input).to_owned()
            }
            (Kind::User { number, .. } | Kind::Ping { number }, 220..=229) if !socket.is_in_transaction() => {
                format!(">2\r\n+message\r\n+x\r\n|1\r\n+ttl\r\n:3\r\n:{number}\r\n")
            }
            (Kind::User { .. }, 230..=235) if !socket.is_in_transaction() => {
                format!("$20000\r\n{}\r\n", "y".repeat(20_000))
            }
            // Answers that no server gives.
            _ => {
                self.honest = false;
                match how % 5 {
                    0 => "*2\r\n$1\r\na\r\n_\r\n".to_owned(),
                    1 => server::error(16_383, input),
                    2 => "+QUEUED\r\n".to_owned(),
                    3 => server::other_view(input),
                    _ => String::new(),
                }
            }
        };
        socket.send(text.as_bytes());
    }

    /// As a server at rest: takes all, answers all, but the last answer by choice.
    fn write_and_serve(&mut self, input: &mut Input<'_>) {
        let at = input.below(6);
        self.write(at, usize::MAX);
        let Some(socket) = self.sockets.get_mut(at) else { return };
        let leave = input.below(4);
        while socket.owed.len() > leave {
            socket.answer();
        }
        self.deliver(at, usize::MAX);
    }

    /// A connection breaks; the network may not have taken the last bytes after all.
    fn lose(&mut self, input: &mut Input<'_>) {
        let at = input.below(6);
        let Some(socket) = self.sockets.get(at) else { return };
        let untaken = socket.unread().min(input.pick(&AMOUNTS));
        if input.below(2) == 0 && untaken > 0 {
            self.engine.handle_unsent(socket.conn, untaken);
        }
        self.close(at);
    }

    fn cancel(&mut self, pick: usize) {
        if let Some(&(number, token)) = self.tokens.get(pick) {
            let pending = self.engine.is_pending(token);
            assert_eq!(self.engine.cancel(token), pending, "{number}");
            assert!(!self.engine.cancel(token), "{number} was cancelled twice");
        }
    }

    fn abandon(&mut self, pick: usize) {
        if pick < self.batches.len() {
            let batch = self.batches.remove(pick);
            self.engine.abandon(batch.id);
            for (number, _) in batch.commands {
                self.fates[number as usize] = Fate::Abandoned;
            }
        }
    }

    /// Bytes on their way to the client are changed, lost, or made up.
    fn damage(&mut self, input: &mut Input<'_>) {
        let (at, how) = (input.below(6), input.below(4));
        let Some(socket) = self.sockets.get_mut(at) else { return };
        self.honest = false;
        let len = socket.outbox.len();
        match how {
            0 if len > 0 => socket.outbox[usize::from(input.word()) % len] = input.byte(),
            1 => socket.outbox.truncate(usize::from(input.byte())),
            2 => {
                let bytes = input.take(usize::from(input.clone().byte() % 24));
                socket.send(bytes);
            }
            _ => socket.send(b":1\r\n"),
        }
    }

    /// Calls that have no reason, or come too late.
    fn spurious(&mut self, input: &mut Input<'_>) {
        let conns: Vec<ConnId> = self
            .gone
            .iter()
            .rev()
            .take(4)
            .copied()
            .chain(self.sockets.iter().map(|socket| socket.conn))
            .collect();
        let conn = conns.get(input.below(8)).copied();
        let is_gone = conn.is_some_and(|conn| self.gone.contains(&conn));
        match (input.below(6), conn) {
            (0, _) => self.engine.handle_timeout(self.now),
            (1, Some(conn)) => {
                assert!(!is_gone || self.engine.lend_recv(conn).is_none());
                if let Some(recv) = self.engine.lend_recv(conn) {
                    self.engine.handle_received(conn, recv, 0, self.now);
                }
            }
            (2, Some(conn)) => self.engine.handle_connected(conn, self.now),
            (3, Some(conn)) => self.engine.handle_sent(conn, 0, self.now),
            (4, Some(conn)) if is_gone => {
                self.engine.handle_sent(conn, 10, self.now);
                self.engine.handle_unsent(conn, 10);
                self.engine.handle_closed(conn, "again", self.now);
                assert!(!self.engine.is_owed(conn));
            }
            _ => {
                let _ = (self.engine.nodes(), self.engine.uncovered_slots(), self.engine.start_failure());
                let _ = (self.engine.slot_owner(0).is_some(), self.engine.has_topology());
            }
        }
    }
}

/// MULTI, a write, as many reads, and EXEC.
fn transaction(key: &[u8], number: u32, reads: usize) -> Vec<u8> {
    let number = number.to_string();
    let write = [&b"SET"[..], key, number.as_bytes()];
    let read = [&b"GET"[..], key, number.as_bytes()];
    let mut frames = b"*1\r\n$5\r\nMULTI\r\n".to_vec();
    for words in std::iter::once(write).chain(std::iter::repeat_n(read, reads)) {
        frames.extend_from_slice(b"*3\r\n");
        for word in words {
            frames.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            frames.extend_from_slice(word);
            frames.extend_from_slice(b"\r\n");
        }
    }
    frames.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
    frames
}

/// Programs that take the engine into service, then submit, then let one thing happen after the other.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const IN_SERVICE: [u8; 10] = [0, 0, 0, 0, 0, 9, 9, 9, 9, 9];
    const COMMANDS: [u8; 11] = [0, 4, 2, 0, 17, 1, 4, 34, 4, 36, 7];
    /// Transactions, with reads and writes of the same keys around them.
    const TRANSACTIONS: [u8; 11] = [4, 0, 4, 3, 4, 19, 4, 131, 4, 4, 7];
    let mut seeds = vec![Vec::new(), IN_SERVICE.to_vec()];
    for operation in 12..32 {
        let tail = [operation, 0, 0, 1, operation, 1, 150, 3, 5, operation, 2, 200, 9, 9];
        seeds.push([&IN_SERVICE[..], &COMMANDS, &[31, 0, 2, 31, 1, 1, 13, 0, 6], &tail].concat());
        seeds.push([&[1, 1, 1, 1, 1, 9, 9, 9, 9, 9], &COMMANDS[..], &tail, &COMMANDS, &tail].concat());
        seeds.push([&IN_SERVICE[..], &TRANSACTIONS, &[31, 0, 2, 31, 1, 1, 13, 0, 6], &tail].concat());
    }
    for first in 0..20 {
        seeds.push([&IN_SERVICE[..], &COMMANDS, &crate::seeds::numbers(first)].concat());
        seeds.push([&IN_SERVICE[..], &TRANSACTIONS, &crate::seeds::numbers(first)].concat());
    }
    seeds
}
