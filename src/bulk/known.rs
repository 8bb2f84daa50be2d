//! Where a command that is encoded already goes: by its name and words, from the table of commands.
//!
//! A load has few kinds of commands, and nearly always the next is of a kind that was seen just before: those are remembered. Knows names;
//! refuses to know nodes. Invariant: what the raw door of the library refuses is refused here.

use std::ops::Range;

use crate::bulk::frame::{self, Frame, Head};
use crate::command::spec::{self, Admission, KeySpec};
use crate::command::{Cmd, cmd, retry};
use crate::error::{Error, ErrorKind, Result};

/// Names longer than this are looked up each time.
const NAME_BYTES_MAX: usize = 15;
/// Kinds that are remembered.
const KINDS: usize = 4;

/// What the engine wants to know of a command whose only key is its first argument.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kind {
    /// As messages have it.
    pub(super) name: &'static str,
    pub(super) flags: u8,
}

/// A kind, and what its commands look like.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    kind: Kind,
    name: [u8; NAME_BYTES_MAX],
    name_len: u8,
    /// The first argument is the only key as long as there are no more words than this.
    words_max: usize,
    /// How one began for which that held.
    head: Head,
}

/// The kinds that were seen last.
#[derive(Debug, Default)]
pub(super) struct Known {
    rows: [Row; KINDS],
    /// The oldest.
    next: usize,
}

impl Known {
    /// A command that begins like one before: its kind and its first argument, which is its only key; nothing is to be said against it. `None`
    /// says nothing.
    #[inline(always)]
    pub(super) fn behind_head(&self, bytes: &[u8]) -> Option<(Kind, Range<usize>)> {
        let front = bytes.first_chunk()?;
        let row = self.rows.iter().find(|row| row.head.is_front(front))?;
        Some((row.kind, row.head.first_behind(bytes)?))
    }

    /// The kind of a command whose first argument is its only key, with nothing to be said against it. If so, it is remembered how it begins.
    pub(super) fn one_key(&mut self, bytes: &[u8], frame: &Frame) -> Option<Kind> {
        let name = bytes.get(frame.name.clone()).unwrap_or_default();
        let is_it = |row: &Row| row.words_max > 0 && row.name.get(..usize::from(row.name_len)) == Some(name);
        if !self.rows.iter().any(is_it) {
            *self.rows.get_mut(self.next)? = Row::of(name)?;
            self.next = (self.next + 1) % KINDS;
        }
        let row = self.rows.iter_mut().find(|row| is_it(row))?;
        if frame.words < 2 || frame.words > row.words_max {
            return None;
        }
        row.head = Head::of(bytes, frame).unwrap_or_default();
        Some(row.kind)
    }
}

impl Row {
    /// Nothing for commands that have more or other keys, or none, or are none of a load's.
    #[cold]
    fn of(name: &[u8]) -> Option<Row> {
        let spec = spec::lookup_bytes(name, None)?;
        if spec.container || spec.admission != Admission::Open {
            return None;
        }
        let words_max = match spec.keys {
            KeySpec::Range { first: 0, last: 0, .. } => usize::MAX,
            // As many words as one group has: DEL with one key, MSET with one pair.
            KeySpec::Range { first: 0, last: -1, step } => 1 + step,
            _ => return None,
        };
        let kind = Kind { name: spec.name(), flags: spec.flags & retry::READ_ONLY };
        let mut row = Row { kind, name_len: name.len() as u8, words_max, ..Row::default() };
        row.name.get_mut(..name.len())?.copy_from_slice(name);
        Some(row)
    }
}

/// The command as the raw door of the library takes it. `keys` says that the first argument is a key, where nobody else does.
pub(super) fn rebuild(bytes: &[u8], frame: &Frame, key: Option<&[u8]>) -> Result<Cmd> {
    let name = bytes.get(frame.name.clone()).unwrap_or_default();
    let text = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        let command = name.escape_ascii().to_string();
        return Err(Error::not_executed(ErrorKind::UnknownCommand { command }));
    };
    let mut command = cmd(text);
    let mut marked = key.is_none();
    for word in frame::words(bytes).iter().skip(1) {
        let is_key = !marked && key.is_some_and(|key| std::ptr::eq(key, *word));
        marked |= is_key;
        command = if is_key { command.key(*word) } else { command.arg(*word) };
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        words.iter().for_each(|word| bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes()));
        bytes
    }

    /// By its beginning, or read as a whole.
    fn kind(known: &mut Known, bytes: &[u8]) -> Option<&'static str> {
        let read = known.one_key(bytes, &frame::parse(bytes)?).map(|kind| kind.name);
        if let Some((kind, first)) = known.behind_head(bytes) {
            assert_eq!((Some(kind.name), frame::parse(bytes)?.first), (read, Some(first)));
        }
        read
    }

    #[test]
    fn kinds_come_and_go_and_are_not_taken_for_each_other() {
        let mut known = Known::default();
        for _ in 0..3 {
            for (words, name) in [
                (&["SET", "k", "v"][..], Some("SET")),
                (&["set", "k", "v", "EX", "10"], Some("SET")),
                (&["EXPIRE", "k", "10"], Some("EXPIRE")),
                (&["DEL", "k"], Some("DEL")),
                (&["DEL", "k", "l"], None),
                (&["GET", "k"], Some("GET")),
                (&["MSET", "k", "v"], Some("MSET")),
                (&["MSET", "k", "v", "l", "w"], None),
                (&["PEXPIREAT", "k", "10"], Some("PEXPIREAT")),
                (&["EVAL", "return 1", "0"], None),
                (&["MULTI"], None),
                (&["NOSUCH", "k"], None),
            ] {
                assert_eq!(kind(&mut known, &command(words)), name, "{words:?}");
            }
        }
        let set = command(&["SET", "k", "v"]);
        assert_eq!(kind(&mut known, &set), Some("SET"));
        assert!(known.behind_head(&set).is_some(), "it is remembered");
    }
}
