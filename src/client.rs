//! The facade: it owns the engine, the transport and with it the clock, and it waits.
//!
//! Three uses of one client: blocking calls (typed methods, [`Client::call`]), pipelines ([`Client::pipeline`]), and the event-driven use
//! (`submit`, `flush`, `turn`, `next_completion`) for services with a loop of their own.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::command::{Commands, Request, ToRequest};
use crate::config::{Config, FlushPolicy};
use crate::engine::{
    Action, BatchId, BatchOptions, Completion, Engine, Event, NodeInfo, Stats, Timestamp, Token,
};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::pipeline::Pipeline;
use crate::resp::from_reply::FromReply;
use crate::transport::{Need, Net, Pollable, Transport, TransportStats};

/// How much one [`Client::turn`] may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Rounds of looking for readiness; each handles at most a read quantum per node.
    pub rounds_max: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { rounds_max: 4 }
    }
}

/// A client of one cluster. One thread, no runtime: it works while you call it, and only then.
///
/// It is `Send` and not meant to be shared: for more than one core, use one client per thread. Over io_uring a client that is used on another
/// thread, or in a copy of the process, loses its connections and what is in flight on them, and connects anew.
pub struct Client<T: Transport = Net> {
    pub(crate) engine: Engine,
    pub(crate) transport: T,
    flush_policy: FlushPolicy,
}

impl Client {
    /// Connects to a cluster: `redis://host:port,host:port` or `valkey://…`; one reachable address is enough. See [`Config::from_url`]
    /// for user, password and parameters.
    ///
    /// # Errors
    /// `Config` for a URL that makes no sense; `Auth`, `NotCluster`, `Connect` or `NoTopology` where no seed gives a view of the cluster.
    pub fn connect(url: &str) -> Result<Self> {
        Client::connect_with(Config::from_url(url)?)
    }

    /// Connects with a configuration, over the transport that it asks for.
    ///
    /// # Errors
    /// As [`Client::connect`]; `Io` where the system refuses the transport.
    pub fn connect_with(config: Config) -> Result<Self> {
        let net = Net::open(&config)?;
        Client::with_transport(config, net)
    }
}

impl<T: Pollable> Client<T> {
    /// The descriptor to watch for readability in a host's loop: *readable ⇒ call [`Client::turn`] until it answers 0*. Timers and left-over
    /// work make it readable too (on Linux; elsewhere honour [`Client::next_deadline`]).
    ///
    /// # Errors
    /// `Io` where the system gives no more descriptors.
    pub fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        let made = self.transport.make_pollable();
        made.map_err(|error| io_error("cannot make the pollable descriptor", &error))?;
        self.leave(self.engine.has_completions());
        Ok(self.transport.pollable())
    }
}

