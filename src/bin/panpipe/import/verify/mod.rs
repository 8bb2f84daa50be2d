//! `--verify`: reads the input once more, and holds what the cluster has against what was written.
//!
//! ```text
//! a round:  input ─▶ checks ─▶ questions, answers ─▶ suspects ◀─ dropped where a later record writes the same place
//!                                                       │
//!           input, from its start ──────────────────────┤ dropped where another record explains them (`past`)
//!                                                       ▼
//!                                                  mismatches
//! ```
//!
//! Several records may write the same key, and the last one counts. So a difference is a suspect until the end of the input. When too many
//! are held the round asks no more, and only looks for who drops them; the next one begins where it stopped. Commands that were rejected are
//! not expected to have done anything. Invariants: memory is bounded, however large the input; what is told as a mismatch has no explanation
//! in the input.

mod check;
mod doings;
mod found;
mod past;
mod rejected;
mod suspects;
mod told;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use panpipe::Client;
use panpipe::resp::reply::ReplyRef;

use super::meter::{Meter, Sample};
use super::quantity::Verify;
use super::signals::Signals;
use crate::failure::{Failure, INTERRUPTED};
use crate::input::{Command, Input, LONG_WAIT, Position, Step};
use check::{Check, Difference, Expected, Place};
use doings::Doing;
pub(super) use found::Verified;
use past::Pasts;
use rejected::Fate;
pub(super) use rejected::Rejected;
use suspects::{Suspect, Suspects};

/// Questions of one flush.
const QUESTIONS: usize = 1000;
const BYTES: usize = 4 << 20;
/// Signals and progress are looked at after so many records.
const RECORDS_PER_LOOK: u64 = 4096;

/// Opens the input, and what was rejected of it, at their beginnings.
pub(super) type Open<'a> = &'a dyn Fn() -> Result<(Input, Rejected), Failure>;

/// Who is told how far it is, and who may end it.
pub(super) struct Watch<'a> {
    pub(super) meter: &'a mut Meter,
    pub(super) signals: &'a Signals,
}

struct Asked {
    record: u64,
    command: String,
    check: Check,
    /// Nothing is asked: the command may have run or not.
    is_sure: bool,
    /// A command with several keys is counted once.
    is_counted: bool,
}

