//! Which commands must keep their order: those that share a key, unless both only read.
//!
//! Nothing of this is known while all goes well. Where a command was refused, its keys are read off its encoded bytes, which are kept until
//! its reply is in anyway; a command whose keys cannot be told shares them all. Keys are compared by a hash of 64 bits: two that fall
//! together only keep an order that nobody asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::command::inspect;
use crate::engine::send_queue::CommandBytes;

/// What a command touches within its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// `None`: all keys of the slot, as far as can be told.
    keys: Option<SmallVec<[u64; 2]>>,
    pub(crate) read_only: bool,
}

impl Footprint {
    /// Of a command in its wire form, without ASKING; of a unit, those of all its commands.
    pub(crate) fn of(bytes: &CommandBytes, read_only: bool, is_whole: bool) -> Self {
        let mut keys: SmallVec<[u64; 2]> = SmallVec::new();
        let mut is_known = false;
        // A build that breaks the rule looks at MULTI and the first command behind it.
        for (words, _) in commands_of(bytes).take(if is_whole { usize::MAX } else { 2 }) {
            let views: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
            let Some(places) = inspect(&views).keys else { return Footprint::everything(read_only) };
            keys.extend(places.iter().filter_map(|&at| views.get(at)).map(|key| hash(key)));
            is_known = true;
        }
        keys.sort_unstable();
        keys.dedup();
        Footprint { keys: is_known.then_some(keys), read_only }
    }

    /// Of a command that shares its keys with everybody.
    pub(crate) fn everything(read_only: bool) -> Self {
        Footprint { keys: None, read_only }
    }

    /// Whether a migrating slot can have a part of it here and a part there.
    pub(crate) fn has_several_keys(&self) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.len() > 1)
    }
}

/// Footprints of several commands, to hold others against.
#[derive(Debug, Default)]
pub(crate) struct Footprints {
    /// With whether one of those that touch the key writes.
    keys: BTreeMap<u64, bool>,
    /// A command that touches everything is among them, and whether one of those writes.
    everything: Option<bool>,
    any: bool,
    any_writes: bool,
}

impl Footprints {
    pub(crate) fn add(&mut self, footprint: &Footprint) {
        let writes = !footprint.read_only;
        self.any = true;
        self.any_writes |= writes;
        match &footprint.keys {
            None => *self.everything.get_or_insert(false) |= writes,
            Some(keys) => {
                for &key in keys {
                    *self.keys.entry(key).or_insert(false) |= writes;
                }
            }
        }
    }

    /// Whether the order between this command and one of those matters.
    pub(crate) fn conflicts(&self, footprint: &Footprint) -> bool {
        let matters = |writes: bool| writes || !footprint.read_only;
        if self.everything.is_some_and(matters) {
            return true;
        }
        match &footprint.keys {
            None => self.any && matters(self.any_writes),
            Some(keys) => keys.iter().any(|key| self.keys.get(key).copied().is_some_and(matters)),
        }
    }
}

/// FNV-1a, and a last mix.
fn hash(key: &[u8]) -> u64 {
    let folded = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The words of an encoded command; empty where it is none.
pub(crate) fn words_of(bytes: &CommandBytes) -> Vec<Cow<'_, [u8]>> {
    commands_of(bytes).next().map_or_else(Vec::new, |(words, _)| words)
}

/// The commands that are encoded there, one after the other: their words, and how long each is. Only a word that lies across two pieces is
/// copied: large arguments have a piece of their own.
pub(crate) fn commands_of(bytes: &CommandBytes) -> impl Iterator<Item = (Vec<Cow<'_, [u8]>>, usize)> {
    let mut reader = Reader { pieces: bytes, piece: 0, at: 0, taken: 0 };
    std::iter::from_fn(move || {
        let before = reader.taken;
        let words = reader.command()?;
        Some((words, reader.taken - before))
    })
}

/// Reads through the pieces as if they were one.
struct Reader<'a> {
    pieces: &'a CommandBytes,
    piece: usize,
    at: usize,
    /// Bytes that were read.
    taken: usize,
}

