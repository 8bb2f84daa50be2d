//! One connection: what is on its way, and how far each end is.

use std::collections::VecDeque;

use crate::config::Endpoint;
use crate::engine::{ConnId, Engine, Timestamp};
use crate::testkit::SessionId;
use crate::testkit::network::{Network, Tap, Way, What};

/// How far the client's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientEnd {
    Connecting,
    Open,
    /// It hears and says nothing any more.
    Gone,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) conn: ConnId,
    pub(super) endpoint: Endpoint,
    /// The node at that address when it was looked at last.
    pub(super) node: usize,
    pub(super) session: Option<SessionId>,
    pub(super) client: ClientEnd,
    /// The server has said its last word, as far as the client will hear.
    pub(super) is_ended: bool,
    /// Nothing arrives at the client any more.
    pub(super) is_silent: bool,
    /// Bytes that count as sent and that the kernel has not taken.
    pub(super) staged: VecDeque<u8>,
    pub(super) retracts: bool,
    /// The engine had more to send than there was room for.
    pub(super) wants: bool,
    pub(super) travelling_up: usize,
    pub(super) travelling_down: usize,
    /// When the last byte of each direction arrives: nothing overtakes it.
    last_up: Timestamp,
    pub(super) last_down: Timestamp,
    /// Nothing reaches the server before this.
    pub(super) late_until: Timestamp,
    /// What has not reached the server by then is lost.
    pub(super) cut: Timestamp,
}

/// More segments than this are not made of one write.
const SEGMENTS_MAX: usize = 40;

impl Wire {
    pub(super) fn new(conn: ConnId, endpoint: Endpoint, retracts: bool, now: Timestamp) -> Self {
        Wire {
            conn,
            endpoint,
            node: usize::MAX,
            session: None,
            client: ClientEnd::Connecting,
            is_ended: false,
            is_silent: false,
            staged: VecDeque::new(),
            retracts,
            wants: false,
            travelling_up: 0,
            travelling_down: 0,
            last_up: now,
            last_down: now,
            late_until: Timestamp::ZERO,
            cut: Timestamp::NEVER,
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.client == ClientEnd::Open
            && !self.is_ended
            && self.staged.is_empty()
            && self.travelling_up + self.travelling_down == 0
    }
}

impl<T: Tap> Network<T> {
    /// Cuts bytes into segments and sends them off.
    pub(super) fn launch(&mut self, wire: usize, bytes: &[u8]) {
        self.wires[wire].travelling_up += bytes.len();
        let mut last = self.wires[wire].last_up;
        for segment in self.segments(bytes) {
            last = last.max(self.now.after(self.latency()));
            self.schedule(last, wire, What::ToServer(segment));
        }
        self.wires[wire].last_up = last;
    }

    fn segments(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let most = self.options.segment_bytes_max.max(bytes.len() / SEGMENTS_MAX) as u64;
        let mut rest = bytes;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let length = (1 + self.dice.below(most) as usize).max(most as usize / 4).min(rest.len());
            let (segment, later) = rest.split_at(length);
            segments.push(segment.to_vec());
            rest = later;
        }
        segments
    }

    /// Sends off what a server has to say to one connection.
    pub(super) fn listen(&mut self, wire: usize) {
        let Some(session) = self.wires[wire].session else { return };
        let mut output = Vec::new();
        self.cluster.take_output(session, &mut output);
        if self.wires[wire].client != ClientEnd::Gone && !self.wires[wire].is_ended {
            self.answer(wire, &output);
        }
        if self.cluster.session_closed_by_server(session) {
            self.end(wire, "the server closed the connection");
            self.forget_session(wire);
        }
    }

    /// Bytes on their way to the client.
    pub(super) fn answer(&mut self, wire: usize, bytes: &[u8]) {
        self.wires[wire].travelling_down += bytes.len();
        let mut last = self.wires[wire].last_down;
        for segment in self.segments(bytes) {
            last = last.max(self.now.after(self.latency()));
            self.schedule(last, wire, What::ToClient(segment));
        }
        self.wires[wire].last_down = last;
    }

    /// The client will read the end of the stream, behind what is on its way.
    pub(super) fn end(&mut self, wire: usize, why: &'static str) {
        if self.wires[wire].client != ClientEnd::Gone && !self.wires[wire].is_ended {
            self.wires[wire].is_ended = true;
            let at = self.wires[wire].last_down.max(self.now);
            self.schedule(at, wire, What::End(why));
        }
    }

    pub(super) fn forget_session(&mut self, wire: usize) {
        if let Some(session) = self.wires[wire].session.take() {
            self.by_session.remove(&session);
            self.cluster.close(session);
        }
    }

    /// The client's end is gone; what it had sent may still arrive.
    pub(super) fn let_go(&mut self, wire: usize) {
        let conn = self.wires[wire].conn;
        self.live.remove(&conn);
        self.tap.ended(conn);
        let gone = &mut self.wires[wire];
        gone.client = ClientEnd::Gone;
        gone.wants = false;
        gone.staged.clear();
        if gone.travelling_up == 0 {
            self.forget_session(wire);
        }
        self.note([2, conn.to_u64(), self.now.as_nanos()]);
    }

    /// The engine hears that a connection has ended.
    pub(super) fn tell_closed(&mut self, wire: usize, why: &str, engine: &mut Engine) {
        let conn = self.wires[wire].conn;
        let untaken = self.wires[wire].staged.len();
        self.let_go(wire);
        if untaken > 0 {
            engine.handle_unsent(conn, untaken);
        }
        engine.handle_closed(conn, why, self.now);
    }

    /// The node that it goes to or comes from, and which way.
    pub(super) fn place_of(&self, wire: usize, what: &What) -> Option<(usize, Way)> {
        let way = match what {
            What::ToServer(_) | What::Answer => Way::ToServer,
            What::ToClient(_) | What::End(_) => Way::ToClient,
            What::Taken | What::Writable => return None,
        };
        Some((self.wires[wire].node, way))
    }

    /// Whether something is held up, for now: then it waits.
    pub(super) fn is_clogged(&self, wire: usize, what: &What) -> Option<(usize, Way)> {
        self.place_of(wire, what).filter(|place| self.clogs.contains_key(place))
    }
}
