//! What a loader asks of the engine beside what a pipeline does: whether there is room before a place is taken, commands that are encoded
//! already, the progress of each node, refusals that are waited out, and an end to what is still on its way.
//!
//! Knows the queues; refuses to know tags, policies and watermarks. Invariant: whoever was told that there is room gets a place.

use crate::command::{Plan, Request};
use crate::engine::Engine;
use crate::engine::connection::Link;
use crate::engine::in_flight::{InFlight, NO_SLOT, UNIT};
use crate::engine::piece::{Encoded, Piece, Source};
use crate::engine::send_queue::SHARED_BYTES_MIN;
use crate::engine::submit::BatchId;
use crate::engine::time::Timestamp;
use crate::error::{Error, ServerError};

/// What may be in flight to one node, or held back for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) commands: usize,
    pub(crate) bytes: usize,
}

/// Why there is no room for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The node's window is full; of some of it no flush has been made.
    Node { row: u16, unflushed: bool },
    /// As much as a window is held back, by redirects or for want of an owner.
    Held,
    /// The client as a whole holds as much as it may.
    Client,
}

/// Why a request is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    NoRoom(NoRoom),
    /// It has no place anywhere.
    Error(Error),
}

/// How far one node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) generation: u32,
    pub(crate) acked: u64,
    /// End of what may leave.
    pub(crate) flushed: u64,
    pub(crate) in_flight: usize,
    /// Since when a reply is owed and nothing has come.
    pub(crate) silent_since: Option<Timestamp>,
}

/// Writes that servers had no room, no disk or no replicas for, and that wait.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) count: u64,
    /// Who refused last, and with what words.
    pub(crate) last: Option<(u16, ServerError)>,
}

impl Engine {
    /// Whether this command, for this slot, fits into the windows.
    #[inline]
    pub(crate) fn room_for(&self, slot: u16, len: usize, window: Window) -> Result<(), NoRoom> {
        let total = self.queued_bytes + self.fences.parked_bytes();
        if total > 0 && total as usize + len > self.config.limits.bytes_total_max {
            return Err(NoRoom::Client);
        }
        let link = self.slots.owner(slot).filter(|_| !self.fences.is_fenced(slot));
        let Some((row, link)) = link.and_then(|row| Some((row, self.links.get(usize::from(row))?))) else {
            let (commands, bytes) = (self.fences.parked_commands(), self.fences.parked_bytes());
            let full =
                commands as usize >= window.commands || (bytes > 0 && bytes as usize + len > window.bytes);
            return if full { Err(NoRoom::Held) } else { Ok(()) };
        };
        let held = link.queue.held_bytes() as usize;
        let full = link.in_flight.len() >= window.commands || (held > 0 && held + len > window.bytes);
        if full { Err(NoRoom::Node { row, unflushed: link.dirty }) } else { Ok(()) }
    }

    /// Whether a request fits into the windows of all whom it is for; answers its slot, where it has one.
    pub(crate) fn room_for_request(&self, request: &Request<'_>, window: Window) -> Result<u16, Refusal> {
        let room = |slot, len| self.room_for(slot, len, window).map_err(Refusal::NoRoom);
        match self.plan(request).map_err(Refusal::Error)? {
            Plan::Slot(slot) => room(slot, request.wire_len()).map(|()| slot),
            Plan::Split(parts) => {
                for part in &parts {
                    room(part.slot, request.part_wire_len(&part.groups))?;
                }
                Ok(NO_SLOT)
            }
            Plan::Route(_) => {
                let full = |link: &Link| {
                    let held = link.queue.held_bytes() as usize;
                    link.in_flight.len() >= window.commands || held >= window.bytes
                };
                let busiest = (0..).zip(&self.links).find(|(_, link)| link.in_view && full(link));
                match busiest {
                    Some((row, link)) => Err(Refusal::NoRoom(NoRoom::Node { row, unflushed: link.dirty })),
                    None => Ok(NO_SLOT),
                }
            }
        }
    }

    /// How many places a batch has.
    pub(crate) fn places(&self, batch: BatchId) -> usize {
        self.batch(batch).map_or(0, |batch| batch.slots.len())
    }

    /// Whether that much room has come back that it is worth pushing a command of this length again: commands that leave together cost less,
    /// and one that is larger than half of a window, or than all of it, waits for more.
    pub(crate) fn has_room_again(&self, no_room: NoRoom, len: usize, window: Window) -> bool {
        let fits = |held: usize, most: usize| held <= most / 2 && (held == 0 || held + len <= most);
        let (commands, parked) =
            (self.fences.parked_commands() as usize, self.fences.parked_bytes() as usize);
        match no_room {
            NoRoom::Node { row, .. } => self.links.get(usize::from(row)).is_none_or(|link| {
                link.in_flight.len() <= window.commands / 2
                    && fits(link.queue.held_bytes() as usize, window.bytes)
            }),
            NoRoom::Held => commands <= window.commands / 2 && fits(parked, window.bytes),
            NoRoom::Client => fits(self.queued_bytes as usize + parked, self.config.limits.bytes_total_max),
        }
    }

