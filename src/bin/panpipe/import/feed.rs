//! From the input to the loader, record by record, as far as there is room; and back, what became of them.
//!
//! ```text
//! input ─ record ─▶ ledger (keeps its bytes) ─ its commands ─▶ loader
//!                     ▲ problems, watermark ◀───────────────────┘
//! ```
//!
//! Nothing here waits. Invariant: a record is in the ledger before its first command is in the loader.

use std::collections::VecDeque;

use panpipe::bulk::{FlushMark, Full, Loader, Problem, PushError, RawKeys, Stop};
use panpipe::{Error, ErrorKind, Outcome};

use super::arguments::{ErrorArgs, OnError, PaceArgs};
use super::ledger::{Ledger, Position, tag};
use super::quantity::ErrorsMax;
use super::rejects::Cause;
use crate::failure::{CLUSTER, Failure, STOPPED};
use crate::input::{Command, Input, Step};

/// A share of the records says little about the first few of them.
const RECORDS_FOR_PERCENT: u64 = 1000;

/// A flush takes in no more chunks of the input: reading a large record takes time, and replies wait meanwhile.
const CHUNKS_MAX: usize = 16;

/// Why no more was fed.
#[derive(Debug)]
pub(super) enum Fed {
    /// Enough for one flush.
    Batch,
    /// The loader takes no more.
    Full(Full),
    /// Too many bytes of records wait for those before them.
    Kept,
    /// The writer of the input has sent nothing new.
    Waiting,
    Ended,
    Stopped(Stop),
}

/// A record of which not all commands have been pushed.
#[derive(Debug, Clone, Copy)]
struct Begun {
    record: u64,
    next: usize,
    commands: usize,
}

/// How far pushing has come.
#[derive(Debug, Default)]
struct Cursor {
    begun: Option<Begun>,
    /// The newest command that the loader took.
    pushed: Option<u64>,
    /// The newest command that it took or refused.
    handled: Option<u64>,
    /// How many it refused, or never saw.
    refused: u64,
}

impl Begun {
    /// The name of the command that comes next.
    fn tag(self) -> u64 {
        tag(self.record, self.next)
    }

    fn behind(self) -> Option<Begun> {
        let next = self.next + 1;
        (next < self.commands).then_some(Begun { next, ..self })
    }
}

impl Cursor {
    /// What came of pushing this command.
    #[inline(always)]
    fn note(&mut self, at: Begun, pushed: Result<(), PushError>, ledger: &mut Ledger) -> Option<Fed> {
        match pushed {
            Ok(()) => self.pushed = Some(at.tag()),
            Err(error) => {
                if let Some(fed) = self.note_refusal(at, error, ledger) {
                    return Some(fed);
                }
            }
        }
        self.handled = Some(at.tag());
        None
    }

    #[cold]
    fn note_refusal(&mut self, at: Begun, error: PushError, ledger: &mut Ledger) -> Option<Fed> {
        let fed = match error {
            PushError::Full(full) => Fed::Full(full),
            PushError::Stopped(stop) => Fed::Stopped(stop),
            PushError::Refused(error) => {
                self.refused += 1;
                ledger.fail(at.tag(), Cause::from(&error));
                return None;
            }
        };
        self.begun = Some(at);
        Some(fed)
    }
}

/// How much goes out at once, and how much may be under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    batch_commands: u64,
    batch_bytes: usize,
    inflight_bytes_max: usize,
}

impl From<&PaceArgs> for Pace {
    fn from(args: &PaceArgs) -> Pace {
        Pace {
            batch_commands: args.batch,
            batch_bytes: args.flush_bytes,
            inflight_bytes_max: args.max_inflight_bytes,
        }
    }
}

/// How many failures end the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    on_error: OnError,
    errors_max: Option<ErrorsMax>,
    /// There is a checkpoint: what ends because the load does is in no count, and a resume repeats it. Else it is rejected, so that it is
    /// somewhere.
    is_resumable: bool,
}

impl Policy {
    pub(super) fn new(args: &ErrorArgs, pipe_compat: bool, is_resumable: bool) -> Policy {
        Policy { on_error: args.policy(pipe_compat), errors_max: args.max_errors, is_resumable }
    }
}

pub(super) struct Feed<'c> {
    pub(super) input: Input,
    pub(super) loader: Loader<'c>,
    pub(super) ledger: Ledger,
    pace: Pace,
    policy: Policy,
    /// Records that failed in earlier runs: those have stopped the load already.
    failures_before: u64,
    cursor: Cursor,
    /// Records taken in by this run.
    pub(super) taken: u64,
    unflushed_commands: u64,
    unflushed_bytes: usize,
    /// Flushes that are not answered whole, the oldest first.
    flushes: VecDeque<FlushMark>,
}

