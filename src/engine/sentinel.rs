//! Sentinels: ECHO commands of the engine's own, between those of the callers, whose replies must come back as they were sent.
//!
//! Replies carry no names, so one reply too many or too few gives every later command the reply of another. A sentinel finds that out: after so
//! many replies or so much time with the next flush, at once where there is reason to suspect (a command that was given up has been answered),
//! and with `Config::high_integrity` behind every flush. Then nobody gets a result before the sentinel behind it has come back right.
//!
//! This module knows when to ask, what must come back, and what waits for it; `complete` gives the results away.

use bytes::Bytes;

use crate::config::Config;
use crate::engine::event::Event;
use crate::engine::in_flight::{InFlight, NO_SLOT, SENTINEL};
use crate::engine::lifecycle::LostBecause;
use crate::engine::reply_slab::LARGE_REPLY_BYTES_MIN;
use crate::engine::rng::Rng;
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind, ServerError};
use crate::resp::encode::WireBuf;
use crate::resp::reply::ReplyRef;
use crate::resp::server_error::{Code, ServerReply, classify};

const ECHO_WIRE: &[u8] = b"*2\r\n$4\r\nECHO\r\n";
const NONCE_BYTES: usize = 16;
/// A nonce as a bulk string: what is sent behind ECHO, and what must come back.
const BULK_BYTES: usize = 5 + NONCE_BYTES + 2;

/// One connection's sentinels.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The next flush carries a sentinel once the connection's node has given so many replies.
    pub(crate) due_at: u64,
    /// The time and the number of replies that the next one counts from.
    since: Timestamp,
    replies: u64,
    /// Sentinels sent on this connection.
    serial: u32,
    /// Those that have not come back.
    under_way: u32,
    /// The server does not let us ask.
    refused: bool,
    /// Results that wait for their sentinel.
    held: Vec<Held>,
}

/// A result that is known and not given away yet.
#[derive(Debug)]
struct Held {
    entry: InFlight,
    result: Result<Bytes, Error>,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            due_at: u64::MAX,
            since: Timestamp::ZERO,
            replies: 0,
            serial: 0,
            under_way: 0,
            refused: false,
            held: Vec::new(),
        }
    }
}

impl Guard {
    /// The connection is in service.
    pub(crate) fn begin(&mut self, replies: u64, config: &Config, now: Timestamp) {
        self.since = now;
        self.replies = replies;
        self.due_at = next_due(replies, config);
    }

    /// The connection is gone; what it held is settled with what was in flight.
    pub(crate) fn reset(&mut self) {
        *self = Guard { held: std::mem::take(&mut self.held), ..Guard::default() };
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = &InFlight> {
        self.held.iter().map(|held| &held.entry)
    }

    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }
}

fn next_due(replies: u64, config: &Config) -> u64 {
    if config.sentinel_replies == 0 { u64::MAX } else { replies.saturating_add(config.sentinel_replies) }
}