impl<T: Transport> Client<T> {
    /// Connects over a transport of your own.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn with_transport(mut config: Config, transport: T) -> Result<Self> {
        if config.jitter_seed == 0 {
            config.jitter_seed = seed_from_system();
        }
        let flush_policy = config.flush_policy;
        let engine = Engine::new(config, transport.now())?;
        let mut client = Client { engine, transport, flush_policy };
        client.start()?;
        Ok(client)
    }

    /// Waits for the first view of the topology.
    fn start(&mut self) -> Result<()> {
        let waited_ms = self.engine.config().command_timeout_ms;
        let deadline = self.transport.now().after_ms(waited_ms);
        while !self.engine.has_topology() {
            if let Some(failure) = self.engine.start_failure() {
                return Err(failure);
            }
            if self.transport.now() >= deadline {
                let failure = self.engine.last_start_failure().map(|failure| failure.to_string());
                let reason = self.engine.last_refresh_failure().map(str::to_owned).or(failure);
                let reason = reason.unwrap_or_else(|| "none of the given addresses answered".to_owned());
                return Err(Error::not_executed(ErrorKind::NoTopology { waited_ms, reason }));
            }
            self.step(Some(deadline), Need::First)?;
        }
        let holes = self.engine.uncovered_slots();
        if self.engine.config().require_full_coverage && !holes.is_empty() {
            let holes: Vec<String> = holes.iter().map(|(start, end)| format!("{start}-{end}")).collect();
            let reason = format!("slots without a node: {} (require_full_coverage is set)", holes.join(", "));
            return Err(Error::not_executed(ErrorKind::NoTopology { waited_ms: 0, reason }));
        }
        Ok(())
    }

    /// Opens a pipeline: commands are queued, one `flush` sends them to all nodes at once, each gets its own result.
    pub fn pipeline(&mut self) -> Pipeline<'_, T> {
        Pipeline::new(self)
    }

    /// Runs one command and waits for its reply.
    ///
    /// # Errors
    /// Whatever became of it; [`Error::outcome`] says whether it ran.
    pub fn call<R: FromReply>(&mut self, command: impl ToRequest) -> Result<R> {
        let request = command.to_request()?;
        self.call_request(&request)
    }

    fn call_request<R: FromReply>(&mut self, request: &Request<'_>) -> Result<R> {
        let timeout_ms = self.engine.config().command_timeout_ms;
        let batch = self.engine.open_batch_with(BatchOptions::new(timeout_ms));
        let now = self.transport.now();
        self.engine.submit(batch, request, now);
        self.engine.start_deadline(batch, now);
        self.engine.flush();
        let waited = self.wait_for(batch);
        self.engine.merge_splits(batch);
        let result = match (waited, self.engine.batch(batch)) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(replies)) => replies.reply(0).map_err(Clone::clone).and_then(R::from_reply),
            (Ok(()), None) => Err(Error::not_executed(ErrorKind::Cancelled)),
        };
        self.engine.abandon(batch);
        if result.as_ref().is_err_and(|error: &Error| matches!(error.kind(), ErrorKind::Decode { .. })) {
            self.engine.suspect_all();
        }
        result
    }

    /// Works until every command of the batch has a result.
    pub(crate) fn wait_for(&mut self, batch: BatchId) -> Result<()> {
        self.pump();
        if self.engine.is_complete(batch) {
            // It failed without being sent, and no wait follows that would see to what is due: the end of the backoff, for one, that it
            // failed for. Who only makes blocking calls would never come back from it.
            self.handle_due();
            self.pump();
        } else {
            loop {
                self.step(None, self.need()).map_err(|error| self.in_doubt(batch, error))?;
                if self.engine.is_complete(batch) {
                    break;
                }
            }
        }
        // Results of the event-driven use may have arrived on the way.
        self.leave(self.engine.has_completions());
        Ok(())
    }

    /// Where waiting fails, what was handed to the transport may run all the same.
    fn in_doubt(&self, batch: BatchId, error: Error) -> Error {
        if self.engine.has_begun(batch) { Error::new(error.kind().clone(), Outcome::Unknown) } else { error }
    }

    /// What waiting for a batch is waiting for: all that is owed, unless somebody else's replies are among it, or their times are recorded.
    pub(crate) fn need(&self) -> Need {
        if self.engine.serves_one_caller() { Need::All } else { Need::First }
    }

    /// Carries out what the engine asks for.
    pub(crate) fn pump(&mut self) {
        if self.engine.has_actions() {
            // A dial's time runs from now, not from when the command was submitted that asked for it.
            self.end_burst();
            self.engine.restart_dials(self.transport.now());
        }
        loop {
            while let Some(action) = self.engine.poll_action() {
                match action {
                    Action::Connect { conn, endpoint } => {
                        self.transport.connect(conn, &endpoint, &mut self.engine)
                    }
                    Action::Close { conn } => self.transport.close(conn),
                }
            }
            match self.engine.poll_transmit() {
                Some(conn) => self.transport.submit(conn, &mut self.engine),
                None => return,
            }
        }
    }

    /// One iteration: everything that can be sent is sent, then it waits for something to happen, at most until `limit`.
    pub(crate) fn step(&mut self, limit: Option<Timestamp>, need: Need) -> Result<usize> {
        self.end_burst();
        self.pump();
        let due = self.engine.poll_timeout().into_iter().chain(limit).min();
        let timeout = due.map(|due| due.since(self.transport.now()));
        let happened = self.wait_once(timeout, need)?;
        Ok(happened)
    }

    fn wait_once(&mut self, timeout: Option<Duration>, need: Need) -> Result<usize> {
        let happened = self
            .transport
            .wait(timeout, need, &mut self.engine)
            .map_err(|error| io_error("cannot wait for the sockets", &error))?;
        let handled = self.handle_due();
        self.pump();
        Ok(happened + handled)
    }

    /// Does what is due by now; answers whether that was anything.
    fn handle_due(&mut self) -> usize {
        let Some(due) = self.engine.poll_timeout() else { return 0 };
        let now = self.transport.now();
        if now < due {
            return 0;
        }
        self.engine.handle_timeout(now);
        1
    }

    // The event-driven use.

    /// Queues a command; its result arrives with `user_data` in [`Client::next_completion`]. Never blocks; makes no system call unless the
    /// flush policy says so.
    ///
    /// Its deadline never passes early, however long ago the client was used last: its time runs from a moment that is not before this call
    /// and not after the next [`Client::flush`], [`Client::turn`] or [`Client::wait`]. Deadlines are looked at in steps, so that it may run
    /// out up to 8 ms late.
    ///
    /// # Errors
    /// `Full` where a window is full: take results, turn, and try again. The caller's mistakes otherwise. Nothing was queued.
    pub fn submit(&mut self, command: impl ToRequest, user_data: u64) -> Result<Token> {
        let timeout_ms = self.engine.config().command_timeout_ms;
        self.submit_with_timeout(command, user_data, timeout_ms)
    }

    /// As [`Client::submit`], with a deadline of its own in milliseconds.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub fn submit_with_timeout(
        &mut self,
        command: impl ToRequest,
        user_data: u64,
        timeout_ms: u64,
    ) -> Result<Token> {
        let request = command.to_request()?;
        let now = self.burst_time();
        let token = self.engine.submit_stream(&request, user_data, timeout_ms, now)?;
        match self.flush_policy {
            FlushPolicy::Explicit => {}
            // The next turn has something to flush: a host that sleeps on the descriptor must come back for it.
            FlushPolicy::EachTurn => self.arm(true),
            FlushPolicy::EachCommand => self.flush(),
            FlushPolicy::Threshold { bytes, commands } => {
                self.engine.flush_above(bytes, commands);
                self.pump();
                self.transport.launch();
            }
        }
        self.arm(false);
        Ok(token)
    }

    /// The time for what is submitted now: looking at the clock for each command would cost a fifth of the command, so those between two turns
    /// share one look, and the engine sees to it that none of them is given up early for that.
    #[inline]
    fn burst_time(&mut self) -> Timestamp {
        self.engine.burst_began().unwrap_or_else(|| {
            let now = self.transport.now();
            self.engine.begin_burst(now);
            now
        })
    }

    /// The next command needs a look at the clock of its own. A burst of one command has had its look.
    fn end_burst(&mut self) {
        let Some(began) = self.engine.burst_began() else { return };
        let now = if self.engine.burst_commands() > 1 { self.transport.now() } else { began };
        self.engine.end_burst(now);
    }

    /// Lets everything queued leave, as far as the sockets take it now; the rest follows in later turns. Sticky: a node that is still
    /// connecting honours it when it can write.
    pub fn flush(&mut self) {
        self.end_burst();
        self.engine.flush();
        self.pump();
        self.leave(false);
    }

    /// Does what can be done without waiting; answers how much that was. Call it until it answers 0, then wait for the descriptor or
    /// [`Client::next_deadline`]. (The first one on another thread, over io_uring, waits until the kernel has let go of what was left behind.)
    ///
    /// # Errors
    /// `Io` where polling itself is impossible.
    pub fn turn(&mut self, budget: Budget) -> Result<usize> {
        self.end_burst();
        if self.flush_policy == FlushPolicy::EachTurn {
            self.engine.flush();
        }
        self.turn_unflushed(budget)
    }

    /// As `turn`, without what the flush policy adds.
    pub(crate) fn turn_unflushed(&mut self, budget: Budget) -> Result<usize> {
        self.end_burst();
        self.pump();
        let mut work = 0;
        for _ in 0..budget.rounds_max {
            let happened = self.wait_once(Some(Duration::ZERO), Need::First)?;
            work += happened;
            if happened == 0 {
                break;
            }
        }
        self.leave(false);
        Ok(work)
    }

    /// Blocks until something happens or `timeout` passes; answers how much happened.
    ///
    /// # Errors
    /// As [`Client::turn`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<usize> {
        if self.flush_policy == FlushPolicy::EachTurn {
            self.engine.flush();
        }
        // Results that wait to be taken are something that has happened.
        let timeout = if self.engine.has_completions() { Some(Duration::ZERO) } else { timeout };
        let limit = timeout.map(|timeout| self.transport.now().after(timeout));
        // A transport may come back for what is nobody's news, such as the end of a send.
        let happened = loop {
            let happened = self.step(limit, Need::First)?;
            if happened > 0 || limit.is_some_and(|limit| self.transport.now() >= limit) {
                break happened;
            }
        };
        self.leave(false);
        Ok(happened)
    }

    /// Takes the oldest result.
    pub fn next_completion(&mut self) -> Option<Completion<'_>> {
        self.engine.next_completion()
    }

    /// Gives a command up. What was not sent never runs; what was sent completes as cancelled with outcome `Unknown`, and its reply is
    /// discarded. Answers false where it had a result already.
    pub fn cancel(&mut self, token: Token) -> bool {
        let cancelled = self.engine.cancel(token);
        self.leave(cancelled);
        cancelled
    }

    /// Waits until all of these have a result or `timeout` passes; answers how many have none yet. The results stay in the queue.
    ///
    /// # Errors
    /// As [`Client::turn`].
    pub fn await_all(&mut self, timeout: Duration, tokens: &[Token]) -> Result<usize> {
        self.flush();
        let limit = self.transport.now().after(timeout);
        loop {
            let pending = tokens.iter().filter(|token| self.engine.is_pending(**token)).count();
            if pending == 0 || self.transport.now() >= limit {
                self.leave(self.engine.has_completions());
                return Ok(pending);
            }
            self.step(Some(limit), Need::First)?;
        }
    }

    /// When [`Client::turn`] must be called at the latest, although the descriptor is not readable. `None`: not before something arrives.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.engine.poll_timeout()?;
        Some(Instant::now() + due.since(self.transport.now()))
    }

    /// The caller goes about other business: what was handed to the transport leaves, and the descriptor tells what remains to be done.
    pub(crate) fn leave(&mut self, work_left: bool) {
        self.transport.launch();
        self.arm(work_left);
    }

    /// Sees to it that the pollable descriptor, where somebody watches it, becomes readable for deadlines and for work that is left.
    fn arm(&mut self, work_left: bool) {
        if self.transport.is_pollable() {
            self.transport.arm(self.engine.poll_timeout(), work_left);
        }
    }

    // Getters.

    /// Counters and gauges of this moment.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// What the transport has done so far: system calls, or requests and the system calls that they travelled with.
    pub fn transport_stats(&self) -> TransportStats {
        self.transport.stats()
    }

    /// The nodes of the present view of the cluster.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        self.engine.nodes()
    }

    /// News of the control path: nodes up and down, topology changes, desyncs.
    pub fn next_event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport, for what only it can do.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The engine, for its getters.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Asks for a fresh view of the topology, and waits for it at most `timeout`.
    ///
    /// # Errors
    /// As [`Client::turn`].
    pub fn refresh_topology(&mut self, timeout: Duration) -> Result<bool> {
        let before = self.engine.stats().refreshes;
        let now = self.transport.now();
        self.engine.refresh_topology(now);
        let limit = now.after(timeout);
        while self.engine.stats().refreshes == before && self.transport.now() < limit {
            self.step(Some(limit), Need::First)?;
        }
        self.leave(self.engine.has_completions());
        Ok(self.engine.stats().refreshes != before)
    }
}

impl<T: Transport> Commands for Client<T> {
    type Output<R: FromReply> = Result<R>;

    fn request<R: FromReply>(&mut self, request: Request<'_>) -> Result<R> {
        self.call_request(&request)
    }
}

impl<T: Transport> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", self.engine.config())
            .field("stats", &self.engine.stats())
            .finish_non_exhaustive()
    }
}

pub(crate) fn io_error(what: &'static str, error: &std::io::Error) -> Error {
    Error::not_executed(ErrorKind::Io { what, reason: error.to_string() })
}

/// A seed for jitter, different in every process: the standard library's hash keys come from the system's random numbers.
fn seed_from_system() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
