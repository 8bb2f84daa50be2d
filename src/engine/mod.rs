//! The engine decides and remembers: routing, encoding, queues, redirects, deadlines, topology. It owns no socket, no clock, no thread
//! and no randomness of its own; a transport moves its bytes, a facade waits.
//!
//! RESP does not transform bytes, so encoded bytes *are* wire bytes: the engine owns the buffers and lends them.
//!
//! # The surface, in four families
//!
//! | family | methods |
//! |---|---|
//! | getters | [`Engine::stats`], [`Engine::nodes`], [`Engine::slot_owner`], [`Engine::has_topology`] |
//! | from the transport | [`Engine::handle_connected`], [`Engine::lend_recv`], [`Engine::handle_received`], [`Engine::handle_sent`], [`Engine::handle_unsent`], [`Engine::handle_closed`], [`Engine::handle_timeout`], [`Engine::is_owed`] |
//! | from the application | [`Engine::open_batch`], [`Engine::submit`], [`Engine::submit_stream`], [`Engine::flush`], [`Engine::cancel`], [`Engine::refresh_topology`] |
//! | to the caller | [`Engine::poll_action`], [`Engine::poll_transmit`] with [`Engine::unsent`] or [`Engine::share_unsent`], [`Engine::poll_event`], [`Engine::next_completion`], [`Engine::poll_timeout`] |
//!
//! Mutations may be batched; before the driver waits it drains the last family in the order action, transmit, event, timeout. `now`
//! arrives as an argument and never goes back (a burst's submits alone may bring the time of its beginning). The same calls give the same outputs. Spurious calls are harmless.
//!
//! # Rooms
//!
//! `submit` routes and encodes, `connection` with `send_queue`, `in_flight` and `recv_buf` is one node's state, `complete` gives replies
//! to their owners (`reply_slab` for pipelines, `stream` for the event-driven use), `redirect` and `fence` hold commands back and send
//! them on, `unit` reads the replies within MULTI .. EXEC, `proof` says what an error proves, `refresh` learns the topology, `search` finds somebody to ask, `sanity` says what is believed, `view`
//! takes it over, `identity` says who is at which address, `arbitrate` hears several nodes where one is in doubt, `coverage` answers for slots without owner, `lifecycle` connects and buries, `timer` watches deadlines.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod arbitrate;
#[cfg(feature = "testkit")]
mod audit;
mod batch_ops;
mod bulk_ops;
mod burst;
mod complete;
mod conflict;
mod connection;
mod coverage;
mod dials;
mod event;
mod fence;
mod fenced_reconnect;
mod handshake;
mod identity;
mod in_flight;
mod leg;
mod lifecycle;
mod lost;
mod parts;
mod piece;
mod proof;
mod recv_buf;
mod redirect;
mod refresh;
mod relaxed;
mod reply_slab;
mod retry;
mod rng;
mod run;
mod sanity;
mod search;
mod send_queue;
mod sentinel;
mod settle;
mod stats;
mod stream;
mod submit;
mod sweep;
#[cfg(test)]
mod tests;
mod time;
mod timeline;
mod timer;
mod tombstones;
mod unit;
mod view;

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::config::{Config, Endpoint};
use crate::engine::bulk_ops::Refusals;
use crate::engine::connection::Link;
use crate::engine::dials::Dials;
use crate::engine::event::Events;
use crate::engine::fence::Fences;
use crate::engine::lost::Resent;
use crate::engine::refresh::Refresh;
use crate::engine::reply_slab::Batches;
use crate::engine::rng::Rng;
use crate::engine::stream::Stream;
use crate::engine::timer::Timers;
use crate::error::Error;
use crate::topology::{NodeTable, Role, SlotKnowledge};

#[cfg(feature = "testkit")]
#[doc(hidden)]
pub use audit::{Audit, FENCE_STATES};
pub use connection::ConnId;
pub use event::{Action, Event};
pub use recv_buf::RecvBuf;
pub use stats::{NodeStats, Stats};
pub use stream::{Completion, Token};
pub use submit::BatchId;
pub use time::Timestamp;
pub use timeline::{NodeTimeline, Timeline};

pub(crate) use bulk_ops::{NoRoom, Refusal, Window};
pub(crate) use in_flight::NO_SLOT;
pub(crate) use piece::Encoded;
pub(crate) use reply_slab::{Batch, BatchOptions, ReplySlot};

/// Most bytes written to one node before the others get their turn.
pub(crate) const WRITE_QUANTUM_BYTES: usize = 256 << 10;

/// Whether the engine keeps a rule: always, but in test builds that are told to break it, and cost nothing elsewhere.
macro_rules! keeps {
    ($config:expr, $rule:ident) => {{
        #[cfg(feature = "testkit")]
        let kept = $config.broken.keeps($crate::config::Rule::$rule);
        #[cfg(not(feature = "testkit"))]
        let kept = {
            let _ = &$config;
            true
        };
        kept
    }};
}
pub(crate) use keeps;

