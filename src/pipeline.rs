//! The main job: many commands, one flush, every node at once, each command its own result.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::client::Client;
use crate::command::{Commands, Request, ToRequest};
use crate::config::Fanout;
use crate::engine::{Batch, BatchId, BatchOptions, Timeline, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::resp::from_reply::FromReply;
use crate::resp::reply::ReplyRef;
use crate::transport::{Net, Transport};

/// Names the result of one command of a pipeline.
pub struct Ticket<R> {
    index: u32,
    flush: u64,
    reply: PhantomData<fn() -> R>,
}

impl<R> Clone for Ticket<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Ticket<R> {}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.index)
    }
}

/// Commands for any slots, queued until [`Pipeline::flush`].
///
/// Typed commands answer a [`Ticket`]; so does [`Pipeline::call`] for raw ones. Queueing encodes straight into the owning node's buffer and
/// makes no system call. A command that cannot be queued (keys in several slots, window full) fails at its own ticket. Dropping a pipeline
/// that was not flushed sends nothing.
///
/// After a flush the pipeline can be filled again.
pub struct Pipeline<'c, T: Transport = Net> {
    client: &'c mut Client<T>,
    batch: BatchId,
    options: BatchOptions,
    fanout: Fanout,
    /// Different for each flush of the client, so that a ticket is not taken for another's.
    flush: u64,
    flushed: bool,
    /// When the batch was opened. Reading the clock for each command would cost a fifth of the command; nothing that counts from here
    /// needs more: deadlines start at the flush.
    now: Timestamp,
    timeline: Option<Timeline>,
    with_timeline: bool,
    /// A reply did not fit the type that its command has: whether replies and commands still match is checked with the next flush.
    is_odd: AtomicBool,
}

impl<'c, T: Transport> Pipeline<'c, T> {
    pub(crate) fn new(client: &'c mut Client<T>) -> Self {
        let config = client.engine.config();
        let options = BatchOptions::new(config.command_timeout_ms);
        let fanout = config.fanout;
        let batch = client.engine.open_batch_with(options);
        let flush = client.engine.next_sequence();
        let now = client.transport.now();
        Pipeline {
            client,
            batch,
            options,
            fanout,
            flush,
            flushed: false,
            now,
            timeline: None,
            with_timeline: false,
            is_odd: AtomicBool::new(false),
        }
    }

    /// The deadline of each flush, in milliseconds.
    pub fn deadline_ms(&mut self, timeout_ms: u64) -> &mut Self {
        self.options.timeout_ms = timeout_ms;
        self.apply_options()
    }

    /// Whether redirects are followed (the default) or given to the caller as the errors they are.
    pub fn follow_redirects(&mut self, follow: bool) -> &mut Self {
        self.options.follow_redirects = follow;
        self.apply_options()
    }

    /// All nodes at once (the default), or node after node.
    pub fn fanout(&mut self, fanout: Fanout) -> &mut Self {
        self.fanout = fanout;
        self
    }

    /// Records where the time of each flush goes; see [`Replies::timeline`].
    pub fn with_timeline(&mut self) -> &mut Self {
        self.with_timeline = true;
        self
    }

    fn apply_options(&mut self) -> &mut Self {
        if let Some(batch) = self.client.engine.batch_mut(self.batch) {
            batch.options = self.options;
        }
        self
    }

    /// Queues a raw command.
    pub fn call<R: FromReply>(&mut self, command: impl ToRequest) -> Ticket<R> {
        self.refill();
        let index = match command.to_request() {
            Ok(request) => self.push(&request),
            Err(error) => {
                self.client.engine.batch_mut(self.batch).map_or(0, |batch| batch.push_failed(error))
            }
        };
        Ticket { index, flush: self.flush, reply: PhantomData }
    }

    fn push(&mut self, request: &Request<'_>) -> u32 {
        self.client.engine.submit(self.batch, request, self.now)
    }

    /// Opens a fresh batch where the last one has been flushed.
    fn refill(&mut self) {
        if self.flushed {
            self.let_go();
            self.batch = self.client.engine.open_batch_with(self.options);
            self.flush = self.client.engine.next_sequence();
            self.flushed = false;
            self.timeline = None;
            self.now = self.client.transport.now();
        }
    }

    fn let_go(&mut self) {
        self.client.engine.abandon(self.batch);
        if std::mem::take(self.is_odd.get_mut()) {
            self.client.engine.suspect_all();
        }
    }

    /// How many commands are queued; those that were refused count.
    pub fn len(&self) -> usize {
        self.client.engine.batch(self.batch).map_or(0, Batch::commands)
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends everything and returns when all replies are in or the deadline has passed. Finished results are never lost: what is missing
    /// then is a `Timeout` with its outcome, at its own ticket.
    ///
    /// # Errors
    /// `Io` where the system does not let the client wait at all.
    pub fn flush(&mut self) -> Result<Replies<'_>> {
        // A second flush without new commands answers an empty set of replies.
        self.refill();
        let now = self.client.transport.now();
        if self.with_timeline {
            self.client.engine.start_timeline(now);
        }
        self.client.engine.start_deadline(self.batch, now);
        let waited = match self.fanout {
            Fanout::Parallel => {
                self.client.engine.flush();
                self.client.wait_for(self.batch)
            }
            Fanout::Sequential => self.flush_in_sequence().and_then(|()| self.client.wait_for(self.batch)),
        };
        if self.with_timeline {
            let now = self.client.transport.now();
            self.timeline = Some(self.client.engine.take_timeline(now));
        }
        waited?;
        self.client.engine.merge_splits(self.batch);
        self.flushed = true;
        let batch =
            self.client.engine.batch(self.batch).ok_or_else(|| Error::not_executed(ErrorKind::Cancelled))?;
        Ok(Replies { batch, flush: self.flush, timeline: self.timeline.as_ref(), is_odd: &self.is_odd })
    }

