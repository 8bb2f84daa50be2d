//! From received bytes to results: each frame is matched with the oldest unanswered command of its connection.

use bytes::Bytes;

use crate::engine::connection::ConnId;
use crate::engine::event::Event;
use crate::engine::handshake::Progress;
use crate::engine::in_flight::{InFlight, REFRESH, SENTINEL, STREAM};
use crate::engine::recv_buf::RecvBuf;
use crate::engine::reply_slab::LARGE_REPLY_BYTES_MIN;
use crate::engine::submit::BatchId;
use crate::engine::time::Timestamp;
use crate::engine::tombstones::SKIP_BYTES_MIN;
use crate::engine::{Engine, keeps, lifecycle::LostBecause};
use crate::error::{Error, ErrorKind, Outcome};
use crate::resp::reply::ReplyRef;
use crate::resp::scan::{Frame, FrameKind, Scan};

/// Receive buffers kept for whoever reads next: one for a transport that reads one connection at a time.
const RECV_SPARE_MAX: usize = 8;

impl Engine {
    /// Lends the connection's receive buffer; give it back with `handle_received`, also when nothing came.
    pub fn lend_recv(&mut self, conn: ConnId) -> Option<RecvBuf> {
        let row = self.live(conn)?;
        let link = self.links.get_mut(usize::from(row))?;
        let mut recv = std::mem::take(&mut link.recv);
        if recv.is_unmade()
            && let Some(spare) = self.recv_spare.pop()
        {
            recv = spare;
        }
        recv.prepare(link.recv_wanted);
        Some(recv)
    }

