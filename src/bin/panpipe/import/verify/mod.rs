//! `--verify`: reads the input once more, and holds what the cluster has against what was written.
//!
//! Several records may write the same key, and the last one counts. So a difference is kept until the end of the input, and dropped when a
//! later record writes the same place; what is left is a mismatch. Commands that were rejected are not expected to have done anything.
//! Memory is bounded by the differences that are kept.

mod check;
mod rejected;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use panpipe::Client;
use panpipe::resp::reply::ReplyRef;
use serde_json::{Value, json};

use super::frame;
use super::meter::{Meter, Sample};
use super::quantity::Verify;
use super::signals::Signals;
use crate::failure::{Failure, INTERRUPTED};
use crate::input::{Command, Input, LONG_WAIT, Step};
use crate::output::{Output, excerpt, plural};
use check::{Check, Difference};
pub(super) use rejected::Rejected;

/// Questions of one flush.
const QUESTIONS: usize = 1000;
const BYTES: usize = 4 << 20;
/// Signals and progress are looked at after so many records.
const RECORDS_PER_LOOK: u64 = 4096;
/// Differences that are kept; those beyond are mismatches without a second look.
const KEPT_MAX: usize = 100_000;
const SHOWN_MAX: usize = 10;

/// A difference, and who wrote what should be there.
#[derive(Debug)]
struct Suspect {
    record: u64,
    command: String,
    difference: Difference,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verified {
    kind: String,
    records: u64,
    compared: u64,
    /// Commands that were looked at for their key alone, or not at all, by name.
    not_comparable: BTreeMap<String, u64>,
    expired: u64,
    rejected: u64,
    /// By key.
    suspects: BTreeMap<Vec<u8>, Vec<Suspect>>,
    kept: usize,
    beyond: u64,
}

struct Asked {
    record: u64,
    command: String,
    check: Check,
}

pub(super) struct Verifier<'a> {
    client: &'a mut Client,
    /// Nothing was written before; not known of what an earlier run has written.
    began: Option<Instant>,
    /// The deadline of each flush.
    timeout_ms: u64,
    keys_only: bool,
    /// Every so many-th record.
    step: u64,
    batch: Vec<Asked>,
    batch_bytes: usize,
    /// Keys of the batch, where only some records are looked at.
    batch_keys: BTreeSet<Vec<u8>>,
    found: Verified,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(
        client: &'a mut Client,
        verify: Verify,
        records: u64,
        began: Option<Instant>,
        timeout_ms: u64,
    ) -> Self {
        let step = match verify {
            Verify::Sample(wanted) => (records / wanted).max(1),
            _ => 1,
        };
        let found = Verified { kind: verify.name(), ..Verified::default() };
        let keys_only = verify == Verify::Count;
        Verifier {
            client,
            began,
            timeout_ms,
            keys_only,
            step,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_keys: BTreeSet::new(),
            found,
        }
    }

    /// Reads the input from its beginning to its end.
    pub(super) fn run(
        mut self,
        input: &mut Input,
        mut rejected: Rejected,
        meter: &mut Meter,
        signals: &Signals,
    ) -> Result<Verified, Failure> {
        loop {
            match input.next()? {
                Step::Record(record) => {
                    self.found.records += 1;
                    for (at, command) in record.commands.enumerate() {
                        match rejected.outcome_of(record.number, at)? {
                            rejected::Fate::Written => self.take(record.number, &command),
                            rejected::Fate::NotWritten => self.found.rejected += 1,
                            rejected::Fate::Unknown => {
                                self.found.rejected += 1;
                                self.take_untold(record.number, &command);
                            }
                        }
                    }
                }
                Step::Bad(_) | Step::Pending => {}
                Step::Waiting => input.wait(LONG_WAIT),
                Step::End => break,
            }
            let is_full = self.batch.len() >= QUESTIONS || self.batch_bytes >= BYTES;
            if is_full {
                self.ask()?;
            }
            // A sample asks rarely.
            if is_full || self.found.records.is_multiple_of(RECORDS_PER_LOOK) {
                if signals.is_asked() {
                    return Err(Failure::new(
                        INTERRUPTED,
                        "interrupted while verifying; the load itself is complete",
                    ));
                }
                let (bytes, bytes_total) = input.bytes_read();
                let (records, failures) = (self.found.records, self.found.mismatches());
                meter.tick(|| Sample { bytes, bytes_total, records, failures, ..Sample::default() });
            }
        }
        self.ask()?;
        Ok(self.found)
    }

    fn take(&mut self, record: u64, command: &Command<'_>) {
        let is_sampled = record.is_multiple_of(self.step);
        for words in frame::commands(command.frame) {
            let name =
                String::from_utf8_lossy(words.first().copied().unwrap_or_default()).to_ascii_uppercase();
            for check in Check::of(&words, self.keys_only) {
                // A record that is not in the sample matters where it writes what an earlier one of the sample should have left.
                if is_sampled || self.is_of_interest(&check.key) {
                    self.add(record, name.clone(), check);
                }
            }
        }
    }

    /// Whether an earlier record's doing at the key is in doubt, or has not been asked for yet.
    fn is_of_interest(&self, key: &[u8]) -> bool {
        self.found.suspects.contains_key(key) || self.batch_keys.contains(key)
    }

    /// A command that may have run: nothing said about its keys before it counts any more.
    fn take_untold(&mut self, record: u64, command: &Command<'_>) {
        for words in frame::commands(command.frame) {
            for check in Check::of(&words, self.keys_only) {
                let check = Check { expected: check::Expected::Untold, ..check };
                self.add(record, String::new(), check);
            }
        }
    }

