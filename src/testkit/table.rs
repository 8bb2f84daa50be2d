//! The commands the model knows: name → arity, flags, key positions, handler.
//!
//! Each file of commands brings its own table; this module merges them and answers questions about one entry. It
//! knows nothing about what the commands do. Arity, flags and key positions are those of `COMMAND INFO` of a real
//! server, which the differential test compares.

use std::collections::HashMap;
use std::ops::{BitOr, Range};
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::dispatch::Exec;
use super::keyspace::Keyspace;
use super::reply::{Done, Reply};

/// Properties of a command that decide when the server refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const NONE: Flags = Flags(0);
    pub(crate) const READ: Flags = Flags(1);
    pub(crate) const WRITE: Flags = Flags(1 << 1);
    /// Refused when the memory limit is reached.
    pub(crate) const DENY_OOM: Flags = Flags(1 << 2);
    /// Runs while the data set is loading.
    pub(crate) const LOADING: Flags = Flags(1 << 3);
    /// Runs on a replica that has lost its primary.
    pub(crate) const STALE: Flags = Flags(1 << 4);
    /// Runs without authentication.
    pub(crate) const NO_AUTH: Flags = Flags(1 << 5);
    /// Runs while a script blocks the server.
    pub(crate) const ALLOW_BUSY: Flags = Flags(1 << 6);
    /// Never queued by MULTI.
    pub(crate) const NOT_QUEUED: Flags = Flags(1 << 7);
    /// A write that may create or grow a key.
    pub(crate) const GROW: Flags = Flags::WRITE.and(Flags::DENY_OOM);
    /// Answers in every state of the data set.
    pub(crate) const ANY_STATE: Flags = Flags::LOADING.and(Flags::STALE);

    pub(crate) const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub(crate) const fn intersection(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.and(other)
    }
}

/// Where the keys stand among the arguments: first, last (negative: from the end), step. First 0: no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyPositions {
    pub(crate) first: usize,
    pub(crate) last: isize,
    pub(crate) step: usize,
}

/// A handler of a command that touches nothing but keys.
pub(crate) type KeysHandler = fn(&mut Keyspace, &[&[u8]], &mut Reply<'_>) -> Done;
/// A handler of a command about the connection, the node or the cluster.
pub(crate) type NodeHandler = fn(&mut Exec<'_>, &[&[u8]], &mut Reply<'_>) -> Done;

/// What runs a command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    Keys(KeysHandler),
    Node(NodeHandler),
    /// A container: the second word picks the entry.
    Container(&'static [Command]),
}

/// One entry of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    /// Lower case; `container|subcommand` for a subcommand.
    pub(crate) name: &'static str,
    /// Words of a request: exactly this many, or at least its negation.
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    pub(crate) keys: KeyPositions,
    pub(crate) handler: Handler,
}

/// The key positions of a command without keys.
pub(crate) const NO_KEYS: (usize, isize, usize) = (0, 0, 0);
/// The first argument is the only key.
pub(crate) const ONE_KEY: (usize, isize, usize) = (1, 1, 1);
/// Every argument is a key.
pub(crate) const ALL_KEYS: (usize, isize, usize) = (1, -1, 1);

impl Command {
    const fn new(
        name: &'static str,
        arity: i32,
        flags: Flags,
        keys: (usize, isize, usize),
        handler: Handler,
    ) -> Self {
        let keys = KeyPositions { first: keys.0, last: keys.1, step: keys.2 };
        Command { name, arity, flags, keys, handler }
    }

    /// A command that touches nothing but keys.
    pub(crate) const fn keys(
        name: &'static str,
        arity: i32,
        flags: Flags,
        keys: (usize, isize, usize),
        handler: KeysHandler,
    ) -> Self {
        Command::new(name, arity, flags, keys, Handler::Keys(handler))
    }

    /// A command about the connection, the node or the cluster.
    pub(crate) const fn node(name: &'static str, arity: i32, flags: Flags, handler: NodeHandler) -> Self {
        Command::new(name, arity, flags, NO_KEYS, Handler::Node(handler))
    }

