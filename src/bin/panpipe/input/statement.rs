//! Commands about commands: SELECT is dropped or refused, MULTI .. EXEC becomes one record.
//!
//! Knows encoded commands, one at a time. Invariant: a unit is handed over whole and with the keys of one slot, or not at all.

use std::ops::Range;

use panpipe::resp::encode::{put_array_header, put_bulk};

use crate::input::found::{Found, Made, Span};
use crate::input::key_rule::{Bracket, KeyRule, KeyRules, KeySlot};
use crate::input::quoting::Words;

/// What is between MULTI and EXEC.
struct Unit {
    frames: Vec<u8>,
    /// Where MULTI stands in the input.
    offset: u64,
    slot: Option<u16>,
    key: Option<Range<usize>>,
    /// Why it cannot be sent.
    wrong: Option<String>,
}

/// Where in a transaction the input is.
pub(crate) struct Statement {
    unit: Option<Unit>,
    unit_bytes_max: usize,
}

impl Statement {
    pub(crate) fn new(unit_bytes_max: usize) -> Statement {
        Statement { unit: None, unit_bytes_max }
    }

    #[inline(always)]
    pub(crate) fn is_within(&self) -> bool {
        self.unit.is_some()
    }

    /// A line that is no command: between MULTI and EXEC it spoils the whole, as a server would not run it either.
    pub(crate) fn take_unreadable(&mut self, len: usize, reason: String) -> Found {
        match &mut self.unit {
            Some(unit) => {
                unit.wrong.get_or_insert(format!("MULTI .. EXEC with a line that cannot be read: {reason}"));
                Found::Nothing { len }
            }
            None => Found::bad(0, len, reason),
        }
    }

    /// Takes the command that was written to `made.buffer`; `len` bytes of the input are it.
    pub(crate) fn take_written(&mut self, len: usize, keys: &mut KeyRules, made: &mut Made) -> Found {
        let frame = std::mem::take(&mut made.buffer);
        let rule = words_of(&frame).first().map_or(KeyRule::Unknown, |name| keys.rule(name));
        let found = self.take(&frame, len, rule, keys, made);
        if made.unit_offset.is_none() {
            made.buffer = frame;
            made.in_buffer = true;
        }
        found
    }

    /// Takes one command.
    #[inline(never)]
    pub(crate) fn take(
        &mut self,
        frame: &[u8],
        len: usize,
        rule: KeyRule,
        keys: &mut KeyRules,
        made: &mut Made,
    ) -> Found {
        made.clear();
        let KeyRule::Bracket(bracket) = rule else {
            return match &mut self.unit {
                Some(unit) => {
                    unit.add(frame, keys, self.unit_bytes_max);
                    Found::Nothing { len }
                }
                None => {
                    let key = key_of(frame, rule, keys, made.wants_keys);
                    made.spans.push(Span { frame: 0..frame.len(), key, is_unit: false });
                    Found::Record { before: 0, len }
                }
            };
        };
        match (bracket, self.unit.take()) {
            (Bracket::Select, unit) => {
                self.unit = unit;
                select(frame, len)
            }
            (Bracket::Multi, None) => {
                let unit =
                    Unit { frames: frame.to_vec(), offset: made.offset, slot: None, key: None, wrong: None };
                self.unit = Some(unit);
                Found::Nothing { len }
            }
            (Bracket::Multi, Some(mut unit)) => {
                unit.wrong.get_or_insert_with(|| "MULTI within MULTI".to_owned());
                self.unit = Some(unit);
                Found::Nothing { len }
            }
            (Bracket::Exec, Some(mut unit)) => {
                unit.frames.extend_from_slice(frame);
                unit.finish(len, made)
            }
            // As a server does: what was between them has not happened.
            (Bracket::Discard, Some(_)) => Found::Nothing { len },
            (Bracket::Exec, None) => Found::bad(0, len, "EXEC without MULTI"),
            (Bracket::Discard, None) => Found::bad(0, len, "DISCARD without MULTI"),
        }
    }

