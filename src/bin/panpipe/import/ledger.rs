//! What became of every record, in the order of the input.
//!
//! ```text
//!   done                                  | under way
//!   counted, and rejected where refused   | in the ring; those that failed already have their cause noted
//!                                         ^ the watermark: a resume begins here
//! ```
//!
//! A record is counted once, when all records before it are done; until then its failure is only noted. So what the checkpoint says, what
//! the reject files hold and what the counts say are about the same records, and a record that is written again after a resume is in none of
//! them. Entries of the reject files are written many at a time; where they cannot be, everything is as it was before the first of them: that
//! record is not done, and a resume begins at it. Knows records, causes and counts. Refuses to know how commands travel.
//! Invariants: `counts.records == written + rejected + empty`; whoever reads `done` and `counts` for a checkpoint has called `sync_rejects`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::errors::Errors;
use super::frame;
use super::rejects::{Cause, Lengths, Reject, Rejects};
use super::ring::Ring;
use super::segment::Entry;
use crate::failure::Failure;
use crate::input::{Command, Remake};

/// Bits of a tag that number the commands of a record.
const COMMAND_BITS: u32 = 16;

/// The loader's name for one command: the record's number above, its place in the record below.
pub(super) fn tag(record: u64, command: usize) -> u64 {
    record << COMMAND_BITS | command as u64
}

fn record_of(tag: u64) -> u64 {
    tag >> COMMAND_BITS
}

/// Records and commands that are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) records: u64,
    /// All their commands were executed without an error.
    pub(super) written: u64,
    /// At least one of their commands was not, or they could not be read.
    pub(super) rejected: u64,
    /// They stand for no command.
    pub(super) empty: u64,
    /// Of the rejected: those that are no record of this format.
    pub(super) unreadable: u64,
    /// Of the rejected: those with a command that may have run.
    pub(super) unknown: u64,
    pub(super) commands: u64,
    pub(super) commands_failed: u64,
}

/// How far the load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// All records up to this one are done.
    pub(super) record: u64,
    /// Where the next one begins.
    pub(super) offset: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    ring: Ring,
    /// Causes of commands that failed, by tag, in front of the watermark.
    failed: BTreeMap<u64, Cause>,
    rejects: Rejects,
    pub(super) counts: Counts,
    /// Everything in front of this is done and, where it was rejected, in the reject files or on its way there.
    done: Position,
    /// What both were before the first entry that is on its way.
    written: (Counts, Position),
    /// Records with a failure that is known, counted or not.
    pub(super) failures: u64,
    pub(super) errors: Errors,
    /// A reject file could not be written: from then on nothing is counted any more.
    is_closed: bool,
}

impl Ledger {
    pub(super) fn new(rejects: Rejects, counts: Counts, done: Position) -> Ledger {
        Ledger {
            ring: Ring::default(),
            failed: BTreeMap::new(),
            rejects,
            counts,
            done,
            written: (counts, done),
            failures: counts.rejected,
            errors: Errors::default(),
            is_closed: false,
        }
    }