impl<'c> Feed<'c> {
    pub(super) fn new(
        input: Input,
        loader: Loader<'c>,
        mut ledger: Ledger,
        pace: Pace,
        policy: Policy,
    ) -> Self {
        ledger.remake_with(input.remake());
        Feed {
            failures_before: ledger.failures,
            input,
            loader,
            ledger,
            pace,
            policy,
            cursor: Cursor::default(),
            taken: 0,
            unflushed_commands: 0,
            unflushed_bytes: 0,
            flushes: VecDeque::new(),
        }
    }

    /// Pushes until enough is there for a flush, or something is in the way.
    pub(super) fn feed(&mut self) -> Result<Fed, Failure> {
        if let Some(fed) = self.push_begun() {
            return Ok(fed);
        }
        let failures = self.ledger.failures;
        let mut chunks = 0;
        while self.unflushed_commands < self.pace.batch_commands
            && self.unflushed_bytes < self.pace.batch_bytes
        {
            if self.ledger.failures > failures && self.verdict().is_some() {
                return Ok(Fed::Batch);
            }
            if self.ledger.bytes() >= self.pace.inflight_bytes_max {
                return Ok(Fed::Kept);
            }
            match self.input.next()? {
                Step::Record(record) => {
                    self.taken += 1;
                    let (number, place, source) = (record.number, (record.offset, record.end), record.source);
                    let commands = record.commands;
                    if let Some(command) = commands.only() {
                        // Nearly every record: in line, and the command looked at once.
                        self.ledger.open_one(number, place, source, &command);
                        self.unflushed_commands += 1;
                        self.unflushed_bytes += command.frame.len();
                        let at = Begun { record: number, next: 0, commands: 1 };
                        let pushed = send(&mut self.loader, &command, at.tag());
                        if let Some(fed) = self.cursor.note(at, pushed, &mut self.ledger) {
                            return Ok(fed);
                        }
                        continue;
                    }
                    let count = commands.len();
                    self.ledger.open(number, place, source, commands.clone());
                    for (next, command) in commands.enumerate() {
                        self.unflushed_commands += 1;
                        self.unflushed_bytes += command.frame.len();
                        let at = Begun { record: number, next, commands: count };
                        let pushed = send_another(&mut self.loader, &command, at.tag());
                        if let Some(fed) = self.cursor.note(at, pushed, &mut self.ledger) {
                            return Ok(fed);
                        }
                    }
                }
                Step::Bad(bad) => {
                    self.taken += 1;
                    self.unflushed_commands += 1;
                    self.ledger.open_unreadable(bad.number, (bad.offset, bad.end), bad.source, &bad.reason);
                }
                // The next chunk is there at once, and commands that leave together cost less.
                Step::Pending if self.unflushed_commands > 0 && chunks < CHUNKS_MAX => chunks += 1,
                Step::Pending => return Ok(Fed::Batch),
                Step::Waiting => return Ok(Fed::Waiting),
                Step::End => return Ok(Fed::Ended),
            }
        }
        Ok(Fed::Batch)
    }

    /// Goes on with the record that was begun.
    pub(super) fn push_begun(&mut self) -> Option<Fed> {
        while let Some(begun) = self.cursor.begun {
            let mut made = Vec::new();
            let command = self.ledger.command(begun.record, begun.next, &mut made)?;
            let pushed = send_another(&mut self.loader, &command, begun.tag());
            if let Some(fed) = self.cursor.note(begun, pushed, &mut self.ledger) {
                return Some(fed);
            }
            self.cursor.begun = begun.behind();
        }
        None
    }

    /// Lets what was pushed leave, and takes in what has come back.
    pub(super) fn turn(&mut self) -> Result<(), Failure> {
        if self.unflushed_commands > 0 {
            self.flushes.push_back(self.loader.flush());
            (self.unflushed_commands, self.unflushed_bytes) = (0, 0);
        }
        self.oldest_flush();
        self.loader.turn().map_err(|error| Failure::new(CLUSTER, format!("cannot go on: {error}")))?;
        self.settle()
    }

    /// The oldest flush that is not answered whole.
    pub(super) fn oldest_flush(&mut self) -> Option<FlushMark> {
        while self.flushes.front().is_some_and(|mark| self.loader.is_settled(*mark)) {
            self.flushes.pop_front();
        }
        self.flushes.front().copied()
    }

