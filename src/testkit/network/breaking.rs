//! What a test breaks.

use std::cmp::Reverse;

use crate::engine::{ConnId, Engine, Timestamp};
use crate::testkit::network::{Ending, Network, Tap, Way};

impl<T: Tap> Network<T> {
    /// Ends a connection.
    pub fn end_connection(&mut self, conn: ConnId, ending: Ending, engine: &mut Engine) {
        let Some(wire) = self.live.get(&conn).copied() else { return };
        match ending {
            Ending::Reset => self.tell_closed(wire, "connection reset", engine),
            Ending::ResetLosing(after) => {
                // Nothing arrives again where the other end was gone already: a stream has no holes.
                self.wires[wire].cut = self.wires[wire].cut.min(after);
                self.tell_closed(wire, "connection reset", engine);
            }
            Ending::ResetLate(until) => {
                self.wires[wire].late_until = until;
                self.tell_closed(wire, "connection timed out", engine);
            }
            Ending::HalfClosed => self.end(wire, "end of stream"),
            Ending::Silent => {
                self.wires[wire].cut = self.wires[wire].cut.min(self.now);
                self.wires[wire].is_ended = true;
                self.wires[wire].is_silent = true;
            }
        }
    }

    /// Connections to a node are refused, or no longer.
    pub fn set_refuses(&mut self, node: usize, refuses: bool) {
        self.path(node).refuses = refuses;
    }

    /// Connections to a node that are begun from now on are never answered, or are again.
    pub fn set_black_hole(&mut self, node: usize, is_black_hole: bool) {
        self.path(node).is_black_hole = is_black_hole;
    }

    /// What goes this way to or from a node is held up from now on.
    pub fn clog(&mut self, node: usize, way: Way) {
        self.clogs.entry((node, way)).or_default();
    }

    /// What was held up arrives now, and nothing that was sent behind it arrives earlier: where time has jumped, some of that is overdue.
    pub fn unclog(&mut self, node: usize, way: Way) {
        let Some(held) = self.clogs.remove(&(node, way)) else { return };
        let mut ahead: Vec<_> = std::mem::take(&mut self.ahead).into_vec();
        ahead.extend(held.into_iter().map(Reverse));
        for Reverse(next) in &mut ahead {
            if next.at < self.now && self.place_of(next.wire, &next.what) == Some((node, way)) {
                next.at = self.now;
            }
        }
        self.ahead = ahead.into();
    }

    /// The ways that are held up.
    pub fn clogged(&self) -> Vec<(usize, Way)> {
        self.clogs.keys().copied().collect()
    }

    /// Puts bytes of the test's own behind what the server has said to this connection so far.
    pub fn inject(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(wire) = self.live.get(&conn).copied().filter(|&wire| !self.wires[wire].is_ended) {
            self.answer(wire, bytes);
        }
    }

    /// Has a connection read bytes of the test's own now, before everything that is on its way.
    pub fn inject_now(&mut self, conn: ConnId, bytes: &[u8], engine: &mut Engine) {
        if let Some(wire) = self.live.get(&conn).copied() {
            self.wires[wire].travelling_down += bytes.len();
            self.on_delivery(wire, bytes, engine);
        }
    }

    /// The bytes a connection's reset at this moment would leave on their way.
    pub fn travelling_to_server(&self, conn: ConnId) -> usize {
        self.live.get(&conn).map_or(0, |&wire| self.wires[wire].travelling_up)
    }

    /// When a segment that is sent now could arrive at the latest.
    pub fn horizon(&self) -> Timestamp {
        self.now.after(std::time::Duration::from_micros(self.options.latency_us.1))
    }
}