/// What the topology says of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The id that the server gave itself; empty while unknown.
    pub id: String,
    /// Where it is contacted; `None` while it is known by id only.
    pub endpoint: Option<Endpoint>,
    /// Whether it is a primary in the present view.
    pub primary: bool,
    /// The primary it replicates, as an id; `None` for primaries.
    pub replicates: Option<String>,
    /// Slot ranges it owns, both ends included.
    pub slots: Vec<(u16, u16)>,
    /// Whether its connection is in service.
    pub connected: bool,
    /// What happened on its connection.
    pub stats: NodeStats,
}

/// The state machine; see the module's documentation.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    nodes: NodeTable,
    /// By node row.
    links: Vec<Link>,
    /// Receive buffers that no connection holds: with nothing in them, the last one used on top.
    recv_spare: Vec<RecvBuf>,
    slots: SlotKnowledge,
    /// Nodes that own slots, ascending.
    primaries: Vec<u16>,
    batches: Batches,
    stream: Stream,
    fences: Fences,
    refresh: Refresh,
    timers: Timers,
    rng: Rng,
    /// Commands submitted so far: the order of submission over the whole client.
    sequence: u64,
    /// Nodes with commands that no flush has marked.
    dirty: Vec<u16>,
    /// Nodes with bytes for the transport.
    transmit: VecDeque<u16>,
    actions: VecDeque<Action>,
    events: Events,
    /// Bytes in all send queues.
    queued_bytes: u64,
    /// Whether per-node times of flushes are recorded, and since when.
    tracing: Option<Timestamp>,
    dials: Dials,
    resent: Resent,
    /// What makes the texts of this engine's sentinels its own.
    nonce_key: u64,
    /// A command that had been given up was answered in what was received last.
    suspicious: bool,
    /// Cancelled commands that have not been looked for among those in flight.
    cancelled: usize,
    /// Tombstones were counted where no time was given.
    tombstones_due: bool,
    /// Commands refused because a window was full.
    windows_full: u64,
    refusals: Refusals,
}

impl Engine {
    /// An engine that knows its seeds and nothing else. `config.jitter_seed` alone decides its jitter.
    ///
    /// # Errors
    /// `Config` where there is no seed.
    pub fn new(config: Config, now: Timestamp) -> Result<Self, Error> {
        if config.seeds.is_empty() {
            return Err(Error::config(
                "no address to start from; give at least one, such as redis://127.0.0.1:7000",
            ));
        }
        let mut config = config;
        // An in-flight entry counts its bytes in 32 bits.
        config.limits.command_bytes_max = config.limits.command_bytes_max.min(u32::MAX as usize / 2);
        let mut engine = Engine {
            nodes: NodeTable::default(),
            links: Vec::new(),
            recv_spare: Vec::new(),
            slots: SlotKnowledge::default(),
            primaries: Vec::new(),
            batches: Batches::default(),
            stream: Stream::default(),
            fences: Fences::default(),
            refresh: Refresh::new(now),
            timers: Timers::default(),
            rng: Rng::new(config.jitter_seed),
            sequence: 0,
            dirty: Vec::new(),
            transmit: VecDeque::new(),
            actions: VecDeque::new(),
            events: Events::default(),
            queued_bytes: 0,
            tracing: None,
            dials: Dials::default(),
            resent: Resent::default(),
            nonce_key: Rng::new(!config.jitter_seed).next(),
            suspicious: false,
            cancelled: 0,
            tombstones_due: false,
            windows_full: 0,
            refusals: Refusals::default(),
            config,
        };
        for seed in engine.config.seeds.clone() {
            let _known = engine.node_at(&seed);
        }
        Ok(engine)
    }

