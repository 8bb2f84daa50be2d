//! Connections come and go: dialling, the handshake's end, backoff, and what becomes of the commands when one is lost.

use std::collections::BTreeSet;

use crate::config::{FrameLimits, RetryUnknown};
use crate::engine::Engine;
use crate::engine::connection::{ConnId, LinkState, Runs};
use crate::engine::event::{Action, Event};
use crate::engine::fence::Step;
use crate::engine::handshake::Handshake;
use crate::engine::in_flight::{InFlight, REFRESH};
use crate::engine::retry;
use crate::engine::time::Timestamp;
use crate::error::{Error, ErrorKind, Outcome, ProtocolError};
use crate::resp::scan::Scanner;

/// A connection that served this long may be dialled again at once.
const STABLE_MS: u64 = 10_000;
/// First delay after refused credentials or a full server: trying faster would only hurt it.
const REFUSED_MS_MIN: u64 = 1_000;
const REFUSED_MS_MAX: u64 = 30_000;

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
    /// The server does not want us, or is not what we look for.
    Refused(ErrorKind),
}

impl Engine {
    /// Asks for a connection to a node, unless there is one or it is too early.
    pub(crate) fn want_connection(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get(usize::from(row)) else { return };
        if link.state == LinkState::Idle {
            self.dial(row, now);
        }
    }