    /// Puts a command that is encoded already into the queue of its slot's owner. There was room for it.
    #[inline(always)]
    pub(crate) fn submit_encoded(
        &mut self,
        BatchId(id): BatchId,
        command: Encoded<'_>,
        slot: u16,
        window: Window,
        now: Timestamp,
    ) -> Result<(), NoRoom> {
        let Some(index) = self.batches.row(id).map(|batch| batch.slots.len() as u32) else { return Ok(()) };
        if !self.queue_encoded(command, id, index, slot, window) {
            return self.place_encoded(id, id, command, slot, window, now);
        }
        let sequence = self.next_sequence();
        if let Some(batch) = self.batches.row_mut(id) {
            batch.referenced += 1;
            batch.push_pending(sequence);
        }
        Ok(())
    }

    /// Where nothing stands in its way: no fence, a connection in service, room in every window, too small to be shared. `false` says nothing
    /// and has done nothing.
    #[inline(always)]
    fn queue_encoded(
        &mut self,
        command: Encoded<'_>,
        batch: u32,
        index: u32,
        slot: u16,
        window: Window,
    ) -> bool {
        if self.fences.is_fenced(slot) {
            return false;
        }
        let Some(row) = self.slots.owner(slot) else { return false };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return false };
        let len = command.bytes.len();
        let held = link.queue.held_bytes() as usize;
        let total = (self.queued_bytes + self.fences.parked_bytes()) as usize;
        let fits = link.in_flight.len() < window.commands
            && held + len <= window.bytes
            && total + len <= self.config.limits.bytes_total_max
            && len < SHARED_BYTES_MIN;
        if !fits || !link.is_ready() {
            return false;
        }
        if !link.dirty {
            link.dirty = true;
            link.queue.start_over();
            self.dirty.push(row);
        }
        link.queue.room(len).copy_from_slice(command.bytes);
        link.queue.fill(len);
        let len = len as u32;
        link.in_flight.push_back(InFlight { len, batch, index, slot, hops: 0, flags: command.flags });
        link.unflushed_commands += 1;
        link.stats.commands += 1;
        self.queued_bytes += u64::from(len);
        true
    }

    /// As `submit_encoded`, of a unit: MULTI, commands, EXEC.
    #[cold]
    pub(crate) fn submit_unit(
        &mut self,
        BatchId(id): BatchId,
        unit: Encoded<'_>,
        slot: u16,
        window: Window,
        now: Timestamp,
    ) -> Result<(), NoRoom> {
        self.place_encoded(id, id | UNIT, unit, slot, window, now)
    }

    /// `name` is the batch as entries have it.
    #[cold]
    fn place_encoded(
        &mut self,
        batch: u32,
        name: u32,
        command: Encoded<'_>,
        slot: u16,
        window: Window,
        now: Timestamp,
    ) -> Result<(), NoRoom> {
        self.room_for(slot, command.bytes.len(), window)?;
        let sequence = self.next_sequence();
        let index = self.batches.row_mut(batch).map_or(0, |row| {
            row.referenced += 1;
            row.push_pending(sequence)
        });
        let source = Source::Encoded(command);
        let piece = Piece { batch: name, index, sequence, source, pinned: false };
        if let Err(error) = self.place(piece, slot, now) {
            self.fail_piece(piece, error);
        }
        Ok(())
    }

    /// An empty batch in the memory of one that is complete.
    pub(crate) fn reopen_batch(&mut self, batch: BatchId) -> BatchId {
        let Some(row) = self.batches.row_mut(batch.0) else { return batch };
        let options = row.options;
        if row.referenced == 0 {
            row.clear();
            return batch;
        }
        // Some of it was given up, and owes replies that somebody has to take.
        self.abandon(batch);
        self.open_batch_with(options)
    }

    /// The time of the batch's commands is up: the next `handle_timeout` gives those without a result one.
    pub(crate) fn expire_batch(&mut self, batch: BatchId, now: Timestamp) {
        if let Some(batch) = self.batch_mut(batch) {
            batch.deadline = now;
        }
    }

    /// How many node rows there are.
    pub(crate) fn node_rows(&self) -> usize {
        self.links.len()
    }

    /// How far a node is.
    pub(crate) fn progress(&self, row: usize) -> Option<Progress> {
        let link = self.links.get(row)?;
        Some(Progress {
            generation: link.generation,
            acked: link.queue.acked(),
            flushed: link.queue.encoded() - link.queue.unflushed_bytes(),
            in_flight: link.in_flight.len(),
            silent_since: Some(link.last_progress).filter(|_| link.is_ready() && link.awaits_reply()),
        })
    }

    /// A node's name, and what happened on its connection.
    pub(crate) fn node_stats(&self, row: usize) -> Option<(String, crate::engine::NodeStats)> {
        self.links.get(row).map(|link: &Link| (link.name(), link.stats))
    }

    /// Whether the entry's batch waits for servers that take no writes.
    pub(crate) fn waits_out_refusals(&self, entry: &InFlight) -> bool {
        self.batches.row(entry.owner()).is_some_and(|batch| batch.options.waits_out_refusals)
    }

    /// A server takes no writes.
    pub(crate) fn note_refusal(&mut self, row: u16, text: &[u8]) {
        self.refusals.count += 1;
        self.refusals.last = Some((row, ServerError::from_bytes(text)));
    }

    /// Writes that servers did not take so far.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether a write that a server did not take still waits.
    pub(crate) fn holds_refused(&self) -> bool {
        self.fences.holds_refused()
    }
}
