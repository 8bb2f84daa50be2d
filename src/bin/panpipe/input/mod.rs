//! From bytes to commands: what `panpipe import` reads.
//!
//! ```text
//! Source ─ Plain ─── Window ──── Parser ──────────────── Input::next ─▶ Step
//! file,    gzip and  chunks in   resp, commands, kv,     numbers, offsets, selection
//! pipe     zstd off  memory      csv, json, templates
//! ```
//!
//! Knows files, formats and templates; refuses to know clusters: who serves a slot and what a server answers is the loader's. A record that
//! cannot be a command is a [`Step::Bad`] with its reason, and the next one follows; where nothing can be trusted any more, an
//! [`InputError`] says what and where. Invariants: memory is a chunk and the largest record; the records of an input, their numbers and
//! their offsets do not depend on how its bytes arrive; no byte of a value becomes syntax.

mod blocks;
mod commands;
mod csv;
mod csv_record;
mod decode;
mod detect;
mod error;
mod fields;
mod found;
mod heads;
mod json;
mod json_fields;
mod key_rule;
mod kv;
mod lines;
mod options;
mod parser;
mod program;
mod quoting;
mod resp;
mod select;
mod source;
mod statement;
mod template;
mod verbs;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use detect::by_name as format_by_name;
pub(crate) use error::InputError;
pub(crate) use found::{Command, Commands, Remake};
pub(crate) use options::{Format, InputArgs, InputOptions};
pub(crate) use source::{Identity, Source};
pub(crate) use verbs::HELP as COMMANDS_HELP;

use decode::Plain;
use found::{Found, Made};
use key_rule::KeyRules;
use parser::Parser;
use select::Selection;
use source::Took;
use window::Window;

/// How long one look at a quiet stream may last where there is nothing else to do.
pub(crate) const LONG_WAIT: Duration = Duration::from_secs(1);

/// What the next piece of work is.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A record, and the commands that it is.
    Record(Record<'a>),
    /// A record that is no command; the next one may be.
    Bad(BadRecord<'a>),
    /// A chunk was read: time for a turn of the client. Ask again.
    Pending,
    /// The writer of the stream has sent nothing new: `Input::wait`, or do something else first.
    Waiting,
    End,
}

/// One record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// From 1, of all records of the input, those included that were not selected.
    pub(crate) number: u64,
    /// Where it begins in the input without its compression.
    pub(crate) offset: u64,
    /// Where the next one begins, or what is between them: the place to go on at.
    pub(crate) end: u64,
    /// Its own bytes. Of a MULTI .. EXEC: its commands, as they go out.
    pub(crate) source: &'a [u8],
    /// At least one.
    pub(crate) commands: Commands<'a>,
}

/// A record that could not be made into commands.
#[derive(Debug)]
pub(crate) struct BadRecord<'a> {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) end: u64,
    /// Its own bytes; the first of them where it was too large to keep.
    pub(crate) source: &'a [u8],
    pub(crate) reason: String,
}

/// A place between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Records before it, good, bad and not selected.
    pub(crate) records: u64,
    /// In the input without its compression.
    pub(crate) offset: u64,
}

/// A line of which no more is kept.
struct Overlong {
    offset: u64,
    /// Its first bytes.
    source: Vec<u8>,
}

/// How many of them.
const OVERLONG_SHOWN_BYTES: usize = 64 * 1024;

fn too_large(limit: usize) -> String {
    format!("the record is larger than {limit} bytes, which is the limit")
}

/// An input that is open.
pub(crate) struct Input {
    plain: Plain,
    window: Window,
    parser: Parser,
    keys: KeyRules,
    made: Made,
    selection: Selection,
    position: Position,
    /// Bytes of the window that the last step showed.
    shown_bytes: usize,
    /// Bytes are read past until this offset.
    discard_until: u64,
    is_discarding: bool,
    record_bytes_max: usize,
    /// A line that is too long, while its end is looked for.
    overlong: Option<Overlong>,
    /// The format, and how it was found.
    pub(crate) format: Format,
    pub(crate) format_found: &'static str,
}

impl Input {
    /// Opens a path, or standard input for `-`; finds out compression and format, and checks everything that the options say against it.
    /// Waits for the first bytes of a stream.
    pub(crate) fn open(options: &InputOptions) -> Result<Input, InputError> {
        Input::from_source(Source::open(&options.path)?, options)
    }

    /// As `open`, of bytes from anywhere.
    pub(crate) fn from_source(source: Source, options: &InputOptions) -> Result<Input, InputError> {
        let name = source.name.clone();
        let mut plain = Plain::open(source)?;
        let mut window = Window::new(options.chunk_bytes, options.record_bytes_max);
        let opened = detect::open(&mut plain, &mut window, options);
        let (format, format_found) = opened.map_err(|error| error.within(&name))?;
        let parser = Parser::open(format, &mut plain, &mut window, options);
        let parser = parser.map_err(|error| error.within(&name))?;
        Ok(Input {
            position: Position { records: 0, offset: window.offset() },
            plain,
            window,
            parser,
            keys: KeyRules::new(),
            made: Made::new(options.slots.is_some()),
            selection: Selection::new(options),
            shown_bytes: 0,
            discard_until: 0,
            is_discarding: false,
            record_bytes_max: options.record_bytes_max,
            overlong: None,
            format,
            format_found,
        })
    }