    /// Node after node: the next is written when the one before owes nothing any more.
    fn flush_in_sequence(&mut self) -> Result<()> {
        while let Some(row) = self.client.engine.flush_one() {
            self.client.pump();
            while self.client.engine.is_busy(row) && !self.client.engine.is_complete(self.batch) {
                let need = self.client.need();
                self.client.step(None, need)?;
            }
        }
        Ok(())
    }
}

impl<T: Transport> Commands for Pipeline<'_, T> {
    type Output<R: FromReply> = Ticket<R>;

    fn request<R: FromReply>(&mut self, request: Request<'_>) -> Ticket<R> {
        self.refill();
        Ticket { index: self.push(&request), flush: self.flush, reply: PhantomData }
    }
}

impl<T: Transport> Drop for Pipeline<'_, T> {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<T: Transport> fmt::Debug for Pipeline<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("len", &self.len())
            .field("fanout", &self.fanout)
            .finish_non_exhaustive()
    }
}

/// The results of one flush.
#[derive(Clone, Copy)]
pub struct Replies<'p> {
    batch: &'p Batch,
    flush: u64,
    timeline: Option<&'p Timeline>,
    is_odd: &'p AtomicBool,
}

/// The share of one slot or node in a command that was split.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part<'p> {
    /// Positions of the command's keys (or pairs) that this part holds, in the order asked; empty for per-node fan-outs.
    pub keys: Vec<u32>,
    /// Where it ran, for per-node fan-outs.
    pub node: Option<&'p str>,
    /// Its own result.
    pub result: std::result::Result<ReplyRef<'p>, &'p Error>,
}

impl<'p> Replies<'p> {
    /// The result of one command, decoded.
    ///
    /// # Errors
    /// Whatever became of this command; `Decode` where the reply does not fit `R`; `Config` for a ticket of another flush.
    pub fn get<R: FromReply>(&self, ticket: Ticket<R>) -> Result<R> {
        let decoded = R::from_reply(self.reply(ticket).map_err(Clone::clone)?);
        if decoded.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Decode { .. })) {
            self.is_odd.store(true, Relaxed);
        }
        decoded
    }

    /// The reply of one command as the server sent it, uncopied.
    ///
    /// # Errors
    /// Whatever became of this command; `Config` for a ticket of another flush.
    pub fn reply<R>(&self, ticket: Ticket<R>) -> std::result::Result<ReplyRef<'p>, &'p Error> {
        static FOREIGN: LazyLock<Error> =
            LazyLock::new(|| Error::config("this ticket belongs to another flush of the client"));
        if ticket.flush == self.flush { self.batch.reply(ticket.index) } else { Err(&FOREIGN) }
    }

    /// The parts of a command that was split over slots or nodes: what arrived is here, also where the whole failed. Empty for others.
    pub fn parts<R>(&self, ticket: Ticket<R>) -> Vec<Part<'p>> {
        let split = self.batch.split_of(ticket.index).filter(|_| ticket.flush == self.flush);
        let Some(split) = split else { return Vec::new() };
        (0..split.parts)
            .map(|part| Part {
                keys: split.keys_of(part),
                node: split.nodes.get(part as usize).map(String::as_str),
                result: self.batch.reply(split.parent + 1 + part),
            })
            .collect()
    }

    /// All results in submission order.
    pub fn iter(&self) -> impl Iterator<Item = std::result::Result<ReplyRef<'p>, &'p Error>> + use<'p> {
        let batch = self.batch;
        let mut splits = batch.splits.iter().peekable();
        let mut next = 0;
        std::iter::from_fn(move || {
            let index = next;
            if index as usize >= batch.slots.len() {
                return None;
            }
            next += 1;
            if let Some(split) = splits.next_if(|split| split.parent == index) {
                next += split.parts;
            }
            Some(batch.reply(index))
        })
    }

    /// All replies in submission order, or the first error.
    ///
    /// # Errors
    /// The first command's that failed.
    pub fn all(&self) -> Result<Vec<ReplyRef<'p>>> {
        self.iter().map(|result| result.map_err(Clone::clone)).collect()
    }

    /// How many commands there were.
    pub fn len(&self) -> usize {
        self.batch.commands()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the time went, if the pipeline was told to record it.
    pub fn timeline(&self) -> Option<&'p Timeline> {
        self.timeline
    }
}

impl fmt::Debug for Replies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.iter().filter(std::result::Result::is_err).count();
        f.debug_struct("Replies").field("len", &self.len()).field("failed", &failed).finish()
    }
}
