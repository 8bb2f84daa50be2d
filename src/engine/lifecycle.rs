//! Connections come and go: dialling, the handshake's end, backoff, and what becomes of the commands when one is lost.

use crate::config::FrameLimits;
use crate::engine::connection::{ConnId, LinkState, Prelude};
use crate::engine::event::{Action, Event};
use crate::engine::fence::Step;
use crate::engine::handshake::Handshake;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps, lost, retry};
use crate::error::{ErrorKind, Outcome, ProtocolError, ServerError};
use crate::resp::scan::Scanner;

/// A connection that served this long may be dialled again at once.
const STABLE_MS: u64 = 10_000;
const STRANGER: &str = "the address belongs to another node now";

/// Why a connection is given up.
#[derive(Debug)]
pub(crate) enum LostBecause {
    /// The transport says so: reset, end of file, refused, unreachable.
    Closed(String),
    /// No answer in time.
    Silent(&'static str),
    /// The peer's bytes are not RESP, or too many.
    Protocol(ProtocolError),
    /// Replies and commands do not match.
    Desync(&'static str),
    /// The address belongs to another node now: the one with this id.
    Stranger(String),
    /// The server does not want us, or is not what we look for.
    Refused(ErrorKind),
    /// The server has no room for another client, or takes none from here.
    Full(ServerError),
    /// The server is still reading its data.
    Loading(ServerError),
}

impl Engine {
    /// Asks for a connection to a node, unless there is one or it is too early.
    pub(crate) fn want_connection(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get(usize::from(row)) else { return };
        match link.state {
            LinkState::Idle => self.dial(row, now),
            LinkState::Backoff { .. } => self.ask_while_waited_for(now),
            _ => {}
        }
    }

    /// Makes a connection, whatever else is being made.
    pub(crate) fn dial_now(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let Some(endpoint) = link.endpoint.clone() else { return };
        let again = link.stats.connects > 0;
        link.forget_socket(&self.config);
        link.refused = false;
        link.redial = false;
        link.stats.connects += 1;
        link.dialled = self.nodes.get(row).and_then(|node| node.endpoint().cloned());
        let deadline = now.after_ms(self.config.connect_timeout_ms);
        link.state = LinkState::Connecting { deadline };
        let conn = ConnId { node: row, generation: link.generation };
        self.timers.link(deadline);
        self.actions.push_back(Action::Connect { conn, endpoint });
        self.pay_for_dial(again, now);
    }

    /// The transport's socket is connected.
    pub fn handle_connected(&mut self, conn: ConnId, now: Timestamp) {
        let Some(row) = self.live(conn) else { return };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let (handshake, bytes) = Handshake::begin(&self.config, !link.old_ids.is_empty());
        if !matches!(link.state, LinkState::Connecting { .. }) {
            return;
        }
        let deadline = now.after_ms(self.config.handshake_timeout_ms);
        link.state = LinkState::Handshaking { deadline };
        link.handshake = handshake;
        link.prelude = Prelude(bytes);
        link.scanner = Scanner::new(FrameLimits::handshake());
        self.timers.link(deadline);
        self.schedule_transmit(row);
        if !keeps!(self.config, ReleaseGate) {
            self.enter_service(row, now);
        }
    }

    /// The kernel took `n` bytes of what `unsent` had lent.
    pub fn handle_sent(&mut self, conn: ConnId, n: usize, now: Timestamp) {
        let Some(row) = self.live(conn) else { return };
        let tracing = self.tracing.is_some();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.stats.bytes_sent += n as u64;
        if !link.prelude.is_empty() {
            link.prelude.0.drain(..n.min(link.prelude.0.len()));
            if link.prelude.is_empty() {
                self.schedule_transmit(row);
            }
            return;
        }
        if !link.awaits_reply() {
            // The silence of an idle connection is no silence.
            link.last_progress = now;
            self.timers.sweep_soon(now);
        }
        link.queue.advance_sent(n);
        if tracing && link.serves_callers() {
            link.trace.on_sent(now);
        }
    }

    /// The kernel did not take the last `n` of the bytes that `handle_sent` told of, and never will: the connection is about to be told as
    /// closed. For a transport that learns what was taken only in the end.
    pub fn handle_unsent(&mut self, conn: ConnId, n: usize) {
        let Some(row) = self.live(conn) else { return };
        // The handshake's own bytes are not the queue's.
        let Some(link) = self.links.get_mut(usize::from(row)).filter(|link| link.is_ready()) else { return };
        link.stats.bytes_sent -= n as u64;
        link.queue.retract_sent(n);
    }

    /// The handshake's essential part is done: user commands may leave.
    pub(crate) fn enter_service(&mut self, row: u16, now: Timestamp) {
        let node = self.node_name(row);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.state = LinkState::Ready;
        link.ready_since = now;
        link.last_progress = now;
        link.last_failure = None;
        link.server_name = std::mem::take(&mut link.handshake.name);
        link.scanner = Scanner::new(self.config.limits.frame);
        link.for_now = false;
        link.allows_multi = false;
        link.guard.begin(link.stats.replies, &self.config, now);
        self.events.push(Event::NodeUp { node });
        self.hurry_refresh(now);
        self.call_witness(row);
        self.schedule_transmit(row);
        self.dial_waiting(now);
    }

    /// The transport lost the socket, or could not make it.
    pub fn handle_closed(&mut self, conn: ConnId, reason: &str, now: Timestamp) {
        if let Some(row) = self.live(conn) {
            self.forget(row, LostBecause::Closed(reason.to_owned()), now);
            self.settle_fences(row, now);
        }
    }

    /// Gives a live connection up.
    pub(crate) fn lose(&mut self, row: u16, because: LostBecause, now: Timestamp) {
        let Some(link) = self.links.get(usize::from(row)).filter(|link| link.is_open()) else { return };
        self.actions.push_back(Action::Close { conn: ConnId { node: row, generation: link.generation } });
        self.forget(row, because, now);
    }

    fn forget(&mut self, row: u16, because: LostBecause, now: Timestamp) {
        let name = self.node_name(row);
        let stranger = match &because {
            LostBecause::Stranger(id) => Some(id.clone()),
            _ => None,
        };
        if let LostBecause::Desync(what) = because {
            self.report_desync(row, what);
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let was_ready = link.is_ready();
        let begun = match because {
            LostBecause::Closed(_) | LostBecause::Silent(_)
                if link.expects_result() && keeps!(self.config, ReplyBegun) =>
            {
                lost::reply_begun(link.recv.unread())
            }
            // Its commands run one by one, and nobody can tell which of them have.
            _ if link.unit.as_ref().is_some_and(|unit| unit.is_broken()) => Some(Outcome::Unknown),
            _ => None,
        };
        link.stats.disconnects += 1;
        link.stats.protocol_errors += u64::from(matches!(because, LostBecause::Protocol(_)));
        link.refused = matches!(because, LostBecause::Refused(_));
        link.stats.auth_failures += u64::from(matches!(because, LostBecause::Refused(ErrorKind::Auth(_))));
        link.for_now = matches!(because, LostBecause::Full(_) | LostBecause::Loading(_));
        if was_ready && now >= link.ready_since.after_ms(STABLE_MS) {
            link.attempts = 0;
            link.desyncs_in_a_row = 0;
        }
        if matches!(because, LostBecause::Desync(_)) {
            // The replies before it proved nothing: a server that does so every time is dialled less and less often.
            link.attempts = link.attempts.max(link.desyncs_in_a_row);
            link.desyncs_in_a_row = link.desyncs_in_a_row.saturating_add(1);
        }
        let delay_ms = self.redial_delay_ms(row, &because, was_ready, now);
        let failure = failure_of(because, was_ready, &name);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.last_failure = Some(failure.clone());
        link.attempts = link.attempts.saturating_add(1);
        let old = std::mem::take(&mut link.server_name);
        link.forget_socket(&self.config);
        let until = now.after_ms(delay_ms);
        link.state = LinkState::Backoff { until };
        self.timers.link(until);
        if self.settle_in_flight(row, &failure, begun) {
            self.remember_old(row, old);
        }
        // What a fence had sent here, or waited for, takes its place behind the fence again before anything else of its slot is sent.
        self.pull_back(row);
        self.events.push(Event::NodeDown { node: name, reason: failure.to_string() });
        self.refresh.on_link_lost(row, now);
        self.refresh.excuse_witness(row, now);
        if let Some(id) = stranger {
            self.give_address_away(row, &id, now);
        }
        if self.has_topology() {
            self.request_refresh(None, now);
        } else {
            self.hurry_refresh(now);
        }
        self.dial_waiting(now);
    }

    /// How long the node is left alone.
    fn redial_delay_ms(&mut self, row: u16, because: &LostBecause, was_ready: bool, now: Timestamp) -> u64 {
        let Some(link) = self.links.get(usize::from(row)) else { return 0 };
        let is_stable = was_ready && now >= link.ready_since.after_ms(STABLE_MS);
        match because {
            LostBecause::Refused(_) | LostBecause::Full(_) => {
                retry::refused_delay_ms(link.attempts, &mut self.rng)
            }
            _ if is_stable => 0,
            _ => retry::reconnect_delay_ms(
                link.attempts,
                self.config.reconnect_min_ms,
                self.config.reconnect_max_ms,
                &mut self.rng,
            ),
        }
    }

    /// A node's backoff is over: dial if anybody needs it.
    pub(crate) fn end_backoff(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.state = LinkState::Idle;
        link.refused = false;
        if !link.in_flight.is_empty() {
            self.dial(row, now);
        }
    }

    /// Deals with a node that owes nothing any more: one that turned out to be another server is dialled again, one that left the
    /// topology is closed.
    #[inline]
    pub(crate) fn after_drained(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get(usize::from(row)) else { return };
        if (!link.in_view || link.redial) && link.is_ready() && !link.owes_reply() {
            self.close_or_redial(row, now);
        }
    }

    #[cold]
    fn close_or_redial(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        if link.redial {
            // Nothing was sent whole, so nothing is in doubt; a half-written command starts over.
            self.lose(row, LostBecause::Closed("it answered for another server".to_owned()), now);
            self.dial(row, now);
            return;
        }
        // A node that redirects named and no view has yet is about to be in one.
        let left = link.was_in_view || now >= link.last_progress.after_ms(self.config.node_silent_ms);
        // Nor is one closed that was dialled because nobody else could be asked for the topology: it is about to be.
        let sought = self.refresh.searching.is_some();
        if left && !sought && link.in_flight.is_empty() && self.refresh.applied > 0 {
            let conn = ConnId { node: row, generation: link.generation };
            link.forget_socket(&self.config);
            link.state = LinkState::Idle;
            self.actions.push_back(Action::Close { conn });
            self.dial_waiting(now);
        }
    }

    /// Wakes fences that wait for an owner or a delay although the topology has news for them.
    pub(crate) fn wake_waiting(&mut self, changed: &[bool], now: Timestamp) {
        for slot in self.fences.slots() {
            let concerned = changed.get(usize::from(slot)).copied().unwrap_or(false);
            let Some(fence) = self.fences.get_mut(slot) else { continue };
            if concerned && fence.step == Step::Wait {
                fence.not_before = now;
                self.fences.wake(slot);
            }
        }
    }
}

fn failure_of(because: LostBecause, was_ready: bool, name: &str) -> ErrorKind {
    let address = name.to_owned();
    match because {
        LostBecause::Closed(reason) if was_ready => ErrorKind::ConnectionLost { reason },
        LostBecause::Closed(reason) => ErrorKind::Connect { address, reason },
        LostBecause::Silent(what) if was_ready => ErrorKind::ConnectionLost { reason: what.to_owned() },
        LostBecause::Silent(what) => ErrorKind::Connect { address, reason: what.to_owned() },
        LostBecause::Protocol(error) => ErrorKind::Protocol(error),
        LostBecause::Desync(what) => ErrorKind::Desync { what: what.to_owned() },
        // In the handshake, before any command: nobody's reply was anybody else's.
        LostBecause::Stranger(_) => ErrorKind::Connect { address, reason: STRANGER.to_owned() },
        LostBecause::Refused(ErrorKind::NotCluster { .. }) => ErrorKind::NotCluster { address },
        LostBecause::Refused(kind) => kind,
        LostBecause::Full(error) | LostBecause::Loading(error) => {
            ErrorKind::Connect { address, reason: format!("the server answered: {error}") }
        }
    }
}