    pub(crate) fn dial(&mut self, row: u16, now: Timestamp) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let Some(endpoint) = link.endpoint.clone() else { return };
        link.forget_socket(&self.config);
        link.refused = false;
        link.redial = false;
        link.stats.connects += 1;
        let deadline = now.after_ms(self.config.connect_timeout_ms);
        link.state = LinkState::Connecting { deadline };
        let conn = ConnId { node: row, generation: link.generation };
        self.timers.link(deadline);
        self.actions.push_back(Action::Connect { conn, endpoint });
    }

    /// The transport's socket is connected.
    pub fn handle_connected(&mut self, conn: ConnId, now: Timestamp) {
        let Some(row) = self.live(conn) else { return };
        let (handshake, bytes) = Handshake::begin(&self.config);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        if !matches!(link.state, LinkState::Connecting { .. }) {
            return;
        }
        let deadline = now.after_ms(self.config.handshake_timeout_ms);
        link.state = LinkState::Handshaking { deadline };
        link.handshake = handshake;
        link.prelude = bytes;
        link.scanner = Scanner::new(FrameLimits::handshake());
        self.timers.link(deadline);
        self.schedule_transmit(row);
    }

    /// The kernel took `n` bytes of what `unsent` had lent.
    pub fn handle_sent(&mut self, conn: ConnId, n: usize, now: Timestamp) {
        let Some(row) = self.live(conn) else { return };
        let tracing = self.tracing.is_some();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.stats.bytes_sent += n as u64;
        if !link.prelude.is_empty() {
            link.prelude.drain(..n.min(link.prelude.len()));
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
        link.scanner = Scanner::new(self.config.limits.frame);
        self.events.push(Event::NodeUp { node });
        self.hurry_refresh(now);
        self.call_witness(row);
        self.schedule_transmit(row);
    }

    /// The node tells its id: an address may have been given to somebody else since we learnt it.
    pub(crate) fn on_node_id(&mut self, row: u16, id: &str) -> Result<(), LostBecause> {
        let known = self.nodes.get(row).map_or("", |node| node.id());
        if known.is_empty() {
            self.nodes.learn_id(row, id);
            return Ok(());
        }
        if id.is_empty() || known == id {
            Ok(())
        } else {
            self.refresh.strangers.insert(row);
            Err(LostBecause::Desync("the address belongs to another node now"))
        }
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
        if let LostBecause::Desync(what) = because {
            self.report_desync(row, what);
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let was_ready = link.is_ready();
        let begun = match because {
            LostBecause::Closed(_) if link.expects_result() => reply_begun(link.recv.unread()),
            _ => None,
        };
        link.stats.disconnects += 1;
        let refused = matches!(because, LostBecause::Refused(_));
        let failure = failure_of(because, was_ready, &name);
        link.last_failure = Some(failure.clone());
        link.refused = refused && matches!(failure, ErrorKind::Auth(_) | ErrorKind::NotCluster { .. });
        let delay_ms = if refused {
            retry::reconnect_delay_ms(link.attempts, REFUSED_MS_MIN, REFUSED_MS_MAX, &mut self.rng)
                .max(REFUSED_MS_MIN)
        } else if was_ready && now >= link.ready_since.after_ms(STABLE_MS) {
            0
        } else {
            retry::reconnect_delay_ms(
                link.attempts,
                self.config.reconnect_min_ms,
                self.config.reconnect_max_ms,
                &mut self.rng,
            )
        };
        link.attempts = link.attempts.saturating_add(1);
        link.forget_socket(&self.config);
        let until = now.after_ms(delay_ms);
        link.state = LinkState::Backoff { until };
        self.timers.link(until);
        self.settle_in_flight(row, &failure, begun);
        // What a fence had sent here, or waited for, takes its place behind the fence again before anything else of its slot is sent.
        self.pull_back(row);
        self.events.push(Event::NodeDown { node: name, reason: failure.to_string() });
        self.refresh.on_link_lost(row, now);
        self.refresh.excuse_witness(row, now);
        if self.has_topology() {
            self.request_refresh(None, now);
        } else {
            self.hurry_refresh(now);
        }
    }

    /// What becomes of the commands of a lost connection: those the kernel had not taken whole stay, the others are settled one by one.
    fn settle_in_flight(&mut self, row: u16, failure: &ErrorKind, begun: Option<Outcome>) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let refused = link.refused;
        let entries: Vec<InFlight> = link.in_flight.take();
        let (acked, sent) = (link.queue.acked(), link.queue.sent());
        let flushed = link.queue.encoded() - link.queue.unflushed_bytes();
        let resend = resendable(&entries, acked, sent, self.config.retry_unknown);
        let mut at = acked;
        let mut runs = Runs::default();
        let mut kept = Vec::new();
        let mut ended = Vec::new();
        for (n, entry) in entries.into_iter().enumerate() {
            let start = at;
            at += u64::from(entry.len);
            let whole = at <= sent;
            let may_be_sent = !whole || resend.get(n).copied().unwrap_or(false);
            if may_be_sent && !refused && self.is_wanted(&entry) {
                let asking = u64::from(entry.asking_len());
                runs.add(start + asking, u64::from(entry.len) - asking, at <= flushed);
                kept.push(entry);
            } else {
                let outcome = if whole {
                    begun.filter(|_| n == 0).unwrap_or(Outcome::Unknown)
                } else {
                    Outcome::NotExecuted
                };
                if whole && entry.has(InFlight::FENCED) {
                    self.note_lost(row, &entry, start);
                }
                ended.push((entry, outcome));
            }
        }
        for entry in &kept {
            self.uncount(entry, false);
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let starts = link.queue.segment_starts();
        let runs = runs.share(&link.queue, &starts);
        link.queue.rebuild(runs);
        link.in_flight.extend(kept.into_iter().map(InFlight::unsent));
        self.queued_bytes = self.links.iter().map(|link| link.queue.held_bytes()).sum();
        for (entry, outcome) in ended {
            self.fail_lost(row, &entry, failure.clone(), outcome);
        }
    }

    /// A command that a fence waited for may have run; its bytes start there in the queue. It may have overtaken some that are held.
    fn note_lost(&mut self, row: u16, entry: &InFlight, start: u64) {
        let sequence = self.sequence_of(entry);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        let asking = u64::from(entry.asking_len());
        let bytes = link.queue.share(start + asking, u64::from(entry.len) - asking);
        self.note_ran_with(entry, sequence, &bytes);
    }

    fn fail_lost(&mut self, row: u16, entry: &InFlight, failure: ErrorKind, outcome: Outcome) {
        if self.is_wanted(entry) {
            let hops = u32::from(entry.hops);
            let attempts = if outcome == Outcome::NotExecuted { hops } else { hops + 1 };
            let error = Error::new(failure, outcome).at_node(self.node_name(row)).with_counts(attempts, hops);
            self.fail_entry(entry, error);
        }
        self.drop_entry(entry);
        self.uncount(entry, false);
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
        if left && link.in_flight.is_empty() && self.refresh.applied > 0 {
            let conn = ConnId { node: row, generation: link.generation };
            link.forget_socket(&self.config);
            link.state = LinkState::Idle;
            self.actions.push_back(Action::Close { conn });
        }
    }

    /// Wakes fences that wait for an owner or a delay although the topology has news for them.
    pub(crate) fn wake_waiting(&mut self, slots: &[u16], now: Timestamp) {
        for &slot in slots {
            let Some(fence) = self.fences.get_mut(slot) else { continue };
            if fence.step == Step::Wait {
                fence.not_before = now;
                self.fences.wake(slot);
            }
        }
    }
}

/// What the beginning of a reply to the front command proves.
fn reply_begun(unread: &[u8]) -> Option<Outcome> {
    // An error may still turn out to be a rejection; a push or an attribute proves nothing.
    match unread.first() {
        None | Some(b'-' | b'!' | b'>' | b'|') => None,
        Some(_) => Some(Outcome::ExecutedReplyLost),
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
        LostBecause::Refused(ErrorKind::NotCluster { .. }) => ErrorKind::NotCluster { address },
        LostBecause::Refused(ErrorKind::Connect { reason, .. }) => ErrorKind::Connect { address, reason },
        LostBecause::Refused(kind) => kind,
    }
}

/// Which sent and unanswered commands may be sent again: reads, unless a later write of their slot was sent on the same connection
/// (the read would then see it).
fn resendable(entries: &[InFlight], acked: u64, sent: u64, policy: RetryUnknown) -> Vec<bool> {
    let mut at = acked;
    let is_whole = |entry: &&InFlight| {
        at += u64::from(entry.len);
        at <= sent
    };
    let whole: Vec<&InFlight> = entries.iter().take_while(is_whole).collect();
    let mut resend = vec![false; whole.len()];
    if policy == RetryUnknown::Never {
        return resend;
    }
    let mut written: BTreeSet<u16> = BTreeSet::new();
    for (entry, resend) in whole.into_iter().zip(&mut resend).rev() {
        if entry.batch == REFRESH {
            continue;
        }
        if entry.has(InFlight::READ_ONLY) {
            *resend = !written.contains(&entry.slot);
        } else {
            written.insert(entry.slot);
        }
    }
    resend
}