    /// A node command that names keys.
    pub(crate) const fn node_keys(
        name: &'static str,
        arity: i32,
        flags: Flags,
        keys: (usize, isize, usize),
        handler: NodeHandler,
    ) -> Self {
        Command::new(name, arity, flags, keys, Handler::Node(handler))
    }

    /// A command whose second word picks one of `subcommands`.
    pub(crate) const fn container(name: &'static str, subcommands: &'static [Command]) -> Self {
        Command::new(name, -2, Flags::NONE, NO_KEYS, Handler::Container(subcommands))
    }

    pub(crate) fn accepts(&self, words: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= least } else { words == least }
    }

    /// The keys of a request.
    pub(crate) fn keys_of<'a, W: AsRef<[u8]>>(&self, words: &'a [W]) -> SmallVec<[&'a [u8]; 8]> {
        if self.name == "migrate" {
            return migrate_keys(words);
        }
        let KeyPositions { first, last, step } = self.keys;
        if first == 0 || words.len() <= first {
            return SmallVec::new();
        }
        let last = if last < 0 { words.len().saturating_add_signed(last) } else { last.unsigned_abs() };
        let Range { start, end } = first..(last + 1).min(words.len());
        words[start.min(end)..end].iter().step_by(step).map(AsRef::as_ref).collect()
    }

    /// The subcommand a request names, for a container.
    pub(crate) fn subcommand(&self, word: &[u8]) -> Option<&'static Command> {
        let Handler::Container(subcommands) = self.handler else { return None };
        let matches = |command: &&Command| {
            command.name.split_once('|').is_some_and(|(_, name)| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        subcommands.iter().find(matches)
    }
}

/// MIGRATE names one key, or any number behind the word KEYS; both at once is a syntax error and counts as none.
fn migrate_keys<W: AsRef<[u8]>>(words: &[W]) -> SmallVec<[&[u8]; 8]> {
    let key = words.get(3).map(AsRef::as_ref);
    let mut at = 6;
    while let Some(word) = words.get(at) {
        match word.as_ref().to_ascii_lowercase().as_slice() {
            b"keys" if key.is_some_and(|key| !key.is_empty()) => return SmallVec::new(),
            b"keys" => return words[at + 1..].iter().map(AsRef::as_ref).collect(),
            b"auth" => at += 2,
            b"auth2" => at += 3,
            _ => at += 1,
        }
    }
    key.into_iter().collect()
}

const TABLES: &[&[Command]] = &[
    super::strings::COMMANDS,
    super::counters::COMMANDS,
    super::lists::COMMANDS,
    super::hashes::COMMANDS,
    super::sets::COMMANDS,
    super::sorted_sets::COMMANDS,
    super::sorted_set_ranges::COMMANDS,
    super::keys::COMMANDS,
    super::expiry::COMMANDS,
    super::connection::COMMANDS,
    super::server::COMMANDS,
    super::transaction::COMMANDS,
    super::cluster_commands::COMMANDS,
];

/// The entry of a command by its first word in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    static INDEX: OnceLock<HashMap<&'static [u8], &'static Command>> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().map(|command| (command.name.as_bytes(), command)).collect());
    let name: SmallVec<[u8; 24]> = name.iter().map(u8::to_ascii_lowercase).collect();
    index.get(name.as_slice()).copied()
}

/// Every entry that is not a subcommand.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    TABLES.iter().flat_map(|table| table.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(line: &str) -> Vec<String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = find(words[0]).unwrap();
        command.keys_of(&words).iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    #[test]
    fn keys_are_found_where_the_table_says() {
        assert_eq!(keys("GET a"), ["a"]);
        assert_eq!(keys("mset a 1 b 2"), ["a", "b"]);
        assert_eq!(keys("DEL a b c"), ["a", "b", "c"]);
        assert_eq!(keys("PING a"), [""; 0]);
        assert_eq!(keys("RENAME a b"), ["a", "b"]);
        assert_eq!(keys("MIGRATE h 1 k 0 5"), ["k"]);
        assert_eq!(keys("MIGRATE h 1  0 5 REPLACE KEYS k1 k2"), ["k1", "k2"]);
    }

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut names: Vec<_> = all().map(|command| command.name).collect();
        assert!(names.iter().all(|name| *name == name.to_lowercase()));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