impl Engine {
    /// Puts a sentinel behind everything that has been encoded for a node; all of that may leave.
    #[cold]
    pub(crate) fn send_sentinel(&mut self, row: u16) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.guard.due_at = next_due(link.stats.replies, &self.config);
        link.guard.replies = link.stats.replies;
        if !link.is_ready() || link.guard.refused {
            link.queue.flush();
            return;
        }
        link.guard.serial = link.guard.serial.wrapping_add(1);
        link.guard.under_way += 1;
        link.stats.sentinels += 1;
        let index = link.guard.serial;
        let bulk = bulk(nonce(self.nonce_key, row, link.generation, index));
        let len = ECHO_WIRE.len() + bulk.len();
        link.queue.prepare(len);
        link.queue.put(ECHO_WIRE);
        link.queue.put(&bulk);
        let len = len as u32;
        let flags = InFlight::FENCED;
        link.in_flight.push_back(InFlight { len, batch: SENTINEL, index, slot: NO_SLOT, hops: 0, flags });
        link.queue.flush();
        self.queued_bytes += u64::from(len);
    }

    /// Replies of a node may have slipped: asks at once where nothing leaves early for it, with the next flush otherwise.
    #[cold]
    pub(crate) fn suspect(&mut self, row: u16) {
        if self.config.sentinel_replies == 0 && self.config.sentinel_ms == 0 {
            return;
        }
        let Some(link) = self.links.get_mut(usize::from(row)).filter(|link| link.is_ready()) else { return };
        if link.guard.under_way > 0 && !self.config.high_integrity {
            // Those behind it are as much in doubt: once more when it is back.
            link.guard.due_at = 0;
        } else if link.queue.unflushed_bytes() > 0 {
            link.guard.due_at = 0;
        } else {
            self.send_sentinel(row);
            self.schedule_transmit(row);
        }
    }

    /// A caller got a reply of a shape that its command cannot have: the next flush of every node carries a sentinel.
    #[cold]
    pub(crate) fn suspect_all(&mut self) {
        let checks = self.config.sentinel_replies > 0 || self.config.sentinel_ms > 0;
        for link in self.links.iter_mut().filter(|link| checks && link.is_ready()) {
            link.guard.due_at = 0;
        }
    }

    /// With `high_integrity` no command leaves without a sentinel behind it.
    #[cold]
    pub(crate) fn guard_flush(&mut self, row: u16) {
        let Some(link) = self.links.get(usize::from(row)) else { return };
        let mut unguarded = link.in_flight.iter().rev().take_while(|entry| entry.batch != SENTINEL);
        let unguarded = unguarded.any(InFlight::is_callers);
        if unguarded && link.is_ready() && link.queue.has_unsent() {
            self.send_sentinel(row);
        }
    }

    /// Time has passed: the next flush of a node that has answered something since the last sentinel carries another.
    pub(crate) fn guard_by_time(&mut self, now: Timestamp) {
        let every_ms = self.config.sentinel_ms;
        for link in self.links.iter_mut().filter(|link| every_ms > 0 && link.is_ready()) {
            if link.stats.replies != link.guard.replies && now >= link.guard.since.after_ms(every_ms) {
                link.guard.due_at = 0;
                link.guard.since = now;
            }
        }
    }

    /// The reply to the sentinel at the front has come.
    #[cold]
    pub(crate) fn on_sentinel(
        &mut self,
        row: u16,
        entry: &InFlight,
        frame: &[u8],
    ) -> Result<(), LostBecause> {
        self.pop_answered(row);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        link.guard.under_way = link.guard.under_way.saturating_sub(1);
        let expected = bulk(nonce(self.nonce_key, row, link.generation, entry.index));
        if frame == expected || !keeps!(self.config, Sentinel) {
            self.release_held(row);
            return Ok(());
        }
        match ReplyRef::new(frame).error() {
            Some(text) => self.on_sentinel_error(row, text),
            None => Err(LostBecause::Desync("the reply to a sentinel is not what was sent")),
        }
    }

    fn on_sentinel_error(&mut self, row: u16, text: &[u8]) -> Result<(), LostBecause> {
        let ServerReply::Code(code) = classify(text) else {
            return Err(LostBecause::Desync("a sentinel was redirected: it has no key"));
        };
        let error = ServerError::from_bytes(text);
        if code == Code::NoAuth {
            return Err(LostBecause::Refused(ErrorKind::Auth(error)));
        }
        if self.config.high_integrity {
            return Err(LostBecause::Desync("a sentinel was refused, and high_integrity needs its reply"));
        }
        let node = self.node_name(row);
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        if code == Code::NoPerm || text.starts_with(b"ERR unknown command") {
            link.guard.refused = true;
            self.events.push(Event::SentinelRefused { node, reason: error.to_string() });
        } else {
            // Busy, or still loading: it says nothing either way.
            link.guard.due_at = 0;
        }
        Ok(())
    }

    /// Keeps a result until the sentinel behind it has come back.
    pub(crate) fn hold(&mut self, row: u16, entry: &InFlight, result: Result<Bytes, Error>) {
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            // Its fence has been told.
            let entry = InFlight { flags: entry.flags & !InFlight::FENCED, ..*entry };
            link.guard.held.push(Held { entry, result });
        }
    }

    /// Whether results are held back; never without `high_integrity`.
    pub(crate) fn holds_results(&self) -> bool {
        self.config.high_integrity && keeps!(self.config, HighIntegrity)
    }

    /// Everything in front of the sentinel is what it seems.
    fn release_held(&mut self, row: u16) {
        for Held { entry, result } in self.take_held(row) {
            match result {
                Ok(frame) if frame.len() >= LARGE_REPLY_BYTES_MIN => self.deliver_large(&entry, frame),
                Ok(frame) => {
                    if !self.deliver_small(&entry, &frame) {
                        self.deliver_large(&entry, frame);
                    }
                }
                Err(error) => self.fail_entry(&entry, error),
            }
            self.drop_entry(&entry);
        }
    }

    /// The connection is lost: nobody knows whose results these are.
    pub(crate) fn take_held_entries(&mut self, row: u16) -> Vec<InFlight> {
        self.take_held(row).into_iter().map(|held| held.entry).collect()
    }

    fn take_held(&mut self, row: u16) -> Vec<Held> {
        self.links
            .get_mut(usize::from(row))
            .map_or_else(Vec::new, |link| std::mem::take(&mut link.guard.held))
    }
}

/// A text that no other connection and no other sentinel of this one has.
fn nonce(key: u64, row: u16, generation: u32, serial: u32) -> u64 {
    let place = u64::from(generation) << 32 | u64::from(serial);
    Rng::new(key ^ place ^ u64::from(row) << 48).next()
}

fn bulk(nonce: u64) -> [u8; BULK_BYTES] {
    let mut bulk = *b"$16\r\n0000000000000000\r\n";
    for (place, byte) in bulk.iter_mut().skip(5).take(NONCE_BYTES).enumerate() {
        let digit = (nonce >> (60 - 4 * place)) as u8 & 15;
        *byte = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
    }
    bulk
}