    /// The input ends here.
    pub(crate) fn end(&mut self, made: &mut Made) -> Found {
        let Some(mut unit) = self.unit.take() else { return Found::End };
        let why = "the input ends between MULTI and EXEC; like a server that reads its own file, this leaves the commands out";
        unit.wrong = Some(why.to_owned());
        unit.finish(0, made)
    }
}

impl Unit {
    fn add(&mut self, frame: &[u8], keys: &mut KeyRules, bytes_max: usize) {
        if self.frames.len() + frame.len() > bytes_max {
            self.wrong = Some(format!("MULTI .. EXEC larger than {bytes_max} bytes, which is the limit"));
            return;
        }
        let start = self.frames.len();
        self.frames.extend_from_slice(frame);
        let words = words_of(frame);
        match keys.slot(&words) {
            KeySlot::Keyless => {}
            KeySlot::Unknown => {
                let name = words.first().map_or("", |name| std::str::from_utf8(name).unwrap_or("?"));
                let wrong = format!("MULTI .. EXEC with {name}, whose keys are not known");
                self.wrong.get_or_insert(wrong);
            }
            KeySlot::One(slot) if self.slot.is_none_or(|other| other == slot) => {
                self.slot = Some(slot);
                if self.key.is_none() {
                    let key = first_key(frame, keys);
                    self.key = key.map(|key| start + key.start..start + key.end);
                }
            }
            KeySlot::One(_) | KeySlot::Several => {
                let wrong = "MULTI .. EXEC over keys of several slots: no node has them all";
                self.wrong.get_or_insert_with(|| wrong.to_owned());
            }
        }
    }

    fn finish(self, len: usize, made: &mut Made) -> Found {
        made.buffer = self.frames;
        made.in_buffer = true;
        made.unit_offset = Some(self.offset);
        match self.wrong {
            Some(reason) => Found::bad(0, len, reason),
            None => {
                made.spans.push(Span { frame: 0..made.buffer.len(), key: self.key, is_unit: true });
                Found::Record { before: 0, len }
            }
        }
    }
}

fn select(frame: &[u8], len: usize) -> Found {
    match words_of(frame).get(1).copied() {
        Some(b"0") => Found::Nothing { len },
        database => {
            let database = crate::output::excerpt(database.unwrap_or_default());
            Found::fatal(
                0,
                format!(
                    "SELECT {database}: a cluster has database 0 only, and what follows is for another one"
                ),
            )
        }
    }
}

/// The first key of a command, where it is told by its name or somebody asks.
fn key_of(frame: &[u8], rule: KeyRule, keys: &mut KeyRules, wants_keys: bool) -> Option<Range<usize>> {
    let asked = wants_keys || matches!(rule, KeyRule::First);
    asked.then(|| first_key(frame, keys))?
}

/// The first key of a command.
pub(crate) fn first_key(frame: &[u8], keys: &mut KeyRules) -> Option<Range<usize>> {
    let words = words_of(frame);
    let at = *keys.positions(&words)?.first()?;
    let key = words.get(at)?;
    // A word is a part of the frame.
    let start = key.as_ptr().addr() - frame.as_ptr().addr();
    Some(start..start + key.len())
}

/// The words of a command that is known to be well formed.
pub(crate) fn words_of(frame: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = line(frame).map_or(&[][..], |(_, rest)| rest);
    while let Some((header, behind)) = line(rest) {
        let len =
            std::str::from_utf8(header.get(1..).unwrap_or_default()).ok().and_then(|len| len.parse().ok());
        let Some((word, behind)) = len.and_then(|len: usize| behind.split_at_checked(len)) else { break };
        words.push(word);
        rest = behind.get(2..).unwrap_or_default();
    }
    words
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\r', bytes)?;
    Some((&bytes[..end], bytes.get(end + 2..)?))
}

/// Writes words as a command.
pub(crate) fn encode(words: &Words, out: &mut Vec<u8>) {
    put_array_header(out, words.ends.len());
    for word in words.iter() {
        put_bulk(out, word);
    }
}