pub(super) struct Verifier<'a> {
    client: &'a mut Client,
    open: Open<'a>,
    watch: Watch<'a>,
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
    suspects: Suspects,
    found: Verified,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(
        client: &'a mut Client,
        (open, watch): (Open<'a>, Watch<'a>),
        verify: Verify,
        records: u64,
        began: Option<Instant>,
        timeout_ms: u64,
    ) -> Self {
        let step = match verify {
            Verify::Sample(wanted) => (records / wanted).max(1),
            _ => 1,
        };
        let found = Verified::of(verify.name());
        let keys_only = verify == Verify::Count;
        Verifier {
            client,
            open,
            watch,
            began,
            timeout_ms,
            keys_only,
            step,
            batch: Vec::new(),
            batch_bytes: 0,
            batch_keys: BTreeSet::new(),
            suspects: Suspects::default(),
            found,
        }
    }

    /// Looks at the whole input.
    pub(super) fn run(mut self) -> Result<Verified, Failure> {
        let mut place = None;
        loop {
            place = self.round(place)?;
            self.explain()?;
            self.found.convict(self.suspects.take());
            if place.is_none() {
                return Ok(self.found);
            }
        }
    }

    /// Asks from a place on until too many differences are held, and looks at what is behind that for who explains them. Answers where it
    /// stopped asking.
    fn round(&mut self, place: Option<Position>) -> Result<Option<Position>, Failure> {
        let (mut input, mut rejected) = (self.open)()?;
        if let Some(place) = place {
            input.resume(place)?;
        }
        let mut stopped = None;
        loop {
            match input.next()? {
                Step::Record(record) => {
                    self.found.records += u64::from(stopped.is_none());
                    for (at, command) in record.commands.enumerate() {
                        let mut fate = || rejected.outcome_of(record.number, at);
                        match stopped {
                            None => self.take(record.number, &command, fate()?)?,
                            Some(_) if self.is_about_suspects(&command) => self.look_at(&command, fate()?),
                            Some(_) => {}
                        }
                    }
                }
                Step::Bad(_) | Step::Pending => {}
                Step::Waiting => input.wait(LONG_WAIT),
                Step::End => break,
            }
            if self.batch.len() >= QUESTIONS || self.batch_bytes >= BYTES {
                self.ask()?;
                if self.suspects.is_full() {
                    stopped = Some(input.position());
                }
            }
            if stopped.is_some() && self.suspects.is_empty() {
                break;
            }
            self.look(&input)?;
        }
        self.ask()?;
        Ok(stopped)
    }

    /// Now and then: somebody may want to know how far it is, or want it to end.
    fn look(&mut self, input: &Input) -> Result<(), Failure> {
        let place = input.position();
        if !place.records.is_multiple_of(RECORDS_PER_LOOK) {
            return Ok(());
        }
        if self.watch.signals.is_asked() {
            let what = "interrupted while verifying; the load itself is complete";
            return Err(Failure::new(INTERRUPTED, what));
        }
        let (share, records, failures) = (input.share_of(place), place.records, self.found.mismatches());
        self.watch.meter.tick(|| Sample { share, records, failures, ..Sample::default() });
        Ok(())
    }

    fn take(&mut self, record: u64, command: &Command<'_>, fate: Fate) -> Result<(), Failure> {
        self.found.rejected += u64::from(fate != Fate::Written);
        let is_sampled = record.is_multiple_of(self.step);
        for doing in doings::of(command, fate, self.keys_only) {
            if doing.is_about_all_keys {
                self.ask()?;
                self.found.overwritten += self.suspects.forget();
            }
            let Doing { name, checks, is_sure, .. } = doing;
            if checks.is_empty() && is_sure && is_sampled && !self.keys_only {
                self.found.not_comparable(&name);
            }
            for (at, check) in checks.into_iter().enumerate() {
                // A record that is not in the sample matters where it writes what an earlier one of the sample should have left.
                if is_sampled || self.is_of_interest(&check.key) {
                    self.batch_bytes += check.key.len() + check.bytes();
                    if self.step > 1 {
                        self.batch_keys.insert(check.key.clone());
                    }
                    let command = name.clone();
                    self.batch.push(Asked { record, command, check, is_sure, is_counted: at == 0 });
                }
            }
        }
        Ok(())
    }

    /// Whether an earlier record's doing at the key is in doubt, or has not been asked for yet.
    fn is_of_interest(&self, key: &[u8]) -> bool {
        self.suspects.has(key) || self.batch_keys.contains(key)
    }

    /// Whether a command may write where something is suspected; in doubt it may.
    fn is_about_suspects(&self, command: &Command<'_>) -> bool {
        command.key_bytes().is_none_or(|key| self.suspects.has(key))
    }

    /// A command that nothing is asked about any more.
    fn look_at(&mut self, command: &Command<'_>, fate: Fate) {
        for doing in doings::of(command, fate, self.keys_only) {
            if doing.is_about_all_keys {
                self.found.overwritten += self.suspects.forget();
            }
            for check in doing.what_is_sure() {
                self.found.overwritten += self.suspects.supersede(&check);
            }
        }
    }

    /// Asks what the batch has collected, and goes through the answers in the order of the input.
    fn ask(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.batch_keys.clear();
        let mut pipe = self.client.pipeline();
        pipe.deadline_ms(self.timeout_ms);
        let question = |asked: &Asked| asked.is_sure.then(|| asked.check.question()).flatten();
        let tickets: Vec<_> =
            batch.iter().map(|asked| question(asked).map(|question| pipe.call::<()>(question))).collect();
        let replies = pipe.flush().map_err(|error| Failure::from_library("verify", &error))?;
        let age = self.began.map(|began| began.elapsed());
        for (asked, ticket) in batch.into_iter().zip(tickets) {
            self.found.overwritten += match asked.is_sure {
                true => self.suspects.supersede(&asked.check),
                false => self.suspects.supersede(&asked.check.untold()),
            };
            match ticket.map(|ticket| replies.reply(ticket)) {
                None => count(&mut self.found, &asked, self.keys_only),
                Some(Ok(reply)) => {
                    judge(&mut self.found, &mut self.suspects, (&asked, self.keys_only), reply, age)
                }
                Some(Err(error)) if error.server().is_some() => {
                    let what = format!("asking for it failed: {error}");
                    let difference = Difference { place: Place::Whole, what, is_absence: false };
                    self.suspects.add(&asked.check.key, asked.suspect(difference));
                }
                Some(Err(error)) => return Err(Failure::from_library("verify", error)),
            }
        }
        Ok(())
    }

    /// Reads the input once more, where something is still suspected.
    fn explain(&mut self) -> Result<(), Failure> {
        if self.suspects.is_empty() {
            return Ok(());
        }
        let mut pasts = Pasts::of(&self.suspects, self.began.map(|began| began.elapsed()));
        let mut expired = BTreeSet::new();
        let (mut input, mut rejected) = (self.open)()?;
        while !self.suspects.is_empty() {
            match input.next()? {
                Step::Record(record) => {
                    for (at, command) in record.commands.enumerate() {
                        if command.key_bytes().is_some_and(|key| !pasts.has(key)) {
                            continue;
                        }
                        let fate = rejected.outcome_of(record.number, at)?;
                        for doing in doings::of(&command, fate, false) {
                            if doing.is_about_all_keys {
                                pasts.forget();
                            }
                            for check in &doing.checks {
                                let suspects = &mut self.suspects;
                                pasts.note(record.number, &doing, check, suspects, |why| {
                                    let is_new =
                                        *why != past::Why::Expired || expired.insert(check.key.clone());
                                    if is_new {
                                        self.found.explained(why);
                                    }
                                });
                            }
                        }
                    }
                }
                Step::Bad(_) | Step::Pending => {}
                Step::Waiting => input.wait(LONG_WAIT),
                Step::End => break,
            }
            self.look(&input)?;
        }
        Ok(())
    }
}

impl Asked {
    fn suspect(&self, difference: Difference) -> Suspect {
        Suspect { record: self.record, command: self.command.clone(), difference }
    }
}

/// What is not asked for is counted by name, or as looked at where keys are all that is asked for.
fn count(found: &mut Verified, asked: &Asked, keys_only: bool) {
    if asked.is_sure && asked.is_counted {
        if keys_only {
            found.compared += 1;
        } else {
            found.not_comparable(&asked.command);
        }
    }
}

fn judge(
    found: &mut Verified,
    suspects: &mut Suspects,
    (asked, keys_only): (&Asked, bool),
    reply: ReplyRef<'_>,
    age: Option<Duration>,
) {
    let check = &asked.check;
    if check.life.is_some_and(|life| life.may_be_over(age)) && check.finds_no_key(reply) {
        // What earlier records of the key have written is gone with it.
        suspects.drop_where(&check.key, |suspect| suspect.difference.is_absence);
        found.expired += 1;
        return;
    }
    if check.expected == Expected::Something {
        count(found, asked, keys_only);
    } else if asked.is_counted {
        found.compared += 1;
    }
    for difference in check.compare(reply) {
        suspects.add(&check.key, asked.suspect(difference));
    }
}