    /// Takes the buffer back with `n` bytes more, and deals with every complete frame in it.
    pub fn handle_received(&mut self, conn: ConnId, mut recv: RecvBuf, n: usize, now: Timestamp) {
        let Some(row) = self.live(conn) else { return };
        let tracing = self.tracing.is_some();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return };
        recv.received(n);
        if n > 0 {
            link.last_progress = now;
            link.stats.bytes_received += n as u64;
            if tracing && link.serves_callers() {
                link.trace.on_received(now);
            }
        }
        let consumed = self.consume(row, &mut recv, now);
        if let Some(link) =
            self.links.get_mut(usize::from(row)).filter(|link| link.generation == conn.generation)
        {
            if recv.is_spare() && self.recv_spare.len() < RECV_SPARE_MAX {
                self.recv_spare.push(recv);
            } else if !recv.is_outgrown() {
                link.recv = recv;
            }
            match consumed {
                Ok(wanted) => link.recv_wanted = wanted,
                Err(because) => self.lose(row, because, now),
            }
        }
        if self.suspicious {
            self.suspicious = false;
            self.suspect(row);
        }
        self.settle_fences(row, now);
        self.after_drained(row, now);
    }

    /// Deals with frames until one is incomplete; the answer is how many bytes it still needs.
    fn consume(&mut self, row: u16, recv: &mut RecvBuf, now: Timestamp) -> Result<usize, LostBecause> {
        loop {
            let frame = match self.take_run(row, recv)? {
                Scan::Incomplete { bytes_wanted } => {
                    if recv.unread().len() >= SKIP_BYTES_MIN {
                        self.skip_unwanted(row, recv);
                    }
                    return Ok(bytes_wanted);
                }
                Scan::Complete(frame) => frame,
            };
            let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(0) };
            let skipped = std::mem::take(&mut link.skipping);
            if frame.kind == FrameKind::Push {
                // Out of band, never a reply. Nothing is subscribed on a data connection; what comes is counted and dropped.
                link.stats.pushes += 1;
                recv.consume(frame.len);
            } else if link.handshake.is_done() {
                self.on_frame(row, recv, &frame, skipped, now)?;
            } else {
                let reply = ReplyRef::new(recv.unread().get(..frame.len).unwrap_or_default());
                self.on_handshake_frame(row, reply, now)?;
                recv.consume(frame.len);
            }
        }
    }

    /// One reply to a command, of any kind. Where its beginning was `skipped`, only its end means anything.
    fn on_frame(
        &mut self,
        row: u16,
        recv: &mut RecvBuf,
        frame: &Frame,
        skipped: bool,
        now: Timestamp,
    ) -> Result<(), LostBecause> {
        let unread = recv.unread();
        let first = unread.get(frame.attribute_len).copied();
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        let Some(entry) = link.in_flight.first().copied() else {
            if !keeps!(self.config, ExtraReply) {
                recv.consume(frame.len);
                return Ok(());
            }
            return Err(LostBecause::Desync("a reply arrived and no command was waiting for one"));
        };
        let asking = entry.has(InFlight::ASKED) && !entry.has(InFlight::ASKING_ANSWERED);
        let is_unit = entry.is_unit() && !asking;
        let sent_len = match asking {
            true => entry.asking_len(),
            false if is_unit => self.unit_sent_len(row, &entry),
            false => entry.len,
        };
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        if link.queue.acked() + u64::from(sent_len) > link.queue.sent() {
            return Err(LostBecause::Desync("a reply arrived for a command that had not been sent"));
        }
        if entry.batch == SENTINEL {
            let checked = self.on_sentinel(row, &entry, unread.get(..frame.len).unwrap_or_default());
            recv.consume(frame.len);
            return checked;
        }
        link.stats.replies += 1;
        if is_unit {
            return self.on_unit_frame(row, recv, frame, skipped, now);
        }
        if entry.has(InFlight::GIVEN_UP) && !asking {
            link.tombstones = link.tombstones.saturating_sub(1);
            self.suspicious = true;
            if skipped {
                recv.consume(frame.len);
                self.end_skipped(row, &entry);
                return Ok(());
            }
        }
        if matches!(first, Some(b'-' | b'!')) {
            let reply = ReplyRef::new(unread.get(..frame.len).unwrap_or_default());
            let lost = self.on_error_reply(row, entry, reply.error().unwrap_or_default(), now);
            recv.consume(frame.len);
            return lost;
        }
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        link.attempts = 0;
        if asking {
            let confirmed = unread.get(..frame.len) == Some(b"+OK\r\n");
            recv.consume(frame.len);
            self.asking_answered(row);
            return if confirmed || !keeps!(self.config, ShapeCheck) {
                Ok(())
            } else {
                Err(LostBecause::Desync("the reply to ASKING is not +OK"))
            };
        }
        self.on_result(row, recv, frame, &entry, now);
        Ok(())
    }

    /// The result of the front command.
    pub(crate) fn on_result(
        &mut self,
        row: u16,
        recv: &mut RecvBuf,
        frame: &Frame,
        entry: &InFlight,
        now: Timestamp,
    ) {
        if entry.has(InFlight::FENCED) && entry.batch != REFRESH {
            self.note_ran(row, entry);
        }
        self.pop_answered(row);
        self.uncount(entry, true);
        let unread = recv.unread().get(..frame.len).unwrap_or_default();
        if entry.batch == REFRESH {
            // Read where it lies: a buffer with a part split off would stay with this connection.
            self.on_topology(row, entry.index, ReplyRef::new(unread), now);
            recv.consume(frame.len);
        } else if self.holds_results() {
            let frame = Bytes::copy_from_slice(unread);
            recv.consume(frame.len());
            return self.hold(row, entry, Ok(frame));
        } else if frame.len < LARGE_REPLY_BYTES_MIN && self.deliver_small(entry, unread) {
            recv.consume(frame.len);
        } else {
            let frame = recv.take(frame.len);
            self.deliver_large(entry, frame);
        }
        self.drop_entry(entry);
    }

    /// Answers false where the reply must be kept in the memory it was received into: an arena of 4 GiB is full.
    pub(crate) fn deliver_small(&mut self, entry: &InFlight, frame: &[u8]) -> bool {
        if entry.batch == STREAM {
            self.stream.complete(entry.index, frame);
            return true;
        }
        self.batches.row_mut(entry.owner()).is_none_or(|batch| batch.fill(entry.index, frame))
    }

    pub(crate) fn deliver_large(&mut self, entry: &InFlight, frame: Bytes) {
        match entry.owner() {
            STREAM => self.stream.complete_large(entry.index, frame),
            id => {
                if let Some(batch) = self.batches.row_mut(id) {
                    batch.fill_large(entry.index, frame);
                }
            }
        }
    }

    fn on_handshake_frame(
        &mut self,
        row: u16,
        reply: ReplyRef<'_>,
        now: Timestamp,
    ) -> Result<(), LostBecause> {
        let Some(link) = self.links.get_mut(usize::from(row)) else { return Ok(()) };
        match link.handshake.on_reply(reply, &self.config) {
            Progress::Waiting => {}
            Progress::Send(bytes) => {
                link.prelude.0.extend_from_slice(&bytes);
                self.schedule_transmit(row);
            }
            Progress::NodeId(id) => {
                self.on_node_id(row, &id)?;
                self.fence_old(row, &id);
            }
            Progress::Killed => self.old_is_dead(row, None),
            Progress::KillRefused(error) => self.old_is_dead(row, Some(error)),
            Progress::OutOfStep(what) => return Err(LostBecause::Desync(what)),
            Progress::Refused(kind) => return Err(LostBecause::Refused(kind)),
            Progress::Full(error) => return Err(LostBecause::Full(error)),
            Progress::Loading(error) => return Err(LostBecause::Loading(error)),
        }
        if self
            .links
            .get(usize::from(row))
            .is_some_and(|link| link.handshake.is_released() && !link.is_ready())
        {
            self.enter_service(row, now);
        }
        Ok(())
    }

    /// The front command of a connection has its reply: its bytes need not be kept.
    pub(crate) fn pop_answered(&mut self, row: u16) {
        if let Some(link) = self.links.get_mut(usize::from(row))
            && let Some(entry) = link.in_flight.pop_front()
        {
            link.queue.ack(u64::from(entry.len));
            self.queued_bytes -= u64::from(entry.len);
            if entry.is_unit() {
                link.unit = None;
            }
        }
    }

    /// Gives an entry's owner its failure.
    pub(crate) fn fail_entry(&mut self, entry: &InFlight, error: Error) {
        let error = self.with_earlier_attempts(entry, error);
        match entry.owner() {
            STREAM => self.stream.fail(entry.index, error),
            REFRESH | SENTINEL => {}
            batch => {
                if let Some(batch) = self.batches.row_mut(batch) {
                    batch.fail(entry.index, error);
                }
            }
        }
    }

    /// The entry has left the engine: neither in flight nor parked.
    #[inline]
    pub(crate) fn drop_entry(&mut self, entry: &InFlight) {
        match entry.owner() {
            STREAM => self.stream.close(entry.index),
            REFRESH | SENTINEL => {}
            id => {
                let Some(batch) = self.batches.row_mut(id) else { return };
                batch.referenced -= 1;
                if batch.unanswered == 0 || batch.abandoned {
                    self.after_batch(id);
                }
            }
        }
    }

    #[cold]
    pub(crate) fn after_batch(&mut self, id: u32) {
        self.finish_stream_batch(id);
        self.batches.release_if_unused(id);
    }

    /// Whether anybody still waits for an entry's result.
    pub(crate) fn is_wanted(&self, entry: &InFlight) -> bool {
        match entry.owner() {
            STREAM => self.stream.is_live(entry.index),
            REFRESH | SENTINEL => false,
            batch => {
                self.batches.row(batch).is_some_and(|batch| !batch.abandoned && batch.is_pending(entry.index))
            }
        }
    }

    /// An entry's place in the order of submission.
    pub(crate) fn sequence_of(&self, entry: &InFlight) -> Option<u64> {
        match entry.owner() {
            STREAM => self.stream.op(entry.index).map(|op| op.sequence),
            REFRESH | SENTINEL => None,
            batch => self.batches.row(batch).and_then(|batch| batch.sequence(entry.index)),
        }
    }

    pub(crate) fn follows_redirects(&self, entry: &InFlight) -> bool {
        self.batches.row(entry.owner()).is_none_or(|batch| batch.options.follow_redirects)
    }

    /// An error reply is the command's result.
    pub(crate) fn deliver_error(&mut self, row: u16, entry: &InFlight, kind: ErrorKind, outcome: Outcome) {
        let hops = u32::from(entry.hops);
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            link.stats.errors += 1;
        }
        if self.is_wanted(entry) {
            let error = Error::new(kind, outcome);
            let error = error.at_node(self.node_name(row)).with_counts(hops + 1, hops);
            if self.holds_results() {
                return self.hold(row, entry, Err(error));
            }
            self.fail_entry(entry, error);
        }
        self.drop_entry(entry);
    }

    /// Hands the joined result of a split command of the event-driven use over, once all parts are in.
    pub(crate) fn finish_stream_batch(&mut self, id: u32) {
        let Some(batch) = self.batches.row_mut(id) else { return };
        let Some(row) = batch.stream_row.filter(|_| batch.unanswered == 0 && !batch.abandoned) else {
            return;
        };
        batch.merge_splits();
        match batch.reply(0) {
            Ok(reply) => self.stream.complete(row, reply.frame()),
            Err(error) => self.stream.fail(row, error.clone()),
        }
        self.stream.close(row);
        if let Some(batch) = self.batches.row_mut(id) {
            batch.abandoned = true;
        }
        self.batches.release_if_unused(id);
    }

    /// Whether every command of the batch has a result.
    pub fn is_complete(&self, batch: BatchId) -> bool {
        self.batches.row(batch.0).is_none_or(|batch| batch.unanswered == 0)
    }

    pub(crate) fn report_desync(&mut self, row: u16, what: &str) {
        if let Some(link) = self.links.get_mut(usize::from(row)) {
            link.stats.desyncs += 1;
        }
        let node = self.node_name(row);
        self.events.push(Event::Desync { node, what: what.to_owned() });
    }
}