    fn add(&mut self, record: u64, command: String, check: Check) {
        self.batch_bytes += check.key.len() + check.bytes();
        if self.step > 1 {
            self.batch_keys.insert(check.key.clone());
        }
        self.batch.push(Asked { record, command, check });
    }

    /// Asks what the batch has collected, and goes through the answers in the order of the input.
    fn ask(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.batch_keys.clear();
        let mut pipe = self.client.pipeline();
        pipe.deadline_ms(self.timeout_ms);
        let questions = batch.iter().map(|asked| asked.check.question());
        let tickets: Vec<_> =
            questions.map(|question| question.map(|question| pipe.call::<()>(question))).collect();
        let replies = pipe.flush().map_err(|error| Failure::from_library("verify", &error))?;
        let age = self.began.map(|began| began.elapsed());
        for (asked, ticket) in batch.into_iter().zip(tickets) {
            self.found.supersede(&asked.check);
            match ticket.map(|ticket| replies.reply(ticket)) {
                None => self.found.count_untold(&asked.command),
                Some(Ok(reply)) => self.found.judge(asked, reply, age),
                Some(Err(error)) if error.server().is_some() => {
                    let difference =
                        Difference { part: None, what: format!("asking for it failed: {error}") };
                    self.found.suspect(&asked, difference);
                }
                Some(Err(error)) => return Err(Failure::from_library("verify", error)),
            }
        }
        Ok(())
    }
}

impl Verified {
    /// What was said before about places that this writes is out of date.
    fn supersede(&mut self, check: &Check) {
        let Some(suspects) = self.suspects.get_mut(&check.key) else { return };
        let before = suspects.len();
        suspects.retain(|suspect| match &suspect.difference.part {
            Some(part) => !check.is_whole() && !check.is_about(part),
            None => false,
        });
        self.kept -= before - suspects.len();
        if suspects.is_empty() {
            self.suspects.remove(&check.key);
        }
    }

    fn judge(&mut self, asked: Asked, reply: ReplyRef<'_>, age: Option<Duration>) {
        if asked.check.life.is_some_and(|life| life.may_be_over(age)) && asked.check.finds_nothing(reply) {
            self.expired += 1;
            return;
        }
        if asked.check.expected == check::Expected::Something {
            self.count_untold(&asked.command);
        } else {
            self.compared += 1;
        }
        for difference in asked.check.compare(reply) {
            self.suspect(&asked, difference);
        }
    }

    fn count_untold(&mut self, command: &str) {
        if !command.is_empty() && self.kind != Verify::Count.name() {
            *self.not_comparable.entry(command.to_owned()).or_default() += 1;
        } else if !command.is_empty() {
            self.compared += 1;
        }
    }

    fn suspect(&mut self, asked: &Asked, difference: Difference) {
        if self.kept >= KEPT_MAX {
            self.beyond += 1;
            return;
        }
        self.kept += 1;
        let suspect = Suspect { record: asked.record, command: asked.command.clone(), difference };
        self.suspects.entry(asked.check.key.clone()).or_default().push(suspect);
    }

    pub(super) fn mismatches(&self) -> u64 {
        self.kept as u64 + self.beyond
    }

    /// The first ones in the input: record, command, key, part, what.
    fn first(&self) -> Vec<(&Suspect, &[u8])> {
        let mut all: Vec<(&Suspect, &[u8])> = self
            .suspects
            .iter()
            .flat_map(|(key, suspects)| suspects.iter().map(|suspect| (suspect, key.as_slice())))
            .collect();
        all.sort_by_key(|(suspect, _)| suspect.record);
        all.truncate(SHOWN_MAX);
        all
    }

    pub(super) fn print(&self, out: &mut Output) {
        let mut text = format!(
            "Verified ({}): {} compared with the input, {}",
            self.kind,
            plural(self.compared as usize, "command"),
            match self.mismatches() {
                0 => "all as written.".to_owned(),
                some => format!("{} NOT as written.", plural(some as usize, "place")),
            }
        );
        if self.expired > 0 {
            text.push_str(&format!(" {} expired meanwhile.", plural(self.expired as usize, "key")));
        }
        if !self.not_comparable.is_empty() {
            let kinds: Vec<String> =
                self.not_comparable.iter().map(|(name, number)| format!("{name} {number}")).collect();
            text.push_str(&format!(
                " What these leave behind cannot be told from the command alone: {}.",
                kinds.join(", ")
            ));
        }
        out.paragraph(&text);
        for (suspect, key) in self.first() {
            let part = suspect
                .difference
                .part
                .as_deref()
                .map_or(String::new(), |part| format!(" {}", excerpt(part)));
            out.labelled(
                &format!("  record {}: ", suspect.record),
                &format!("{} {}{part}: {}", suspect.command, excerpt(key), suspect.difference.what),
            );
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let first = |(suspect, key): &(&Suspect, &[u8])| {
            json!({
                "record": suspect.record,
                "command": suspect.command,
                "key": String::from_utf8_lossy(key),
                "part": suspect.difference.part.as_deref().map(String::from_utf8_lossy),
                "what": suspect.difference.what,
            })
        };
        json!({
            "kind": self.kind,
            "records": self.records,
            "commands_compared": self.compared,
            "commands_not_comparable": self.not_comparable,
            "commands_rejected": self.rejected,
            "keys_expired": self.expired,
            "mismatches": self.mismatches(),
            "first": self.first().iter().map(first).collect::<Vec<_>>(),
        })
    }
}