    /// Bytes of records that are not done.
    pub(super) fn bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// Takes a record in: its number, where it begins and where the next one does, its own bytes and its commands.
    pub(super) fn open<'a>(
        &mut self,
        number: u64,
        place: (u64, u64),
        source: &[u8],
        commands: impl Iterator<Item = Command<'a>>,
    ) {
        self.ring.push_other(number, place, source, commands);
    }

    /// As `open`, of a record that is one command.
    #[inline(always)]
    pub(super) fn open_one(&mut self, number: u64, place: (u64, u64), source: &[u8], command: &Command<'_>) {
        self.ring.push_one(number, place, source, command);
    }

    /// Commands of records that are one command need not be kept: this makes them from the record.
    pub(super) fn remake_with(&mut self, remake: Option<Remake>) {
        self.ring.remake_with(remake);
    }

    /// Takes in what is no record of its format: it has failed.
    pub(super) fn open_unreadable(&mut self, number: u64, place: (u64, u64), source: &[u8], reason: &str) {
        self.ring.push_other(number, place, source, std::iter::empty());
        let cause = Cause {
            class: "unreadable".to_owned(),
            text: reason.to_owned(),
            outcome: None,
            node: None,
            slot: None,
            attempts: 0,
        };
        self.fail(tag(number, 0), cause);
    }

    /// Notes that a command failed.
    pub(super) fn fail(&mut self, tag: u64, cause: Cause) {
        let record = record_of(tag);
        let of_record = self::tag(record, 0)..self::tag(record + 1, 0);
        if self.failed.range(of_record).next().is_none() {
            self.failures += 1;
        }
        self.errors.add(&cause, record);
        self.failed.insert(tag, cause);
    }

    /// One command of a record that is not done; where it has to be made again, in `made`.
    pub(super) fn command<'a>(
        &'a self,
        record: u64,
        at: usize,
        made: &'a mut Vec<u8>,
    ) -> Option<Command<'a>> {
        self.ring.command(record, at, made)
    }

    /// Moves the watermark: commands up to `committed` have their outcome; `next` is where the input stands, for when nothing is under way.
    /// Where the reject files cannot be written, the watermark goes back to before what was to be written, and stays there.
    pub(super) fn settle(&mut self, committed: Option<u64>, next: Position) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        self.settle_front(committed)?;
        if self.ring.is_empty() {
            self.done = next;
        }
        Ok(())
    }

    fn settle_front(&mut self, committed: Option<u64>) -> Result<(), Failure> {
        // The first tag that is not committed: those of records begin behind 0.
        let bound = committed.map_or(0, |committed| committed.saturating_add(1));
        let is_settled = |entry: &Entry| entry.commands == 0 || tag(entry.number, entry.commands - 1) < bound;
        loop {
            self.count_written(bound, is_settled);
            let Some(entry) = self.ring.front().filter(|entry| is_settled(entry)) else { return Ok(()) };
            // It was not counted above: it has failed.
            self.reject(&entry);
            self.counts.records += 1;
            self.counts.commands += entry.commands as u64;
            self.done = Position { record: entry.number, offset: entry.end };
            self.ring.pop();
            if self.rejects.is_full() {
                self.write_rejects()?;
            }
        }
    }

    /// Counts the records at the front that are settled, up to the first that has failed.
    fn count_written(&mut self, bound: u64, is_settled: impl Fn(&Entry) -> bool) {
        let failed = self.failed.first_key_value().map_or(u64::MAX, |(&tag, _)| record_of(tag));
        let Ledger { ring, counts, done, .. } = self;
        // Of a record that is one command the tag is its number's.
        let ones = failed.min(bound.div_ceil(1 << COMMAND_BITS));
        loop {
            if let Some(popped) = ring.pop_ones(ones) {
                counts.written += popped.count;
                counts.records += popped.count;
                counts.commands += popped.count;
                *done = Position { record: popped.number, offset: popped.end };
            }
            let Some(entry) = ring.front().filter(|entry| entry.number < failed && is_settled(entry)) else {
                return;
            };
            let is_empty = entry.commands == 0;
            counts.empty += u64::from(is_empty);
            counts.written += u64::from(!is_empty);
            counts.records += 1;
            counts.commands += entry.commands as u64;
            *done = Position { record: entry.number, offset: entry.end };
            ring.pop();
        }
    }

    /// The record at the front has failed: it goes to the files, sooner or later, and is counted.
    fn reject(&mut self, entry: &Entry) {
        if self.rejects.is_written() {
            self.written = (self.counts, self.done);
        }
        let (mut is_unknown, mut is_unreadable, mut commands) = (false, false, 0);
        for (&failed, cause) in self.failed.range(..tag(entry.number + 1, 0)) {
            let at = usize::try_from(failed - tag(entry.number, 0)).unwrap_or(usize::MAX);
            let mut made = Vec::new();
            let command = self.ring.command(entry.number, at, &mut made);
            let words = command.as_ref().map_or_else(Vec::new, |command| frame::words(command.frame));
            self.rejects.add(&Reject {
                record: entry.number,
                command: at,
                offset: entry.offset,
                source: self.ring.source(entry.number),
                frame: command.as_ref().map(|command| command.frame),
                name: words.first().copied().unwrap_or_default(),
                key: command.as_ref().and_then(Command::key_bytes),
                cause,
            });
            commands += u64::from(command.is_some());
            is_unreadable |= cause.outcome.is_none();
            is_unknown |= cause.is_in_doubt();
        }
        while self.failed.first_entry().is_some_and(|failed| record_of(*failed.key()) <= entry.number) {
            self.failed.pop_first();
        }
        self.counts.rejected += 1;
        self.counts.commands_failed += commands;
        self.counts.unreadable += u64::from(is_unreadable);
        self.counts.unknown += u64::from(is_unknown);
    }

    /// Everything that is counted as rejected is in the reject files.
    pub(super) fn write_rejects(&mut self) -> Result<(), Failure> {
        let before = self.written;
        self.rejects.write().inspect_err(|_| {
            (self.counts, self.done) = before;
            self.is_closed = true;
        })
    }

    /// How far the load is.
    pub(super) fn done(&self) -> Position {
        self.done
    }

    /// Records that are under way.
    pub(super) fn is_settled(&self) -> bool {
        self.ring.is_empty()
    }

    /// As `write_rejects`, and it is there after a crash of the machine too.
    pub(super) fn sync_rejects(&mut self) -> Result<Lengths, Failure> {
        self.write_rejects()?;
        self.rejects.sync()?;
        Ok(self.rejects.lengths())
    }

    pub(super) fn rejects(&self) -> &Rejects {
        &self.rejects
    }
}

#[cfg(test)]
mod tests {
    use panpipe::Outcome;

    use super::super::rejects::Before;
    use super::super::testing::frame;
    use super::*;