    /// The next step. What it lends is good until the next call.
    ///
    /// The way of nearly every record is in line: what goes through memory in pieces and is read back at once makes the processor wait.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Step<'_>, InputError> {
        let mut found = None;
        if self.begin() {
            match self.find() {
                Found::Record { before, len } if self.takes(before + len) => {
                    return Ok(Step::Record(self.record(before, len)));
                }
                other => found = Some(other),
            }
        }
        self.next_slowly(found)
    }

    /// Forgets what the last step showed; answers whether the parser is next.
    #[inline(always)]
    fn begin(&mut self) -> bool {
        self.window.consume(self.shown_bytes);
        self.shown_bytes = 0;
        !self.is_discarding && !self.selection.is_done(self.position.records)
    }

    #[inline(always)]
    fn find(&mut self) -> Found {
        self.made.number = self.position.records + 1;
        self.made.offset = self.window.offset();
        let bytes = self.window.bytes();
        self.parser.find(bytes, self.window.at_end, &mut self.keys, &mut self.made)
    }

    /// Counts a record that is not too large, and says whether it is wanted; false of the others says nothing, and does nothing.
    #[inline(always)]
    fn takes(&mut self, bytes: usize) -> bool {
        let takes = bytes <= self.record_bytes_max && self.selection.takes_all(self.position.records + 1);
        if takes {
            self.count(bytes);
        }
        takes
    }

    /// As `next`, of all that can be at the front of the window; `found` already is.
    #[inline(never)]
    fn next_slowly(&mut self, mut found: Option<Found>) -> Result<Step<'_>, InputError> {
        let (before, len) = loop {
            if found.is_none() && !self.begin() {
                if !self.is_discarding {
                    return Ok(Step::End);
                }
                match self.discard()? {
                    Took::Bytes(_) => return Ok(Step::Pending),
                    Took::Waiting => return Ok(Step::Waiting),
                    Took::End => continue,
                }
            }
            let found = found.take().unwrap_or_else(|| self.find());
            match found {
                // Also where the whole of it happens to be in the window: what is too large does not depend on how the bytes arrive.
                Found::Record { before, len } | Found::Bad { before, len, .. }
                    if before + len > self.record_bytes_max =>
                {
                    self.give_up()?;
                }
                Found::Record { before, len } => {
                    self.count(before + len);
                    if self.selection.takes(self.position.records, &mut self.made, self.window.bytes()) {
                        break (before, len);
                    }
                }
                Found::Bad { before, len, reason } => {
                    self.count(before + len);
                    if self.selection.takes_bad(self.position.records) {
                        return Ok(Step::Bad(self.bad(before, len, reason)));
                    }
                }
                Found::Nothing { len } if self.overlong.is_some() => {
                    self.shown_bytes = len;
                    if let Some(overlong) = self.overlong.take_if(|_| !self.parser.is_skipping()) {
                        self.count(len);
                        if self.selection.takes_bad(self.position.records) {
                            return Ok(Step::Bad(self.bad_overlong(overlong)));
                        }
                    }
                }
                Found::Nothing { len } => {
                    self.shown_bytes = len;
                    if !self.parser.is_within() {
                        self.position.offset = self.window.offset() + len as u64;
                    }
                }
                Found::More if self.window.bytes().len() >= self.record_bytes_max => self.give_up()?,
                Found::More => match self.fill()? {
                    Took::Bytes(_) => return Ok(Step::Pending),
                    Took::Waiting => return Ok(Step::Waiting),
                    Took::End => {}
                },
                Found::Fatal { at, reason } => return Err(self.fatal(at, &reason)),
                Found::End => return Ok(Step::End),
            }
        };
        Ok(Step::Record(self.record(before, len)))
    }

    /// A record ends so many bytes behind the window's start.
    #[inline(always)]
    fn count(&mut self, bytes: usize) {
        self.shown_bytes = bytes;
        self.position.records += 1;
        self.position.offset = self.window.offset() + bytes as u64;
    }

    #[inline(always)]
    fn record(&self, before: usize, len: usize) -> Record<'_> {
        let window = self.window.bytes();
        let (offset, source) = self.own(before, len);
        let commands = self.made.commands(window);
        Record { number: self.position.records, offset, end: self.position.offset, source, commands }
    }

    #[inline(never)]
    fn bad(&self, before: usize, len: usize, reason: String) -> BadRecord<'_> {
        let (offset, source) = self.own(before, len);
        BadRecord { number: self.position.records, offset, end: self.position.offset, source, reason }
    }

    /// Where a record begins, and its bytes.
    #[inline(always)]
    fn own(&self, before: usize, len: usize) -> (u64, &[u8]) {
        match self.made.unit_offset {
            Some(offset) => (offset, self.made.buffer.as_slice()),
            None => {
                let own = self.window.bytes().get(before..before + len);
                (self.window.offset() + before as u64, own.unwrap_or_default())
            }
        }
    }

    /// A line that was too long has ended.
    fn bad_overlong(&mut self, overlong: Overlong) -> BadRecord<'_> {
        let Overlong { offset, source } = overlong;
        self.made.clear();
        self.made.buffer = source;
        BadRecord {
            number: self.position.records,
            offset,
            end: self.position.offset,
            source: &self.made.buffer,
            reason: too_large(self.record_bytes_max),
        }
    }

    /// A record is larger than any may be. Of a line the rest can be left out, and only then is it told: who goes on behind it must not find
    /// the rest. Nothing else has an end that can be found.
    fn give_up(&mut self) -> Result<(), InputError> {
        let limit = self.record_bytes_max;
        if !self.parser.skip_line() {
            return Err(self.fatal(0, &too_large(limit)));
        }
        let bytes = self.window.bytes();
        let source = bytes.get(..limit.min(OVERLONG_SHOWN_BYTES)).unwrap_or(bytes).to_vec();
        self.overlong = Some(Overlong { offset: self.window.offset(), source });
        // The rest of the line is left out by the parser.
        self.shown_bytes = limit;
        Ok(())
    }

    fn fill(&mut self) -> Result<Took, InputError> {
        let Position { records, offset } = self.position;
        let filled = self.window.fill(&mut self.plain);
        // How far the records were good.
        filled.map_err(|error| error.within(&format!("behind record {records}, byte {offset}")))
    }

    /// One chunk less until the place where `resume` wants to be; at the place it is the end.
    fn discard(&mut self) -> Result<Took, InputError> {
        let here = self.window.bytes().len() as u64;
        let too_many = self.discard_until - self.window.offset();
        self.window.consume(usize::try_from(here.min(too_many)).unwrap_or(usize::MAX));
        if here >= too_many {
            self.is_discarding = false;
            return Ok(Took::End);
        }
        let took = self.fill()?;
        if took == Took::End {
            return Err(InputError::input(format!(
                "{} ends at byte {}, and the checkpoint is at byte {}: it is another input",
                self.plain.source.name,
                self.window.offset(),
                self.discard_until
            )));
        }
        Ok(took)
    }

    fn fatal(&self, at: usize, reason: &str) -> InputError {
        let place = self.window.offset() + at as u64;
        let number = self.position.records + 1;
        InputError::input(format!("{}: record {number}, byte {place}: {reason}", self.plain.source.name))
    }

    /// Goes on at a place that `Record::end` or `position` named, in a new `Input` of the same bytes and options. What cannot be sought in is
    /// read past, by the next steps. `--skip` and `--max` count from the input's start all the same.
    pub(crate) fn resume(&mut self, position: Position) -> Result<(), InputError> {
        if position.offset > self.position.offset {
            if self.plain.can_seek() {
                self.plain.seek(position.offset)?;
                self.window.restart(position.offset);
            } else {
                self.discard_until = position.offset;
                self.is_discarding = true;
            }
            self.parser.resume();
        }
        self.position = position;
        self.shown_bytes = 0;
        Ok(())
    }

    /// The place behind the last record that `next` showed or left out.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Waits until a stream that had nothing has something, or the time is over.
    pub(crate) fn wait(&self, time: Duration) {
        self.plain.source.wait(time);
    }

    /// Bytes of the file or stream that were made use of, as they lie there, and how many there are, if that is known.
    pub(crate) fn bytes_read(&self) -> (u64, Option<u64>) {
        (self.plain.bytes_used(), self.plain.source.bytes_total)
    }

    /// How much of everything stands before a place, from 0 to 1: by its bytes, of compressed ones as many as it looks like now, or by its
    /// records where `--max` says how many are wanted. Nothing where nobody knows how much there is.
    pub(crate) fn share_of(&self, place: Position) -> Option<f64> {
        let of = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        let by_records = self.selection.last().map(|last| of(place.records, last));
        let decoded = self.window.offset() + self.window.bytes().len() as u64;
        let by_bytes = self
            .plain
            .source
            .bytes_total
            .filter(|_| place.offset <= decoded)
            .map(|total| of(place.offset, decoded) * of(self.plain.bytes_used(), total));
        let share = by_records.into_iter().chain(by_bytes).reduce(f64::max);
        share.map(|share| share.min(1.0))
    }

    /// What makes the command of any record again, where that takes nothing but the record's own bytes and every record is one command.
    pub(crate) fn remake(&self) -> Option<Remake> {
        self.parser.remake()
    }

    /// Records that `--skip`, `--slots` or `--shard` left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.selection.left_out
    }

    /// Whether this is a compressed file that an earlier one was the beginning of: that one was cut off, and its last record was not taken
    /// for whole.
    pub(crate) fn completes(&mut self, bytes: u64, last_hash: u64) -> Result<bool, InputError> {
        if self.plain.compression == decode::Compression::None {
            return Ok(false);
        }
        self.plain.source.begins_with(bytes, last_hash)
    }

    /// What a checkpoint remembers of a file; nothing for a stream.
    pub(crate) fn identity(&mut self) -> Result<Option<Identity>, InputError> {
        self.plain.source.identity()
    }
}