    /// The settings it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The client at this moment, all nodes together.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            refreshes: self.refresh.applied,
            refreshes_asked: self.refresh.asked,
            refreshes_rejected: self.refresh.rejected,
            refreshes_too_large: self.refresh.too_large,
            refreshes_arbitrated: self.refresh.arbitrated,
            in_flight: self.fences.parked_commands(),
            queued_bytes: self.queued_bytes + self.fences.parked_bytes(),
            parked: self.fences.parked_commands(),
            windows_full: self.windows_full,
            ..Stats::default()
        };
        for link in &self.links {
            stats.total.add(&link.stats);
            stats.in_flight += (link.in_flight.len() + link.guard.held_count()) as u64;
        }
        stats
    }

    /// The nodes of the present view, in a stable order.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let ranges = self.slots.ranges();
        let mut infos = Vec::new();
        for (row, node) in self.nodes.iter() {
            let Some(link) = self.links.get(usize::from(row)) else { continue };
            if !link.in_view {
                continue;
            }
            let primary = node.role() == Role::Primary;
            let replicates = node.primary().filter(|_| !primary).and_then(|row| self.nodes.get(row));
            let owned = ranges.iter().filter(|range| range.2 == Some(row));
            infos.push(NodeInfo {
                id: node.id().to_owned(),
                endpoint: node.endpoint().cloned(),
                primary,
                replicates: replicates.map(|node| node.id().to_owned()),
                slots: owned.map(|&(start, end, _)| (start, end)).collect(),
                connected: link.is_ready(),
                stats: link.stats,
            });
        }
        infos
    }

    /// The address of the primary that serves a slot, as far as known.
    pub fn slot_owner(&self, slot: u16) -> Option<&Endpoint> {
        self.slots
            .owner(slot)
            .and_then(|row| self.links.get(usize::from(row)))
            .and_then(|link| link.endpoint.as_ref())
    }

    /// Whether a view of the topology has been applied.
    pub fn has_topology(&self) -> bool {
        self.refresh.applied > 0
    }

    /// Slot ranges that no node serves, both ends included.
    pub fn uncovered_slots(&self) -> Vec<(u16, u16)> {
        let ranges = self.slots.ranges().into_iter();
        ranges.filter(|range| range.2.is_none()).map(|(start, end, _)| (start, end)).collect()
    }

    /// What the driver must do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether `poll_action` has something to do.
    pub(crate) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// A connection that has bytes to send; call [`Engine::unsent`] for them.
    pub fn poll_transmit(&mut self) -> Option<ConnId> {
        while let Some(row) = self.transmit.pop_front() {
            let link = self.links.get_mut(usize::from(row))?;
            link.transmitting = false;
            if link.wants_to_send() {
                return Some(ConnId { node: row, generation: link.generation });
            }
        }
        None
    }

    /// News of the control path.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// The bytes a connection has to send, oldest first, for one vectored write. Empty where there is nothing to do.
    pub fn unsent<'a>(&'a self, conn: ConnId, slices: &mut SmallVec<[IoSlice<'a>; 16]>) {
        let Some(link) = self.link(conn) else { return };
        if !link.prelude.is_empty() {
            slices.push(IoSlice::new(&link.prelude.0));
        } else if link.is_ready() && !link.redial {
            link.queue.unsent(slices, WRITE_QUANTUM_BYTES);
        }
    }

    /// As [`Engine::unsent`], for a transport whose requests hold the bytes until they are completed: shared, at most so many pieces.
    pub fn share_unsent(&self, conn: ConnId, pieces: &mut Vec<Bytes>, pieces_max: usize) {
        let Some(link) = self.link(conn) else { return };
        if !link.prelude.is_empty() {
            pieces.push(Bytes::copy_from_slice(&link.prelude.0));
        } else if link.is_ready() && !link.redial {
            link.queue.share_unsent(pieces, pieces_max, WRITE_QUANTUM_BYTES);
        }
    }

    /// Whether the node owes bytes for what was sent.
    pub fn is_owed(&self, conn: ConnId) -> bool {
        self.link(conn).is_some_and(|link| link.awaits_reply() || !link.handshake.is_done())
    }

    /// Whether all that is in flight is one caller's who waits for the whole of it: none of it is event-driven, and no times are recorded.
    pub(crate) fn serves_one_caller(&self) -> bool {
        self.stream.is_idle() && self.tracing.is_none()
    }

    /// Takes the oldest result of the event-driven use.
    pub fn next_completion(&mut self) -> Option<Completion<'_>> {
        self.stream.next()
    }

    /// Whether results of the event-driven use wait to be taken.
    pub fn has_completions(&self) -> bool {
        self.stream.has_completions()
    }

    /// The live connection of that name.
    fn link(&self, conn: ConnId) -> Option<&Link> {
        self.links.get(conn.row()).filter(|link| link.generation == conn.generation && link.is_open())
    }

    /// The row of a live connection.
    fn live(&self, conn: ConnId) -> Option<u16> {
        self.link(conn).map(|_| conn.node)
    }

    /// The row of an address, new where it is unknown; `None` where there are too many nodes.
    fn node_at(&mut self, endpoint: &Endpoint) -> Option<u16> {
        let row = self.nodes.admit(endpoint)?;
        self.ensure_link(row);
        Some(row)
    }

    /// Sees to it that a row of the node table has its link, and that the link knows the node's present address.
    fn ensure_link(&mut self, row: u16) {
        while self.links.len() <= usize::from(row) {
            self.links.push(Link::new(None, &self.config));
        }
        let announced = self.nodes.get(row).and_then(|node| node.endpoint().cloned());
        let announced = announced.filter(|endpoint| self.may_contact(endpoint));
        if let (Some(link), Some(announced)) = (self.links.get_mut(usize::from(row)), announced) {
            link.endpoint = Some(match &self.config.address_map {
                Some(map) => map(&announced),
                None => announced,
            });
        }
    }

    /// Whether this address may be connected to, and sent credentials.
    fn may_contact(&self, endpoint: &Endpoint) -> bool {
        let accepted = self.config.accept_node.as_ref().is_none_or(|accept| accept(endpoint));
        accepted || self.config.seeds.contains(endpoint)
    }

    /// Hands a node to the transport.
    fn schedule_transmit(&mut self, row: u16) {
        if self.config.high_integrity {
            self.guard_flush(row);
        }
        if let Some(link) = self.links.get_mut(usize::from(row))
            && !link.transmitting
            && link.wants_to_send()
        {
            link.transmitting = true;
            self.transmit.push_back(row);
        }
    }
}
