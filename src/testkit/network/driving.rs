//! One thing after the other happens; and a client that waits for them.

use std::cmp::Reverse;
use std::io;
use std::time::Duration;

use crate::config::Endpoint;
use crate::engine::{ConnId, Engine, Timestamp};
use crate::testkit::network::wire::ClientEnd;
use crate::testkit::network::{Network, Tap, What};
use crate::transport::{Need, Transport, TransportStats};

impl<T: Tap> Network<T> {
    /// Does the next thing, if it is due. Answers whether there was one.
    pub fn step(&mut self, engine: &mut Engine) -> bool {
        if self.next_at().is_none_or(|at| at > self.now) {
            return false;
        }
        let Some(Reverse(next)) = self.ahead.pop() else { return false };
        if let Some(place) = self.is_clogged(next.wire, &next.what)
            && let Some(held) = self.clogs.get_mut(&place)
        {
            held.push(next);
            return true;
        }
        let wire = next.wire;
        match next.what {
            What::Answer => self.on_answer(wire, engine),
            What::ToServer(bytes) => self.on_arrival(wire, &bytes, next.at, engine),
            What::ToClient(bytes) => self.on_delivery(wire, &bytes, engine),
            What::End(why) if self.is_open(wire) && !self.wires[wire].is_silent => {
                self.tell_closed(wire, why, engine)
            }
            What::Taken => self.on_taken(wire, engine),
            What::Writable if self.wires[wire].wants => self.pump(wire, engine),
            What::End(_) | What::Writable => {}
        }
        self.note([3, wire as u64, next.at.as_nanos()]);
        true
    }

    fn on_answer(&mut self, wire: usize, engine: &mut Engine) {
        if self.wires[wire].client != ClientEnd::Connecting {
            return;
        }
        let (node, conn) = (self.node_at(&self.wires[wire].endpoint), self.wires[wire].conn);
        let node = node.unwrap_or(usize::MAX);
        let now_ms = self.now_ms();
        let refuses = node == usize::MAX || self.path(node).refuses;
        self.wires[wire].node = node;
        let session = if refuses { None } else { self.cluster.open(node, now_ms) };
        let Some(session) = session else {
            self.let_go(wire);
            return engine.handle_closed(conn, "connection refused", self.now);
        };
        self.wires[wire].session = Some(session);
        self.wires[wire].client = ClientEnd::Open;
        self.by_session.insert(session, wire);
        engine.handle_connected(conn, self.now);
        self.listen(wire);
    }

    fn on_arrival(&mut self, wire: usize, bytes: &[u8], due: Timestamp, engine: &mut Engine) {
        self.wires[wire].travelling_up -= bytes.len();
        let is_lost = due > self.wires[wire].cut;
        if let Some(session) = self.wires[wire].session.filter(|_| !is_lost) {
            let now_ms = self.now_ms();
            self.cluster.feed(session, bytes, now_ms);
            self.listen(wire);
            self.collect_closed();
        }
        match self.wires[wire].client {
            ClientEnd::Gone if self.wires[wire].travelling_up == 0 => self.forget_session(wire),
            ClientEnd::Open if self.wires[wire].wants => self.pump(wire, engine),
            _ => {}
        }
    }

    pub(super) fn on_delivery(&mut self, wire: usize, mut bytes: &[u8], engine: &mut Engine) {
        self.wires[wire].travelling_down -= bytes.len();
        if !self.is_open(wire) || self.wires[wire].is_silent {
            return;
        }
        let conn = self.wires[wire].conn;
        self.tap.delivered(conn, bytes);
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

    /// The kernel takes a part of what it was handed, or all of it.
    fn on_taken(&mut self, wire: usize, engine: &mut Engine) {
        let staged = self.wires[wire].staged.len();
        if staged == 0 {
            return;
        }
        let is_short = self.dice.per_mille(self.options.short_writes_per_mille);
        let taken = if is_short { 1 + self.dice.below(staged as u64) as usize } else { staged };
        let bytes: Vec<u8> = self.wires[wire].staged.drain(..taken).collect();
        self.launch(wire, &bytes);
        if taken < staged {
            let at = self.now.after(self.latency());
            self.schedule(at, wire, What::Taken);
        } else if self.wires[wire].wants {
            self.pump(wire, engine);
        }
    }
}

impl<T: Tap> Transport for Network<T> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn connect(&mut self, conn: ConnId, endpoint: &Endpoint, _engine: &mut Engine) {
        Network::connect(self, conn, endpoint);
    }

    fn close(&mut self, conn: ConnId) {
        Network::close(self, conn);
    }

    fn submit(&mut self, conn: ConnId, engine: &mut Engine) {
        Network::submit(self, conn, engine);
    }

    fn wait(&mut self, timeout: Option<Duration>, _need: Need, engine: &mut Engine) -> io::Result<usize> {
        self.stats.waits += 1;
        self.collect();
        let limit = timeout.map(|timeout| self.now.after(timeout));
        let Some(until) = self.next_at().into_iter().chain(limit).min() else {
            return Err(io::Error::new(
                io::ErrorKind::Deadlock,
                "nothing is on its way and no deadline is set",
            ));
        };
        self.pass(until);
        let mut happened = 0;
        while self.step(engine) {
            happened += 1;
        }
        Ok(happened)
    }

    fn stats(&self) -> TransportStats {
        self.stats
    }
}