    /// Takes in what has become of the commands.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        self.take_problems();
        let committed = self.loader.committed();
        // What the loader refused it knows nothing of; it is done when all that it took is.
        let committed = if committed == self.cursor.pushed { self.cursor.handled } else { committed };
        self.ledger.settle(committed, self.read())
    }

    fn take_problems(&mut self) {
        while let Some(problem) = self.loader.next_problem() {
            // Also long before the end: servers that take no writes for too long stop the load, and cut short what they have refused.
            if !(problem.is_cut_short && self.policy.is_resumable) {
                self.ledger.fail(problem.tag, Cause::from(&problem));
            }
        }
    }

    /// What has no outcome gets none any more: the loader has finished. It is rejected, or left to a resume.
    pub(super) fn give_up(&mut self) -> Result<(), Failure> {
        self.take_problems();
        let is_left = self.policy.is_resumable;
        // Of a record that was begun, what was not pushed must be told too, or nobody knows that half of it is missing.
        if let Some(begun) = self.cursor.begun.filter(|begun| begun.next > 0) {
            for at in begun.next..begun.commands {
                if !is_left {
                    self.cursor.refused += 1;
                    self.cursor.handled = Some(tag(begun.record, at));
                    self.ledger.fail(tag(begun.record, at), Cause::never_sent());
                }
            }
        }
        let committed = if is_left { self.loader.committed() } else { self.cursor.handled };
        self.ledger.settle(committed, self.read())
    }

    /// Commands that this run refused to send.
    pub(super) fn refused(&self) -> u64 {
        self.cursor.refused
    }

    /// All that was taken in is done.
    pub(super) fn is_settled(&self) -> bool {
        self.cursor.begun.is_none() && self.ledger.is_settled()
    }

    /// All that was pushed has its outcome.
    pub(super) fn is_answered(&self) -> bool {
        self.loader.committed() == self.cursor.pushed
    }

    /// A record is only half pushed.
    pub(super) fn is_within_record(&self) -> bool {
        self.cursor.begun.is_some_and(|begun| begun.next > 0)
    }

    /// Where the input stands.
    fn read(&self) -> Position {
        let position = self.input.position();
        Position { record: position.records, offset: position.offset }
    }

    /// Whether there were too many failures.
    pub(super) fn verdict(&self) -> Option<Failure> {
        let failures = self.ledger.failures;
        if failures == 0 {
            return None;
        }
        let (records, why) = (self.ledger.counts.records, "stopped");
        match (self.policy.on_error, self.policy.errors_max) {
            (OnError::Stop, _) if failures == self.failures_before => None,
            (OnError::Stop, _) => Some(
                Failure::new(STOPPED, format!("{why} at the first error: {}", self.first_error()))
                    .hint("--on-error skip goes on, and collects what is refused in the reject file"),
            ),
            (OnError::Skip, Some(ErrorsMax::Count(max))) if failures > max => {
                let what = format!(
                    "{why}: {failures} records failed, and --max-errors is {max}; the first: {}",
                    self.first_error()
                );
                Some(Failure::new(STOPPED, what))
            }
            (OnError::Skip, Some(ErrorsMax::Percent(max)))
                if records >= RECORDS_FOR_PERCENT && failures as f64 * 100.0 > max * records as f64 =>
            {
                let percent = failures as f64 * 100.0 / records as f64;
                let what = format!(
                    "{why}: {percent:.2} % of {records} records failed, and --max-errors is {max} %; the first: {}",
                    self.first_error()
                );
                Some(Failure::new(STOPPED, what))
            }
            (OnError::Skip, _) => None,
        }
    }

    fn first_error(&self) -> String {
        let top = self.ledger.errors.top();
        top.iter().min_by_key(|(_, _, record, _)| *record).map_or_else(
            || "in an earlier run".to_owned(),
            |(_, _, record, text)| format!("record {record}: {text}"),
        )
    }
}

#[inline(always)]
fn send(loader: &mut Loader<'_>, command: &Command<'_>, tag: u64) -> Result<(), PushError> {
    let keys = command.key.clone().map_or(RawKeys::Find, RawKeys::At);
    if command.is_unit {
        return send_unit(loader, command.frame, keys, tag);
    }
    loader.push_raw(command.frame, keys, tag)
}

#[cold]
fn send_unit(loader: &mut Loader<'_>, frames: &[u8], keys: RawKeys, tag: u64) -> Result<(), PushError> {
    loader.push_unit(frames, keys, tag)
}

/// As `send`, where it need not be in line.
#[inline(never)]
fn send_another(loader: &mut Loader<'_>, command: &Command<'_>, tag: u64) -> Result<(), PushError> {
    send(loader, command, tag)
}

impl Cause {
    /// For commands of a record that was begun when the load ended.
    fn never_sent() -> Cause {
        Cause {
            class: "not sent".to_owned(),
            text: "the load ended before it was sent".to_owned(),
            outcome: Some(Outcome::NotExecuted),
            node: None,
            slot: None,
            attempts: 0,
        }
    }
}

impl From<&Problem> for Cause {
    fn from(problem: &Problem) -> Cause {
        Cause { slot: problem.slot, text: problem.text(), ..Cause::from(&problem.error) }
    }
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Cause {
        let class = match error.kind() {
            ErrorKind::Server(server) | ErrorKind::UnitRefused { refusal: server, .. } => {
                server.code().to_owned()
            }
            ErrorKind::CrossSlot { .. } => "CROSSSLOT".to_owned(),
            kind => {
                // The variant's name: `Timeout { phase: .. }` is Timeout.
                let name = format!("{kind:?}");
                name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
            }
        };
        Cause {
            class,
            text: error.to_string(),
            outcome: Some(error.outcome()),
            node: error.node().map(str::to_owned),
            slot: None,
            attempts: error.attempts(),
        }
    }
}
