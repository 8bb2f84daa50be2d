//! From a request to bytes in a node's queue.

use bytes::BytesMut;
use smallvec::smallvec;

use crate::command::{Plan, Request};
use crate::config::Order;
use crate::engine::burst::Burst;
use crate::engine::fence::{Hint, Parked, Step};
use crate::engine::in_flight::{InFlight, NO_SLOT, STREAM};
use crate::engine::piece::{Piece, Source};
use crate::engine::reply_slab::{Batch, BatchOptions};
use crate::engine::send_queue::SHARED_BYTES_MIN;
use crate::engine::stream::{StreamOp, Token};
use crate::engine::time::Timestamp;
use crate::engine::{Engine, keeps};
use crate::error::{Error, ErrorKind};

/// Names an open batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchId(pub(crate) u32);

/// Deadlines of single commands are rounded up, so that those of one moment are looked at together.
const DEADLINE_STEP_NANOS: u64 = 4_000_000;

pub(crate) fn coarse(deadline: Timestamp) -> Timestamp {
    Timestamp::from_nanos(
        deadline.as_nanos().div_ceil(DEADLINE_STEP_NANOS).saturating_mul(DEADLINE_STEP_NANOS),
    )
}

impl Engine {
    /// Opens a batch: the replies of one pipeline.
    pub(crate) fn open_batch_with(&mut self, options: BatchOptions) -> BatchId {
        BatchId(self.batches.open(options))
    }

    /// Opens a batch with the configured deadline that follows redirects.
    pub fn open_batch(&mut self) -> BatchId {
        let options = BatchOptions::new(self.config.command_timeout_ms);
        self.open_batch_with(options)
    }

    pub(crate) fn batch(&self, batch: BatchId) -> Option<&Batch> {
        self.batches.row(batch.0)
    }

    pub(crate) fn batch_mut(&mut self, batch: BatchId) -> Option<&mut Batch> {
        self.batches.row_mut(batch.0)
    }

    /// Encodes a command into the buffer of the node it belongs to and answers its index in the batch. No byte leaves before `flush`.
    ///
    /// A command that cannot be queued (no key, keys in several slots, window full) fails at its own index, `NotExecuted`.
    pub fn submit(&mut self, batch: BatchId, request: &Request<'_>, now: Timestamp) -> u32 {
        let Some(index) =
            self.batches.row(batch.0).filter(|row| !row.abandoned).map(|row| row.slots.len() as u32)
        else {
            debug_assert!(false, "submitted to a batch that was given up");
            return 0;
        };
        match self.lone_slot(request) {
            Some(slot) if self.queue_plain(request, batch.0, index, slot) => {
                let sequence = self.next_sequence();
                if let Some(row) = self.batches.row_mut(batch.0) {
                    row.referenced += 1;
                    row.push_pending(sequence);
                }
                index
            }
            Some(slot) => self.submit_to_slot(batch, request, slot, now),
            None => self.submit_planned(batch, request, now),
        }
    }

    #[inline(never)]
    fn submit_planned(&mut self, batch: BatchId, request: &Request<'_>, now: Timestamp) -> u32 {
        match self.plan(request) {
            Ok(Plan::Slot(slot)) => self.submit_to_slot(batch, request, slot, now),
            Ok(plan) => self.submit_parts(batch.0, request, &plan, now),
            Err(error) => self.batches.row_mut(batch.0).map_or(0, |batch| batch.push_failed(error)),
        }
    }