    fn ledger() -> Ledger {
        let rejects = Rejects::open(None, Before::Nothing).expect("no files");
        Ledger::new(rejects, Counts::default(), Position::default())
    }

    fn open(ledger: &mut Ledger, number: u64, commands: usize) {
        let frame = frame("SET a 1");
        let command = Command { frame: &frame, key: None, is_unit: false };
        let commands = std::iter::repeat_n(command, commands);
        ledger.open(number, (number * 10, number * 10 + 10), b"a\t1", commands);
    }

    fn cause(outcome: Outcome) -> Cause {
        let (class, text) = ("E".to_owned(), "E text".to_owned());
        Cause { class, text, outcome: Some(outcome), node: None, slot: None, attempts: 1 }
    }

    const END: Position = Position { record: 9, offset: 90 };

    #[test]
    fn records_are_counted_in_order_and_whole() {
        let mut ledger = ledger();
        for number in 1..=3 {
            open(&mut ledger, number, 2);
        }
        ledger.settle(Some(tag(1, 0)), END).expect("no files");
        assert_eq!((ledger.counts.records, ledger.done()), (0, Position::default()), "half of it");
        ledger.settle(Some(tag(2, 0)), END).expect("no files");
        assert_eq!((ledger.counts.written, ledger.counts.commands), (1, 2));
        assert_eq!(ledger.done(), Position { record: 1, offset: 20 });
        ledger.settle(Some(tag(3, 1)), END).expect("no files");
        assert_eq!(
            (ledger.counts.written, ledger.done()),
            (3, END),
            "nothing under way: where the input stands"
        );
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_failure_is_counted_when_its_record_is_done_and_once() {
        let mut ledger = ledger();
        for number in 1..=4 {
            open(&mut ledger, number, 3);
        }
        ledger.fail(tag(3, 2), cause(Outcome::Unknown));
        ledger.fail(tag(2, 0), cause(Outcome::Executed));
        ledger.fail(tag(2, 1), cause(Outcome::Executed));
        assert_eq!(ledger.failures, 2, "records, not commands");
        ledger.settle(Some(tag(1, 2)), END).expect("no files");
        assert_eq!((ledger.counts.written, ledger.counts.rejected), (1, 0));
        ledger.settle(Some(tag(4, 2)), END).expect("no files");
        let counts = ledger.counts;
        assert_eq!((counts.records, counts.written, counts.rejected, counts.unknown), (4, 2, 2, 1));
        assert_eq!((counts.commands, counts.commands_failed), (12, 3));
        assert_eq!(ledger.errors.top()[0], (2, "E", 2, "E text"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rejects_that_cannot_be_written_take_everything_behind_them_back() {
        let folder = std::env::temp_dir().join(format!("panpipe-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let base = folder.join("x").to_str().expect("text").to_owned();
        let rejects = Rejects::open(Some(base.clone()), Before::Nothing).expect("no files");
        let mut ledger = Ledger::new(rejects, Counts::default(), Position::default());
        for number in 1..=8 {
            open(&mut ledger, number, 1);
        }
        for number in [2, 5, 7] {
            ledger.fail(tag(number, 0), cause(Outcome::Executed));
        }
        ledger.settle(Some(tag(3, 0)), END).expect("nothing is written yet");
        ledger.write_rejects().expect("writes");
        ledger.settle(Some(tag(4, 0)), END).expect("nothing to write");
        let lengths = ledger.sync_rejects().expect("syncs");
        assert_eq!((ledger.counts.records, ledger.counts.rejected), (4, 1));
        ledger.settle(Some(tag(7, 0)), END).expect("nothing is written yet");
        assert_eq!((ledger.counts.records, ledger.counts.rejected), (7, 3));
        let device = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        ledger.rejects.replace_file(device);
        ledger.write_rejects().expect_err("the disk is full");
        assert_eq!((ledger.counts.records, ledger.counts.rejected), (4, 1), "as before the first of them");
        assert_eq!(ledger.done(), Position { record: 4, offset: 50 });
        ledger.settle(Some(tag(8, 0)), END).expect("closed");
        assert_eq!(ledger.done(), Position { record: 4, offset: 50 }, "nothing is counted any more");
        assert_eq!(ledger.rejects().lengths(), lengths);
        std::fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn what_cannot_be_read_waits_for_its_turn() {
        let mut ledger = ledger();
        open(&mut ledger, 1, 1);
        ledger.open_unreadable(2, (20, 30), b"?", "what is this");
        open(&mut ledger, 5, 1);
        ledger.settle(None, END).expect("no files");
        assert_eq!((ledger.failures, ledger.counts.records), (1, 0));
        ledger.settle(Some(tag(1, 0)), END).expect("no files");
        assert_eq!((ledger.counts.records, ledger.counts.unreadable, ledger.counts.commands), (2, 1, 1));
        assert_eq!(ledger.done(), Position { record: 2, offset: 30 });
    }
}