impl<'a> Reader<'a> {
    fn command(&mut self) -> Option<Vec<Cow<'a, [u8]>>> {
        let count = self.number(b'*')?;
        let mut words = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let len = self.number(b'$')?;
            words.push(self.take(len)?);
            self.take(2)?;
        }
        Some(words)
    }

    fn take(&mut self, len: usize) -> Option<Cow<'a, [u8]>> {
        let mut taken = Cow::Borrowed(&[][..]);
        while taken.len() < len {
            let rest = self.pieces.get(self.piece)?.get(self.at..)?;
            let part = rest.get(..len - taken.len()).unwrap_or(rest);
            if taken.is_empty() {
                taken = Cow::Borrowed(part);
            } else {
                taken.to_mut().extend_from_slice(part);
            }
            self.at += part.len();
            self.taken += part.len();
            if part.len() == rest.len() {
                self.piece += 1;
                self.at = 0;
            }
        }
        Some(taken)
    }

    /// A header's number.
    fn number(&mut self, mark: u8) -> Option<usize> {
        if self.take(1)?.as_ref() != [mark] {
            return None;
        }
        let mut number = 0usize;
        loop {
            match self.take(1)?.as_ref() {
                [digit @ b'0'..=b'9'] => {
                    number = number.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
                }
                [b'\r'] => return (self.take(1)?.as_ref() == b"\n").then_some(number),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::smallvec;

    use super::*;

    fn command(words: &[&str]) -> Bytes {
        let mut out = format!("*{}\r\n", words.len());
        for word in words {
            out += &format!("${}\r\n{word}\r\n", word.len());
        }
        Bytes::from(out)
    }

    fn footprint(words: &[&str]) -> Footprint {
        Footprint::of(&smallvec![command(words)], words[0] == "GET" || words[0] == "EXISTS", true)
    }

    fn conflict(x: &[&str], y: &[&str]) -> bool {
        let one_way = |x: &[&str], y: &[&str]| {
            let mut footprints = Footprints::default();
            footprints.add(&footprint(x));
            footprints.conflicts(&footprint(y))
        };
        assert_eq!(one_way(x, y), one_way(y, x), "order matters to both or to none: {x:?} {y:?}");
        one_way(x, y)
    }

    #[test]
    fn commands_that_share_a_key_conflict_unless_both_read() {
        assert!(conflict(&["SET", "a", "1"], &["GET", "a"]));
        assert!(conflict(&["SET", "a", "1"], &["SET", "a", "2"]));
        assert!(!conflict(&["GET", "a"], &["GET", "a"]));
        assert!(!conflict(&["SET", "a", "1"], &["SET", "b", "2"]));
        assert!(!conflict(&["SET", "a", "b"], &["SET", "b", "a"]), "values are no keys");
        assert!(conflict(&["MSET", "a", "1", "b", "2"], &["GET", "b"]));
        assert!(!conflict(&["EXISTS", "a", "b"], &["GET", "b"]));
    }

    #[test]
    fn a_command_whose_keys_cannot_be_told_conflicts_with_all_but_reads_among_themselves() {
        assert!(conflict(&["NEW.COMMAND", "a"], &["GET", "b"]));
        assert!(conflict(&["NEW.COMMAND", "a"], &["OTHER.COMMAND", "b"]));
        let mut reads = Footprints::default();
        reads.add(&Footprint::everything(true));
        assert!(!reads.conflicts(&footprint(&["GET", "b"])));
        assert!(reads.conflicts(&footprint(&["SET", "b", "1"])));
        assert!(
            !Footprints::default().conflicts(&Footprint::everything(false)),
            "with nothing there is no conflict"
        );
    }

    #[test]
    fn words_are_found_wherever_the_pieces_are_cut() {
        let whole = command(&["SET", "key", "", "a longer value\r\n$3\r\n"]);
        let one_piece: CommandBytes = smallvec![whole.clone()];
        let expected = words_of(&one_piece);
        assert_eq!(expected.len(), 4);
        let step = if cfg!(miri) { 9 } else { 1 };
        for first in (0..=whole.len()).step_by(step) {
            for second in (first..=whole.len()).step_by(step) {
                let pieces: CommandBytes =
                    smallvec![whole.slice(..first), whole.slice(first..second), whole.slice(second..)];
                assert_eq!(words_of(&pieces), expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_no_command_has_no_words() {
        for bytes in
            ["", "*", "*1", "*1\r\n", "*1\r\n$3\r\nab", "+OK\r\n", "*1\r\n$99999999999999999999999\r\n"]
        {
            assert!(words_of(&smallvec![Bytes::from(bytes)]).is_empty(), "{bytes}");
        }
    }
}