    /// Puts a command into the queue of its slot's owner where nothing stands in its way: no fence, a connection in service, room in every
    /// window, no argument to share. Nearly every command; `false` says nothing and has done nothing: `place` decides.
    #[inline(always)]
    fn queue_plain(&mut self, request: &Request<'_>, batch: u32, index: u32, slot: u16) -> bool {
        if self.fences.is_fenced(slot) {
            return false;
        }
        let Some(row) = self.slots.owner(slot) else { return false };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return false };
        let bound = request.wire_bound();
        let limits = &self.config.limits;
        let held = link.queue.held_bytes() as usize;
        let total = (self.queued_bytes + self.fences.parked_bytes()) as usize;
        let fits = link.in_flight.len() < limits.commands_per_node_max
            && held + bound <= limits.bytes_per_node_max
            && total + bound <= limits.bytes_total_max
            && bound <= limits.command_bytes_max.min(SHARED_BYTES_MIN);
        if !fits || !link.is_ready() {
            return false;
        }
        if !link.dirty {
            link.dirty = true;
            link.queue.start_over();
            self.dirty.push(row);
        }
        let len = request.write_plain(link.queue.room(bound));
        link.queue.fill(len);
        let len = len as u32;
        link.in_flight.push_back(InFlight { len, batch, index, slot, hops: 0, flags: request.flags });
        link.unflushed_commands += 1;
        link.stats.commands += 1;
        self.queued_bytes += u64::from(len);
        true
    }

    #[inline(never)]
    fn submit_to_slot(&mut self, batch: BatchId, request: &Request<'_>, slot: u16, now: Timestamp) -> u32 {
        let piece = self.next_piece(batch.0, request);
        if let Err(error) = self.place(piece, slot, now) {
            self.fail_piece(piece, error);
        }
        piece.index
    }

    /// The short cut past a plan: the slot of a command with one key. `None` says nothing.
    #[inline(always)]
    fn lone_slot(&self, request: &Request<'_>) -> Option<u16> {
        if request.args_len() <= self.config.limits.command_args_max { request.lone_slot() } else { None }
    }

    pub(crate) fn plan(&self, request: &Request<'_>) -> Result<Plan, Error> {
        let limits = &self.config.limits;
        if request.args_len() > limits.command_args_max {
            let limit = limits.command_args_max as u64;
            let command = request.name().to_owned();
            return Err(Error::not_executed(ErrorKind::TooLarge {
                command,
                what: "the number of its arguments",
                limit,
            }));
        }
        request.plan()
    }

    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn next_piece<'a>(&mut self, batch: u32, request: &'a Request<'a>) -> Piece<'a> {
        let sequence = self.next_sequence();
        let index = self.batches.row_mut(batch).map_or(0, |row| {
            row.referenced += 1;
            row.push_pending(sequence)
        });
        Piece { batch, index, sequence, source: Source::Whole(request), pinned: false }
    }

    /// Gives a piece its failure; it never entered a queue.
    pub(crate) fn fail_piece(&mut self, piece: Piece<'_>, error: Error) {
        self.count_refusal(&error);
        let entry = piece.entry(0, NO_SLOT);
        self.fail_entry(&entry, error);
        self.drop_entry(&entry);
    }

    /// Puts a command into the queue of its slot's owner, or behind the slot's fence.
    pub(crate) fn place(&mut self, piece: Piece<'_>, slot: u16, now: Timestamp) -> Result<(), Error> {
        if self.fences.is_fenced(slot) && keeps!(self.config, ParkNew) && self.holds_new(slot) {
            return self.park_new(piece, slot, now);
        }
        match self.slots.owner(slot) {
            Some(row) => self.place_on(piece, row, slot, now),
            None if self.fails_fast(slot) => {
                self.request_refresh(None, now);
                Err(Error::not_executed(ErrorKind::SlotNotServed { slot }))
            }
            None => {
                // Nobody serves the slot as far as we know: wait for the next view, at most until the deadline.
                let fence = self.fences.open(slot, 0);
                fence.step = Step::Wait;
                fence.hint = Hint::Probe;
                fence.not_before = Timestamp::NEVER;
                self.request_refresh(None, now);
                self.park_new(piece, slot, now)
            }
        }
    }

    /// Whether new commands of a fenced slot are held too. Without order those alone that have nowhere to go.
    fn holds_new(&self, slot: u16) -> bool {
        self.config.order != Order::Relaxed || self.slots.owner(slot).is_none()
    }

    pub(crate) fn place_on(
        &mut self,
        piece: Piece<'_>,
        row: u16,
        slot: u16,
        now: Timestamp,
    ) -> Result<(), Error> {
        let len = piece.wire_len();
        self.check_window(row, len, 1, piece.name())?;
        let Some(link) = self.links.get_mut(usize::from(row)) else {
            return Err(Error::not_executed(ErrorKind::SlotNotServed { slot }));
        };
        if !link.dirty {
            link.queue.start_over();
        }
        if len < SHARED_BYTES_MIN {
            let mut room = link.queue.room(len);
            piece.write(&mut room);
            debug_assert!(room.is_empty(), "the announced length is the encoded length");
            link.queue.fill(len);
        } else {
            link.queue.prepare(len);
            let before = link.queue.encoded();
            piece.write(&mut link.queue);
            let written = link.queue.encoded() - before;
            debug_assert_eq!(written, len as u64, "the announced length is the encoded length");
        }
        link.in_flight.push_back(piece.entry(len, slot));
        link.unflushed_commands += 1;
        link.stats.commands += 1;
        self.queued_bytes += len as u64;
        let ready = link.is_ready();
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(row);
        }
        if !ready {
            self.want_connection(row, now);
        }
        Ok(())
    }

    /// Refuses what would break a bound, with the bound in the message. A lone command may be larger than the window.
    pub(crate) fn check_window(
        &self,
        row: u16,
        len: usize,
        commands: usize,
        name: &str,
    ) -> Result<(), Error> {
        let limits = &self.config.limits;
        let Some(link) = self.links.get(usize::from(row)) else { return Ok(()) };
        let held = link.queue.held_bytes() as usize;
        let total = (self.queued_bytes + self.fences.parked_bytes()) as usize;
        let full = link.in_flight.len() + commands > limits.commands_per_node_max
            || (held > 0 && held + len > limits.bytes_per_node_max)
            || (total > 0 && total + len > limits.bytes_total_max);
        if full || len > limits.command_bytes_max || link.refused {
            return Err(self.refusal(row, len, name));
        }
        Ok(())
    }

    #[cold]
    fn refusal(&self, row: u16, len: usize, name: &str) -> Error {
        let Some(link) = self.links.get(usize::from(row)) else {
            return Error::not_executed(ErrorKind::Cancelled);
        };
        if let Err(error) = self.check_totals(len, name) {
            return error;
        }
        if let (true, Some(failure)) = (link.refused, &link.last_failure) {
            return Error::not_executed(failure.clone()).at_node(link.name());
        }
        let queued_commands = link.in_flight.len() as u64;
        Error::not_executed(ErrorKind::Full {
            node: link.name(),
            queued_bytes: link.queue.held_bytes(),
            queued_commands,
        })
    }

    /// The bounds that hold for the client as a whole.
    pub(crate) fn check_totals(&self, len: usize, name: &str) -> Result<(), Error> {
        let limits = &self.config.limits;
        if len > limits.command_bytes_max {
            let limit = limits.command_bytes_max as u64;
            let command = name.to_owned();
            return Err(Error::not_executed(ErrorKind::TooLarge {
                command,
                what: "its encoded size",
                limit,
            }));
        }
        let queued_bytes = self.queued_bytes + self.fences.parked_bytes();
        let parked = self.fences.parked_commands() as usize;
        if (queued_bytes > 0 && queued_bytes as usize + len > limits.bytes_total_max)
            || parked >= limits.commands_per_node_max
        {
            let queued_commands = self.stats().in_flight;
            let node = "the client".to_owned();
            return Err(Error::not_executed(ErrorKind::Full { node, queued_bytes, queued_commands }));
        }
        Ok(())
    }

    #[cold]
    fn park_new(&mut self, piece: Piece<'_>, slot: u16, now: Timestamp) -> Result<(), Error> {
        let len = piece.wire_len();
        self.check_totals(len, piece.name())?;
        let mut bytes = BytesMut::with_capacity(len);
        piece.write(&mut bytes);
        self.park(Parked::new(piece.sequence, piece.entry(len, slot), smallvec![bytes.freeze()]));
        if let Some(fence) = self.fences.get_mut(slot)
            && fence.step == Step::Wait
            && fence.not_before <= now
        {
            // Those in front of it wait each for themselves: it may not have to.
            self.fences.wake(slot);
        }
        Ok(())
    }

    #[cold]
    fn too_much_untaken(&mut self) -> Error {
        self.windows_full += 1;
        Error::not_executed(ErrorKind::Full {
            node: "the completion queue (take results with next_completion)".to_owned(),
            queued_bytes: self.stream.untaken_bytes() as u64,
            queued_commands: self.stream.untaken() as u64,
        })
    }

    /// Submits one command of the event-driven use. Never blocks, makes no system call.
    ///
    /// # Errors
    /// `Full` where a window is full (nothing was queued), the caller's mistakes as for [`Engine::submit`].
    pub fn submit_stream(
        &mut self,
        request: &Request<'_>,
        user_data: u64,
        timeout_ms: u64,
        now: Timestamp,
    ) -> Result<Token, Error> {
        // Counted before anything can refuse it: a burst whose first command was refused is older than the commands it has.
        let sequence = self.next_sequence();
        let limits = &self.config.limits;
        if self.stream.untaken_bytes() > limits.untaken_reply_bytes_max
            || self.stream.untaken() >= limits.untaken_results_max.max(1)
        {
            return Err(self.too_much_untaken());
        }
        let slack_ms = if self.stream.burst.is_some() { Burst::SLACK_MS } else { 0 };
        let op = StreamOp {
            user_data,
            sequence,
            deadline: coarse(now.after_ms(timeout_ms.saturating_add(slack_ms))),
            submitted: now,
            slot: NO_SLOT,
            batch: None,
            tombstone: false,
        };
        let slot = match self.lone_slot(request) {
            Some(slot) => slot,
            None => match self.plan(request)? {
                Plan::Slot(slot) => slot,
                plan => return self.stream_parts(request, &plan, op, now),
            },
        };
        let row = self.stream.next_row();
        if self.queue_plain(request, STREAM, row, slot) {
            return Ok(self.stream.open(StreamOp { slot, ..op }));
        }
        let token = self.stream.open(StreamOp { slot, ..op });
        let source = Source::Whole(request);
        let piece = Piece { batch: STREAM, index: token.row, sequence, source, pinned: false };
        match self.place(piece, slot, now) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.count_refusal(&error);
                self.stream.close(token.row);
                Err(error)
            }
        }
    }

    /// A command in parts: a batch of its own gathers them.
    #[cold]
    fn stream_parts(
        &mut self,
        request: &Request<'_>,
        plan: &Plan,
        op: StreamOp,
        now: Timestamp,
    ) -> Result<Token, Error> {
        if let Plan::Split(parts) = plan
            && let Err(error) = self.check_parts(request, parts)
        {
            self.count_refusal(&error);
            return Err(error);
        }
        let timeout_ms = op.deadline.since(now).as_millis() as u64;
        let batch = self.batches.open(BatchOptions::new(timeout_ms));
        let deadline = op.deadline;
        let token = self.stream.open(StreamOp { batch: Some(batch), deadline: Timestamp::NEVER, ..op });
        if let Some(row) = self.batches.row_mut(batch) {
            row.stream_row = Some(token.row);
            row.deadline = deadline;
        }
        self.submit_parts(batch, request, plan, now);
        self.finish_stream_batch(batch);
        Ok(token)
    }

    /// Everything submitted so far may leave; a node that is not connected yet honours it when it can write.
    pub fn flush(&mut self) {
        while let Some(row) = self.dirty.pop() {
            self.flush_row(row);
        }
    }

    fn flush_row(&mut self, row: u16) {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        link.dirty = false;
        if self.tracing.is_some() {
            link.trace.commands += link.unflushed_commands;
            link.trace.bytes += link.queue.unflushed_bytes();
        }
        link.unflushed_commands = 0;
        if link.stats.replies >= link.guard.due_at {
            self.send_sentinel(row);
        } else {
            link.queue.flush();
        }
        self.schedule_transmit(row);
    }

    /// Flushes one node that has unflushed commands, and names it; for the node-after-node fan-out.
    pub(crate) fn flush_one(&mut self) -> Option<u16> {
        // The order of the topology: what a reader of a timeline expects.
        self.dirty.sort_unstable_by(|a, b| b.cmp(a));
        let row = self.dirty.pop()?;
        self.flush_row(row);
        Some(row)
    }

    /// Whether a node still owes replies.
    pub(crate) fn is_busy(&self, row: u16) -> bool {
        self.links.get(usize::from(row)).is_some_and(|link| !link.in_flight.is_empty())
    }

    /// Flushes nodes with at least this much unflushed.
    pub(crate) fn flush_above(&mut self, bytes: usize, commands: usize) {
        let mut at = 0;
        while let Some(&row) = self.dirty.get(at) {
            let is_over = self.links.get(usize::from(row)).is_some_and(|link| {
                link.queue.unflushed_bytes() as usize >= bytes || link.unflushed_commands as usize >= commands
            });
            if is_over {
                self.dirty.swap_remove(at);
                self.flush_row(row);
            } else {
                at += 1;
            }
        }
    }

    /// The node as messages name it.
    pub(crate) fn node_name(&self, row: u16) -> String {
        self.links.get(usize::from(row)).map(crate::engine::connection::Link::name).unwrap_or_default()
    }
}
