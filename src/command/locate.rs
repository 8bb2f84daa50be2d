//! Finding the keys of a command, the way the server does (`getKeysFromCommand` in its `db.c`).

use crate::command::Keys;
use crate::command::request::WordList;
use crate::command::spec::{KeySpec, StoreOption};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Located {
    /// The keys (or the slot).
    Keys(Keys<'static>),
    /// The command is complete without keys: PING, a script over no keys.
    Keyless,
    /// The command has keys, and they are not where they should be.
    Missing,
    /// These are the keys, and an option makes it a blocking command.
    Blocking(Keys<'static>),
}

/// Looks where `spec` says.
pub(crate) fn locate<'a>(spec: KeySpec, words: impl WordList<'a>) -> Located {
    match spec {
        KeySpec::None => Located::Keyless,
        KeySpec::Range { first, last, step } => range(first, last, step, words.len()),
        KeySpec::Counted { at, step } => match number(words, at) {
            Some(0) => Located::Keyless,
            Some(count) => behind(at, step, count, words.len(), None),
            None => Located::Missing,
        },
        KeySpec::FirstAndCounted { at } => match number(words, at) {
            Some(count) => behind(at, 1, count, words.len(), Some(0)),
            None => Located::Missing,
        },
        KeySpec::FirstAndStore(option) => first_and_store(option, words),
        KeySpec::Streams => streams(words),
        KeySpec::Migrate => migrate(words),
        KeySpec::SlotNumber { at } => match number(words, at) {
            // A number that no slot can have is left to the plan to refuse.
            Some(slot) => Located::Keys(Keys::InSlot(u16::try_from(slot).unwrap_or(u16::MAX))),
            None => Located::Missing,
        },
    }
}

fn range(first: usize, last: isize, step: usize, args: usize) -> Located {
    // One past the last key.
    let end = match usize::try_from(last) {
        Ok(last) => args.min(last.saturating_add(1)),
        Err(_) => args.saturating_sub(last.unsigned_abs() - 1),
    };
    let count = end.saturating_sub(first).div_ceil(step);
    if count == 0 { Located::Missing } else { Located::Keys(Keys::Range { first, step, count }) }
}

/// `count` keys behind argument `at`, all of which must be there.
fn behind(at: usize, step: usize, count: usize, args: usize, one: Option<usize>) -> Located {
    let first = at + 1;
    if count.checked_mul(step).is_none_or(|needed| needed > args.saturating_sub(first)) {
        return Located::Missing;
    }
    Located::Keys(match one {
        Some(one) => Keys::OneAndRange { one, first, step, count },
        None => Keys::Range { first, step, count },
    })
}

fn first_and_store<'a>(option: &StoreOption, words: impl WordList<'a>) -> Located {
    if words.len() == 0 {
        return Located::Missing;
    }
    let mut destination = None;
    let mut at = option.from;
    while let Some(word) = words.get(at) {
        at += 1;
        if option.store.iter().any(|store| word.eq_ignore_ascii_case(store.as_bytes())) {
            // Given twice, the last counts.
            destination = (at < words.len()).then_some(at).or(destination);
            at += 1;
        } else {
            at += values_of(word, option.skip);
        }
    }
    Located::Keys(match destination {
        Some(first) => Keys::OneAndRange { one: 0, first, step: 1, count: 1 },
        None => Keys::FIRST,
    })
}

/// How many values an option has.
fn values_of(word: &[u8], options: &[(&str, usize)]) -> usize {
    let found = options.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map_or(0, |(_, values)| *values)
}

/// The options of XREAD and XREADGROUP that have values.
const STREAM_OPTIONS: &[(&str, usize)] = &[("BLOCK", 1), ("COUNT", 1), ("GROUP", 2), ("CLAIM", 1)];

fn streams<'a>(words: impl WordList<'a>) -> Located {
    let mut at = 0;
    let mut blocks = false;
    while let Some(word) = words.get(at) {
        at += 1;
        if word.eq_ignore_ascii_case(b"STREAMS") {
            // As many identifiers follow the keys as there are keys.
            let count = (words.len() - at) / 2;
            let keys = Keys::Range { first: at, step: 1, count };
            return match count {
                0 => Located::Missing,
                _ if blocks => Located::Blocking(keys),
                _ => Located::Keys(keys),
            };
        }
        blocks |= word.eq_ignore_ascii_case(b"BLOCK");
        at += values_of(word, STREAM_OPTIONS);
    }
    Located::Missing
}

/// The options of MIGRATE that have values.
const MIGRATE_OPTIONS: &[(&str, usize)] = &[("AUTH", 1), ("AUTH2", 2)];

fn migrate<'a>(words: impl WordList<'a>) -> Located {
    const KEY: usize = 2;
    const OPTIONS: usize = 5;
    match words.get(KEY) {
        None => return Located::Missing,
        Some(b"") => {}
        Some(_) => return Located::Keys(Keys::Range { first: KEY, step: 1, count: 1 }),
    }
    let mut at = OPTIONS;
    while let Some(word) = words.get(at) {
        at += 1;
        if word.eq_ignore_ascii_case(b"KEYS") {
            return behind(at - 1, 1, words.len() - at, words.len(), None);
        }
        at += values_of(word, MIGRATE_OPTIONS);
    }
    // An empty key is a key.
    Located::Keys(Keys::Range { first: KEY, step: 1, count: 1 })
}

/// The number that an argument holds.
fn number<'a>(words: impl WordList<'a>, at: usize) -> Option<usize> {
    std::str::from_utf8(words.get(at)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
